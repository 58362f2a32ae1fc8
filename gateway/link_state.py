"""When a session is opened, taken for broken, opened again, moved and given up: no I/O.

A link has at most one stream that counts, the current one, and at most one that is being opened.
Streams are numbered by this state; whatever comes from any other stream is a ghost's.

States:

    IDLE ──► OPENING ◄──► WAITING        no current stream; WAITING between two attempts
               │  ▲
               ▼  │ broke
               UP ◄──► MOVING            MOVING: another is opened beside the current one
               └──► CLOSED ◄── every state
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, TypeAlias

from voicemesh.errors import Refused, Superseded, Unavailable, VoicemeshError
from voicemesh.reopening import FULL_ATTEMPTS, backoff

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

FIRST_READY_SECONDS = 1.0
"""How long a first open may take; an unloaded mesh answers in milliseconds."""
READY_SECONDS = 0.25
"""How long any later open may take."""
OPEN_SECONDS = 8.0
"""How long a caller is kept waiting for the first session."""
SILENCE_SECONDS = 0.3
"""How long audio may be on the way without anything being received."""
STEADY_SECONDS = 5.0
"""How long a session has to stand for the next break not to count as one more attempt."""
MOVE_MARGIN_SECONDS = 1.0
"""So long before its deadline a stream is left even if there was no pause."""
LEAVE_SECONDS = 2.0
"""How long a stream that was half-closed may take to end."""


class LinkPhase(Enum):
    """What a link has."""

    IDLE = "idle"
    OPENING = "opening"
    WAITING = "waiting"
    UP = "up"
    MOVING = "moving"
    CLOSED = "closed"


# What happens.


@dataclass(frozen=True, slots=True)
class Started:
    """A session is wanted."""


@dataclass(frozen=True, slots=True)
class ReadyCame:
    """A stream's session stands."""

    stream: int
    stale: bool = False
    """The journal has grown since the stream was opened, so this session knows too little."""


@dataclass(frozen=True, slots=True)
class StreamEnded:
    """A stream ended, without a bye."""

    stream: int
    error: VoicemeshError | None = None
    """Given where it makes no sense to open again."""
    full: bool = False
    """The other side was full."""


@dataclass(frozen=True, slots=True)
class ByeCame:
    """A stream ended on purpose."""

    stream: int
    superseded: bool = False


@dataclass(frozen=True, slots=True)
class GoAwayCame:
    """The other side of a stream wants to go within `seconds`."""

    stream: int
    seconds: float


@dataclass(frozen=True, slots=True)
class AudioSent:
    """Audio up to `end` is on the way."""

    end: int


@dataclass(frozen=True, slots=True)
class AudioReceived:
    """Audio up to `end` has arrived."""

    end: int


@dataclass(frozen=True, slots=True)
class Ticked:
    """Time passed."""

    pause: bool = False
    """Whether a move would disturb nothing now."""
    late: float = 0.0
    """How long this process could hear nobody before it, seconds."""


@dataclass(frozen=True, slots=True)
class Closed:
    """No session is wanted any more."""


Event: TypeAlias = (
    Started
    | ReadyCame
    | StreamEnded
    | ByeCame
    | GoAwayCame
    | AudioSent
    | AudioReceived
    | Ticked
    | Closed
)


# What is to be done.


@dataclass(frozen=True, slots=True)
class Dial:
    """Open a stream."""

    stream: int
    epoch: int
    attempt: int


@dataclass(frozen=True, slots=True)
class Drop:
    """Cancel a stream."""

    stream: int


@dataclass(frozen=True, slots=True)
class HalfClose:
    """Say on a stream that nothing more will come."""

    stream: int


@dataclass(frozen=True, slots=True)
class Switch:
    """From now on this stream counts."""

    stream: int


@dataclass(frozen=True, slots=True)
class Lose:
    """The stream that counted is gone."""


@dataclass(frozen=True, slots=True)
class GiveUp:
    """There will be no session any more."""

    error: VoicemeshError


Command: TypeAlias = Dial | Drop | HalfClose | Switch | Lose | GiveUp


