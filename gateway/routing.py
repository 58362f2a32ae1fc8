"""Which bot takes a call: what every leg asks before it begins one.

In this order: a ticket of our own (calls that we placed come back with one, and those that a
carrier's webhook announced), the bot that the caller names, the numbers file. An application may
decide otherwise when it is told of the call (`gateway.webhooks`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from voicemesh.errors import NotFound, Refused
from voicemesh.tenancy import asking

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from voicemesh.bots.numbers import Numbers


@dataclass(frozen=True, slots=True)
class Route:
    """Where a call goes."""

    bot: str
    """Name of the bot."""
    variables: Mapping[str, str] = field(default_factory=dict)
    """Variables for it."""
    number: str = ""
    """Entry of the numbers file, whose limit counts the call; empty without one."""
    call_id: str = ""
    """Identity that the call has already; empty lets it have a new one."""
    placed: bool = False
    """Whether we placed the call."""
    caller: str = ""
    """Who calls, where the way to us tells; empty: as the leg knows."""
    callee: str = ""
    """Who was called, likewise."""
    tenant: str = field(default_factory=asking)
    """Whose call it is; empty: nobody's."""


class Routing(Protocol):
    """What a leg asks: `Gateway.routing`."""

    async def route(
        self, callee: str, application: str, parameters: Mapping[str, str], caller: str = ""
    ) -> Route:
        """Return where a call goes.

        ``application`` is ``carrier/application``, or empty; ``parameters`` is what came along with
        the call, and becomes variables of the bot. Raises NotFound where nothing takes such calls,
        Refused where its number is busy, Denied where the application rejects it.
        """


class NumberRouting:
    """Routes by the numbers file."""

    def __init__(self, numbers: Numbers, live: Callable[[str], int]) -> None:
        """``live`` tells how many calls of an entry there are now."""
        self._numbers = numbers
        self._live = live

    async def route(
        self, callee: str, application: str, parameters: Mapping[str, str], caller: str = ""
    ) -> Route:
        entry = self._numbers.find(callee, application)
        if entry is None:
            raise NotFound(
                f"no bot takes calls to {callee or application or 'nowhere'!r}",
                reason="NO_NUMBER",
                callee=callee,
                application=application,
            )
        self.check_free(entry.pattern)
        return Route(entry.bot, {**parameters, **entry.variables}, entry.pattern)

    def number_of(self, callee: str) -> str:
        """Return the entry that counts calls to an address; empty if there is none."""
        entry = self._numbers.find(callee)
        return entry.pattern if entry else ""

    def check_free(self, number: str) -> None:
        """Raise Refused if an entry has as many calls as it may."""
        limit = self._numbers.limits.get(number)
        if limit is not None and self._live(number) >= limit:
            raise Refused(
                f"{number} is busy: it takes {limit} calls at once",
                reason="BUSY",
                number=number,
                limit=limit,
            )
