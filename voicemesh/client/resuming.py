"""When a call is taken to another gateway, and when it is given up: no I/O.

A call has at most one line that counts, the current one. Lines that are to take its place are
dialled one after another, each later one without waiting for those before it to fail: a gateway
that hangs answers nothing. The first that stands becomes the current one. Lines are numbered by
this state; the number is also the attempt that the gateway is told.

States:

    UP ── broke ──► SEEKING ── stood ──► UP      no current line while SEEKING
    UP ── asked ──► MOVING ── stood ──► UP       another is dialled beside the current one
    OVER ◄── every state

A line over which nothing comes for too long broke, too.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from voicemesh.errors import VoicemeshError

GIVE_UP_SECONDS = 8.0
"""How long a call may be without a gateway."""
READY_SECONDS = (0.12, 0.3, 1.0)
"""How long the first, second and every later line may take before another is dialled as well."""
BACKOFF_SECONDS = (0.0, 0.05, 0.1, 0.2, 0.4, 0.8, 1.0)
"""How long to wait after the first, second, ... line that failed."""
STALE_SECONDS = 0.1
"""How long to wait before moving again after the call had gone on meanwhile."""
MAX_PENDING = 3
"""Lines dialled at a time."""
STEADY_SECONDS = 1.0
"""How long a line has to stand for the next break not to count as one more failure."""
OWN_LATENESS_SECONDS = 0.05
"""From so much on it was this process that was late: what came meanwhile is yet to be read."""
CALM_SECONDS = 2.0
"""How long a line has to have spoken for its silence not to count as one more. Until then each is
waited for twice as long as the one before, lest callers chase each other around slow gateways."""
MAX_DOUBLINGS = 3


class Phase(Enum):
    """What a call has."""

    UP = "up"
    SEEKING = "seeking"
    MOVING = "moving"
    OVER = "over"


@dataclass(frozen=True, slots=True)
class LineStood:
    """A line that was dialled holds the call."""

    line: int
    stale: bool = False
    """Whether the call went on over the current line since this one was dialled."""
    silence: float | None = None
    """How long nothing may come over it, seconds; None: as long as it likes."""


@dataclass(frozen=True, slots=True)
class LineSpoke:
    """Something came over a line."""

    line: int


@dataclass(frozen=True, slots=True)
class LineEnded:
    """A line broke, or could not be had."""

    line: int
    fatal: VoicemeshError | None = None
    """Given where another would end in the same way."""
    superseded: bool = False
    """Whether it ended because a line of a higher number holds the call."""


@dataclass(frozen=True, slots=True)
class MoveAsked:
    """The current line's gateway wants to go within `seconds`."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Ticked:
    """Time passed."""

    bound: bool = False
    """Whether the call could go on over no other line, so that a silent one is waited for."""


@dataclass(frozen=True, slots=True)
class CallOver:
    """The call ended."""


Event: TypeAlias = LineStood | LineSpoke | LineEnded | MoveAsked | Ticked | CallOver


@dataclass(frozen=True, slots=True)
class Dial:
    """Open a line."""

    line: int
    warm: bool = False
    """Whether by the connections that the call has had all along: nothing is known against the one
    that is left. Otherwise by one of its own, since who is silent may be behind any of them."""


@dataclass(frozen=True, slots=True)
class Drop:
    """Let go of a line at once."""

    line: int


@dataclass(frozen=True, slots=True)
class Switch:
    """From now on this line counts."""

    line: int


@dataclass(frozen=True, slots=True)
class Leave:
    """Say on a line that the call goes on over another."""

    line: int


@dataclass(frozen=True, slots=True)
class GiveUp:
    """The call is lost; `error` says why, where something did."""

    error: VoicemeshError | None = None


Command: TypeAlias = Dial | Drop | Switch | Leave | GiveUp


