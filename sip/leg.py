"""What this part asks of a SIP library: one call's leg, and the stack that brings and makes legs.

Everything that knows the library implements these two; everything else of this part uses them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable

    from voicemesh.audio import Samples


@dataclass(frozen=True, slots=True)
class Ringing:
    """The far end rings."""


@dataclass(frozen=True, slots=True)
class Established:
    """The call was answered and has audio."""


@dataclass(frozen=True, slots=True)
class Digit:
    """The far end pressed a key."""

    digit: str
    """One of 0-9, *, #, A-D."""


@dataclass(frozen=True, slots=True)
class Held:
    """The far end put the call on hold, or took it back."""

    on: bool


@dataclass(frozen=True, slots=True)
class Closed:
    """The call is over; nothing follows."""

    status: int
    """Status of SIP with which it was refused, 300 to 699; 0 if it was not."""
    detail: str
    """What the far end or the library said about it; untrusted."""


LegEvent: TypeAlias = Ringing | Established | Digit | Held | Closed


class SipLeg(Protocol):
    """One call's leg. Audio is mono, 16 bits, at `rate`, and never blocks."""

    caller: str
    """Who calls, as a SIP address."""
    callee: str
    """Who is called, as a SIP address."""
    rate: int
    """Samples per second of `read` and `write`, 8000 or 16000, whatever the codec is."""

    @property
    def on_event(self) -> Callable[[LegEvent], None]:
        """Is called with what happens, in order, and with what happened before it was set."""

    @on_event.setter
    def on_event(self, listener: Callable[[LegEvent], None]) -> None: ...

    async def answer(self) -> None:
        """Answer a call that came in; `Established` follows."""

    async def hang_up(self) -> None:
        """End the call, take it back, or refuse it; nothing happens if it is over."""

    async def transfer(self, target: str) -> None:
        """Ask the far end to call a SIP address instead; raise Unavailable if it did not."""

    async def send_digits(self, digits: str) -> None:
        """Press keys; returns when the last was sent."""

    def read(self) -> Samples:
        """Return what came since the last time; empty where nothing did."""

    def write(self, samples: Samples) -> None:
        """Have samples sent behind those that wait."""

    def flush(self) -> None:
        """Drop what waits to be sent."""

    @property
    def queued(self) -> int:
        """How many samples wait to be sent."""


class SipStack(Protocol):
    """A SIP user agent."""

    async def start(self, came_in: Callable[[SipLeg], None]) -> None:
        """Listen; `came_in` is called for each call that comes in, and answers or rejects it."""

    async def dial(self, trunk: str, to: str, caller: str) -> SipLeg:
        """Call a number or a SIP address over a trunk; `Established` or `Closed` follows.

        Raise NotFound for an unknown trunk, Unavailable where no call could be sent.
        """

    async def drain(self) -> None:
        """Take no new calls from now on."""

    async def close(self) -> None:
        """End every call and let go of the network."""