class LinkState:
    """One call's link; `now` in seconds. Jitter is 0 to 1, drawn anew for each wait."""

    def __init__(self, jitter: Callable[[], float], epoch: int = 0) -> None:
        """`epoch`: above every one that the call has had."""
        self.phase = LinkPhase.IDLE
        self.epoch = epoch
        self.current = 0
        """Number of the stream that counts; 0 is none."""
        self._jitter = jitter
        self._stream = 0
        self._opening = 0
        self._attempt = 0
        self._began = self._up_since = self._due = 0.0
        self._ever_up = False
        self._leave_by: float | None = None
        self._taken_over = False
        self._leaving: dict[int, float] = {}
        self._sent = self._received = 0
        self._unanswered_since: float | None = None
        self._suspected = False

    @property
    def due(self) -> float:
        """When time alone may change something, and a tick is needed; infinity if never."""
        if self.phase is not LinkPhase.UP or self._leave_by is not None or self._leaving:
            return 0.0
        since = self._unanswered_since
        return math.inf if since is None else since + SILENCE_SECONDS

    def handle(self, event: Event, now: float) -> list[Command]:
        """Take an event."""
        if self.phase is LinkPhase.CLOSED and not isinstance(event, Ticked):
            return self._after_the_end(event)
        return _HANDLERS[type(event)](self, event, now)

    # Opening.

    def _started(self, _event: Started, now: float) -> list[Command]:
        if self.phase is not LinkPhase.IDLE:
            return []
        self._began = now
        return self._open(now)

    def _open(self, now: float, *, beside: bool = False) -> list[Command]:
        """Begin a new epoch."""
        self.epoch += 1
        # A session that broke soon after it stood counts as one more attempt that failed, lest a
        # replica that breaks every session at once is called without a pause.
        unsteady = self._ever_up and now - self._up_since < STEADY_SECONDS and not beside
        self._attempt = self._attempt if unsteady else 0
        self.phase = LinkPhase.MOVING if beside else LinkPhase.OPENING
        return self._try_again(now)

    def _try_again(self, now: float) -> list[Command]:
        if not self._ever_up and now - self._began >= OPEN_SECONDS:
            return self._give_up(Unavailable("no orchestrator could be found"))
        self._attempt += 1
        wait = backoff(self._attempt, self._jitter())
        if wait == 0:
            return self._dial(now)
        self._due = now + wait
        if self.phase is LinkPhase.OPENING:
            self.phase = LinkPhase.WAITING
        return []

    def _dial(self, now: float) -> list[Command]:
        self._stream += 1
        self._opening = self._stream
        if self.phase is LinkPhase.WAITING:
            self.phase = LinkPhase.OPENING
        self._due = now + (READY_SECONDS if self._ever_up else FIRST_READY_SECONDS)
        return [Dial(self._stream, self.epoch, self._attempt)]

    def _ready(self, event: ReadyCame, now: float) -> list[Command]:
        if not event.stream or event.stream != self._opening:
            return self._ghost(event.stream)
        self._opening = 0
        if event.stale:
            # Whoever answered would say and do again what the journal has in the meantime.
            moving = self.phase is LinkPhase.MOVING
            return [Drop(event.stream), *self._open(now, beside=moving)]
        old, self.current = self.current, event.stream
        self.phase, self._ever_up, self._up_since = LinkPhase.UP, True, now
        self._taken_over = False
        self._leave_by = self._unanswered_since = None
        self._sent = self._received = 0
        return [Switch(event.stream), *self._leave(old, now)]

    def _ghost(self, stream: int) -> list[Command]:
        """Let go of a stream that became ready too late, or a second time."""
        known = stream == self.current or stream in self._leaving
        return [] if known else [Drop(stream)]

    def _leave(self, stream: int, now: float) -> list[Command]:
        if not stream:
            return []
        self._leaving[stream] = now + LEAVE_SECONDS
        return [HalfClose(stream)]

    # Ending.

    def _ended(self, event: StreamEnded, now: float) -> list[Command]:
        self._leaving.pop(event.stream, None)
        if event.stream not in (self.current, self._opening) or not event.stream:
            return []
        fatal = event.error
        if fatal is None and event.full and not self._ever_up and self._attempt >= FULL_ATTEMPTS:
            fatal = Refused("every orchestrator is full")
        if event.stream == self._opening:
            return self._open_failed(fatal, now)
        return self._broke(fatal, now)

    def _open_failed(self, fatal: VoicemeshError | None, now: float) -> list[Command]:
        self._opening = 0
        lost: list[Command] = [Lose()] if self._taken_over else []
        self._taken_over = False
        # While the current stream stands, a failed move is only one more attempt to come.
        if fatal is not None and not self.current:
            return [*lost, *self._give_up(fatal)]
        return [*lost, *self._try_again(now)]

    def _broke(self, fatal: VoicemeshError | None, now: float) -> list[Command]:
        self.current = 0
        self._unanswered_since = None
        if fatal is not None:
            return [Lose(), *self._give_up(fatal)]
        if self.phase is LinkPhase.MOVING:
            # The next one is on its way already.
            self.phase = LinkPhase.OPENING if self._opening else LinkPhase.WAITING
            return [Lose()]
        return [Lose(), *self._open(now)]

    def _bye(self, event: ByeCame, now: float) -> list[Command]:
        if not event.stream or event.stream not in (self.current, self._opening):
            return []
        if not event.superseded:
            said_by = event.stream
            others = [each for each in (self.current, self._opening) if each not in (0, said_by)]
            self.phase, self.current, self._opening = LinkPhase.CLOSED, 0, 0
            return [*self._leave(said_by, now), *(Drop(other) for other in others)]
        if event.stream == self.current and self.phase is LinkPhase.MOVING:
            return self._replaced(now)
        return self._give_up(Superseded("another gateway holds this call"))

    def _replaced(self, now: float) -> list[Command]:
        """Let go of a stream whose replica has been asked to open the call anew."""
        if not self._opening:
            return self._broke(None, now)
        # By the stream that is about to be ready. The session is lost only if that fails.
        old, self.current, self._unanswered_since = self.current, 0, None
        self.phase, self._taken_over = LinkPhase.OPENING, True
        return self._leave(old, now)

    def _give_up(self, error: VoicemeshError) -> list[Command]:
        return [*self._close_all(), GiveUp(error)]

    def _closed(self, _event: Closed, _now: float) -> list[Command]:
        return self._close_all()

    def _close_all(self) -> list[Command]:
        self.phase = LinkPhase.CLOSED
        live = [stream for stream in (self.current, self._opening, *self._leaving) if stream]
        self.current = self._opening = 0
        self._leaving.clear()
        return [Drop(stream) for stream in live]

    def _after_the_end(self, event: Event) -> list[Command]:
        if isinstance(event, StreamEnded):
            self._leaving.pop(event.stream, None)
        if isinstance(event, Closed):
            return self._close_all()
        return self._ghost(event.stream) if isinstance(event, ReadyCame) else []

    # Moving.

    def _go_away(self, event: GoAwayCame, now: float) -> list[Command]:
        if event.stream == self.current and self._leave_by is None:
            self._leave_by = now + max(0.0, event.seconds - MOVE_MARGIN_SECONDS)
        return []

    # Time.

    def _audio_sent(self, event: AudioSent, now: float) -> list[Command]:
        self._sent = max(self._sent, event.end)
        if self._unanswered_since is None:
            self._unanswered_since, self._suspected = now, False
        return []

    def _audio_received(self, event: AudioReceived, now: float) -> list[Command]:
        if event.end > self._received:
            self._received, self._suspected = event.end, False
            self._unanswered_since = None if event.end >= self._sent else now
        return []

    def _ticked(self, event: Ticked, now: float) -> list[Command]:
        self._forgive(event.late, now)
        out: list[Command] = [Drop(each) for each, by in self._leaving.items() if now >= by]
        for drop in out:
            assert isinstance(drop, Drop)  # noqa: S101 - by construction
            del self._leaving[drop.stream]
        match self.phase:
            case LinkPhase.OPENING | LinkPhase.MOVING if self._opening and now >= self._due:
                out += [Drop(self._opening), *self._open_failed(None, now)]
            case LinkPhase.WAITING | LinkPhase.MOVING if not self._opening and now >= self._due:
                out += self._dial(now)
            case LinkPhase.UP if self._leave_by is not None:
                if event.pause or now >= self._leave_by:
                    out += self._open(now, beside=True)
        return out + self._listen(now)

    def _forgive(self, late: float, now: float) -> None:
        """Wait for others as much longer as they were not listened to."""
        if self._unanswered_since is not None:
            self._unanswered_since = min(self._unanswered_since + late, now)
        if self._opening:
            self._due += late

    def _listen(self, now: float) -> list[Command]:
        """Take a stream for broken on which audio is not received."""
        since = self._unanswered_since
        if not self.current or since is None or now - since < SILENCE_SECONDS:
            return []
        if not self._suspected:
            # If it was this process that was late, the answer is waiting to be read.
            self._suspected = True
            return []
        return [Drop(self.current), *self._broke(None, now)]


_HANDLERS: Mapping[type, Callable[[LinkState, Any, float], list[Command]]] = {
    Started: LinkState._started,
    ReadyCame: LinkState._ready,
    StreamEnded: LinkState._ended,
    ByeCame: LinkState._bye,
    GoAwayCame: LinkState._go_away,
    AudioSent: LinkState._audio_sent,
    AudioReceived: LinkState._audio_received,
    Ticked: LinkState._ticked,
    Closed: LinkState._closed,
}