class Resuming:
    """One call's lines; `now` in seconds. It begins with line 0, which stands."""

    def __init__(self, now: float, silence: float | None = None) -> None:
        """`silence`: how long nothing may come over line 0, seconds; None: as long as it likes."""
        self.phase = Phase.UP
        self.current: int | None = 0
        """The line that counts."""
        self._dialled = 0
        self._pending: list[int] = []
        self._tried = 0
        self._began = self._up_since = now
        self._due = self._until = 0.0
        self._silence = silence
        self._spoke = self._ticked_at = now
        self._fell_silent = 0
        self._warm = False

    def handle(self, event: Event, now: float) -> list[Command]:
        """Take an event."""
        if self.phase is Phase.OVER:
            return [Drop(event.line)] if isinstance(event, LineStood) else []
        return _HANDLERS[type(event)](self, event, now)

    def _stood(self, event: LineStood, now: float) -> list[Command]:
        line = event.line
        if line not in self._pending:
            return [] if line == self.current else [Drop(line)]
        self._pending.remove(line)
        if event.stale and self.current is not None:
            # Whoever answered would say again what was said in the meantime.
            self._due = now + STALE_SECONDS
            return [Drop(line)]
        old, self.current = self.current, line
        self.phase, self._up_since = Phase.UP, now
        self._silence, self._spoke = event.silence, now
        leave: list[Command] = [] if old is None else [Leave(old)]
        return [Switch(line), *leave, *self._drop_pending()]

    def _spoken(self, event: LineSpoke, now: float) -> list[Command]:
        if event.line == self.current:
            self._spoke = now
        return []

    def _ended(self, event: LineEnded, now: float) -> list[Command]:
        # A line of ours that was dropped may have got there all the same; nobody took the call.
        ours = event.superseded and event.line < self._dialled
        fatal = None if ours else event.fatal
        if event.line == self.current:
            self._warm = True
            return self._broke(fatal, now)
        if event.line not in self._pending:
            return []
        self._pending.remove(event.line)
        if fatal is not None:
            return self._refused(fatal)
        wait = BACKOFF_SECONDS[min(self._tried, len(BACKOFF_SECONDS)) - 1]
        self._due = min(self._due, now + wait)
        return self._go_on(now)

    def _broke(self, fatal: VoicemeshError | None, now: float) -> list[Command]:
        self.current = None
        if self.phase is Phase.MOVING:
            # Maybe because the next one stands already: it will tell, or another will.
            self.phase, self._began = Phase.SEEKING, now
            return self._go_on(now)
        if fatal is not None:
            return self._give_up(fatal)
        if not self._tried or now - self._up_since >= STEADY_SECONDS:
            self._tried, self._began = 0, now
        self.phase = Phase.SEEKING
        self._due = now + (BACKOFF_SECONDS[min(self._tried, len(BACKOFF_SECONDS) - 1)])
        return self._go_on(now)

    def _refused(self, fatal: VoicemeshError) -> list[Command]:
        if self.current is None:
            return self._give_up(fatal)
        self.phase = Phase.UP
        return self._drop_pending()

    def _move(self, event: MoveAsked, now: float) -> list[Command]:
        if self.phase is not Phase.UP:
            return []
        self.phase, self._tried, self._warm = Phase.MOVING, 0, True
        self._began = self._due = now
        self._until = now + event.seconds
        return self._go_on(now)

    def _ticked(self, event: Ticked, now: float) -> list[Command]:
        late, self._ticked_at = now - self._ticked_at, now
        if late >= OWN_LATENESS_SECONDS:
            self._spoke = min(self._spoke + late, now)
        line = self.current
        if line is None or event.bound or not self._is_silent(now):
            return self._go_on(now)
        self._fell_silent += 1
        self._warm = False
        return [Drop(line), *self._broke(None, now)]

    def _is_silent(self, now: float) -> bool:
        if self._silence is None:
            return False
        if self._spoke - self._up_since >= CALM_SECONDS:
            self._fell_silent = 0
        return now - self._spoke >= self._silence * 2.0 ** min(self._fell_silent, MAX_DOUBLINGS)

    def _over(self, _event: CallOver, _now: float) -> list[Command]:
        self.phase = Phase.OVER
        return self._drop_pending()

    def _go_on(self, now: float) -> list[Command]:
        """Dial, or give up, when it is time."""
        if self.phase is Phase.SEEKING and now - self._began >= GIVE_UP_SECONDS:
            return self._give_up(None)
        if self.phase is Phase.MOVING and now >= self._until:
            # The gateway is about to break the line, and then the call is resumed.
            self.phase = Phase.UP
            return self._drop_pending()
        if self.phase is Phase.UP or now < self._due:
            return []
        self._dialled += 1
        self._due = now + READY_SECONDS[min(self._tried, len(READY_SECONDS) - 1)]
        self._tried += 1
        self._pending.append(self._dialled)
        dropped: list[Command] = []
        if len(self._pending) > MAX_PENDING:
            dropped.append(Drop(self._pending.pop(0)))
        warm, self._warm = self._warm, False
        return [*dropped, Dial(self._dialled, warm)]

    def _give_up(self, error: VoicemeshError | None) -> list[Command]:
        self.phase, self.current = Phase.OVER, None
        return [*self._drop_pending(), GiveUp(error)]

    def _drop_pending(self) -> list[Command]:
        dropped, self._pending = self._pending, []
        return [Drop(line) for line in dropped]


_HANDLERS: Mapping[type, Callable[[Resuming, Any, float], list[Command]]] = {
    LineStood: Resuming._stood,
    LineSpoke: Resuming._spoken,
    LineEnded: Resuming._ended,
    MoveAsked: Resuming._move,
    Ticked: Resuming._ticked,
    CallOver: Resuming._over,
}
