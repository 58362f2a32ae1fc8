"""Calls that we place or answer: given to a carrier, and known again when they come back.

A carrier that connects a call opens a media socket of its own, at any gateway of the mesh. So the
call carries a *ticket*: who it is and which bot it is for, sealed with the key that all gateways
have, so that nobody else can write one. Every leg hands what came along with a call to
`gateway.routing`, which finds the ticket among it. No gateway takes a ticket twice.
"""

from __future__ import annotations

import base64
import binascii
import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from gateway.routing import Route
from voicemesh.carriers.auth.request import Seen
from voicemesh.errors import Denied

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gateway.routing import Routing
    from voicemesh.sealing import Keyring

TICKET = "voicemesh_ticket"
"""How the names of the parameters begin that carry a ticket."""
MAX_PIECES = 12
_PIECE = 240
_NAMES = [f"{TICKET}_{number}" for number in range(MAX_PIECES)]
TICKET_SECONDS = 300.0
"""How long the ticket of a call that we place is good for: ringing, and then some."""
ADMISSION_SECONDS = 60.0
"""How long that of a call which a webhook announced is: until its socket opens."""
_SKEW_SECONDS = 60.0
"""So much may the clocks of two gateways differ."""


@dataclass(frozen=True, slots=True)
class Order:
    """A call to be placed."""

    call_id: str
    callee: str
    caller: str
    """Number to be shown; empty: as the carrier likes."""
    ring_seconds: float
    parameters: Mapping[str, str] = field(default_factory=dict)
    """What must come along when the call does: the ticket."""
    key: str = ""
    """Idempotency key, for a carrier that knows such; at most 64 characters."""


class Dialler(Protocol):
    """A carrier or trunk that places calls."""

    async def dial(self, order: Order) -> str:
        """Place a call; return the carrier's name of it.

        Raises the errors of `voicemesh.errors`; it is up to who asked to ask again.
        """

    async def cancel(self, name: str, call_id: str) -> None:
        """Stop ringing; nothing happens to a call that is over."""

    async def aclose(self) -> None:
        """Let go of connections."""


class Tickets:
    """Writes and reads tickets."""

    def __init__(self, keys: Keyring) -> None:
        self._sealer = keys.sealer("ticket")
        self._used = Seen(TICKET_SECONDS)

    def write(
        self, call_id: str, bot: str, variables: Mapping[str, str], now: float
    ) -> dict[str, str]:
        """Return a ticket, as parameters of at most 240 characters; ``now`` in Unix seconds."""
        return self._written(Route(bot, variables, call_id=call_id, placed=True), now)

    def admit(self, route: Route, now: float) -> dict[str, str]:
        """Return a ticket for a call that comes in; as `write`."""
        return self._written(route, now)

    def _written(self, route: Route, now: float) -> dict[str, str]:
        last = int(now + (TICKET_SECONDS if route.placed else ADMISSION_SECONDS))
        kind = int(route.placed)
        said: list[object] = [route.call_id, route.bot, dict(route.variables), last, kind]
        said += [route.number, route.caller, route.callee, route.tenant]
        # One carrier passes on no more than 256 characters in all.
        plain = json.dumps(said, ensure_ascii=False, separators=(",", ":"))
        text = base64.urlsafe_b64encode(self._sealer.seal(plain.encode(), 0)).decode()
        pieces = [text[begin : begin + _PIECE] for begin in range(0, len(text), _PIECE)]
        return {f"{TICKET}_{number}": piece for number, piece in enumerate(pieces)}

    def read(self, parameters: Mapping[str, str], now: float) -> Route | None:
        """Return where a call with these parameters goes; None for one without a ticket.

        Raises Denied for a ticket that is not ours, or old.
        """
        if not ticket_in(parameters):
            return None
        try:
            said = self._sealer.open(_sealed(parameters), 0)
        except Denied:
            raise _not_ours() from None
        call_id, bot, variables, last, placed, number, caller, callee, tenant = json.loads(said)
        if not now <= last <= now + TICKET_SECONDS + _SKEW_SECONDS:
            raise Denied("this ticket is too old", reason="OLD_TICKET")
        others = {name: value for name, value in parameters.items() if name not in _NAMES}
        given = {**others, **variables}
        return Route(bot, given, number, call_id, bool(placed), caller, callee, tenant)

    def redeem(self, parameters: Mapping[str, str], now: float) -> Route | None:
        """Take a ticket, as `read`; raise Denied also for one that was taken here before."""
        route = self.read(parameters, now)
        if route is not None:
            # The same seal can be written in more than one way.
            self._used.check(_sealed(parameters).hex(), now)
        return route


def _sealed(parameters: Mapping[str, str]) -> bytes:
    try:
        return base64.urlsafe_b64decode(ticket_in(parameters))
    except (binascii.Error, ValueError):
        raise _not_ours() from None


def _not_ours() -> Denied:
    return Denied("this ticket is not ours", reason="BAD_TICKET")


def ticket_in(parameters: Mapping[str, str]) -> str:
    """Return the ticket among parameters, whosever it is; empty without one."""
    return "".join(parameters.get(name, "") for name in _NAMES)


class TicketRouting:
    """Knows the calls that we placed; asks another routing about all others."""

    def __init__(self, tickets: Tickets, others: Routing) -> None:
        self._tickets = tickets
        self._others = others

    async def route(
        self, callee: str, application: str, parameters: Mapping[str, str], caller: str = ""
    ) -> Route:
        ours = self._tickets.redeem(parameters, time.time())
        return ours or await self._others.route(callee, application, parameters, caller)
