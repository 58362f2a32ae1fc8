"""Calls that we place: given to a carrier, and known again when they come back answered.

A carrier that connects a call opens a media socket of its own, at any gateway of the mesh. So the
call carries a *ticket*: who it is and which bot it is for, sealed with the key that all gateways
have, so that nobody else can write one. Every leg hands what came along with a call to
`gateway.routing`, which finds the ticket among it.
"""

from __future__ import annotations

import base64
import binascii
import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from gateway.routing import Route
from voicemesh.errors import Denied

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gateway.routing import Routing
    from voicemesh.sealing import Keyring

TICKET = "voicemesh_ticket"
"""How the names of the parameters begin that carry a ticket."""
MAX_PIECES = 12
_PIECE = 240
TICKET_SECONDS = 300.0
"""How long a ticket is good for: ringing, and then some."""


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

    def write(
        self, call_id: str, bot: str, variables: Mapping[str, str], now: float
    ) -> dict[str, str]:
        """Return a ticket, as parameters of at most 240 characters; ``now`` in Unix seconds."""
        said = json.dumps([call_id, bot, dict(variables), now], ensure_ascii=False)
        text = base64.urlsafe_b64encode(self._sealer.seal(said.encode(), 0)).decode()
        pieces = [text[begin : begin + _PIECE] for begin in range(0, len(text), _PIECE)]
        return {f"{TICKET}_{number}": piece for number, piece in enumerate(pieces)}

    def read(self, parameters: Mapping[str, str], now: float) -> Route | None:
        """Return where a call with these parameters goes; None for one without a ticket.

        Raises Denied for a ticket that is not ours, or old.
        """
        pieces = [f"{TICKET}_{number}" for number in range(MAX_PIECES)]
        text = "".join(parameters.get(name, "") for name in pieces)
        if not text:
            return None
        try:
            said = self._sealer.open(base64.urlsafe_b64decode(text), 0)
        except (binascii.Error, ValueError, Denied):
            raise Denied("this ticket is not ours", reason="BAD_TICKET") from None
        call_id, bot, variables, at = json.loads(said)
        if not -TICKET_SECONDS < now - at < TICKET_SECONDS:
            raise Denied("this ticket is too old", reason="OLD_TICKET")
        others = {name: value for name, value in parameters.items() if name not in pieces}
        return Route(bot, {**others, **variables}, call_id=call_id, placed=True)


class TicketRouting:
    """Knows the calls that we placed; asks another routing about all others."""

    def __init__(self, tickets: Tickets, others: Routing) -> None:
        self._tickets = tickets
        self._others = others

    async def route(
        self, callee: str, application: str, parameters: Mapping[str, str], caller: str = ""
    ) -> Route:
        ours = self._tickets.read(parameters, time.time())
        return ours or await self._others.route(callee, application, parameters, caller)
