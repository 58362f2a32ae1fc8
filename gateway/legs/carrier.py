"""The carrier leg: between what a carrier's socket says and what a call handles. No I/O."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from gateway import commands as do, events as on, metrics
from gateway.legs.voice import CarrierVoice
from gateway.playout import LEAD_SECONDS
from gateway.reports import Wish
from voicemesh import telemetry
from voicemesh.audio import Decoder
from voicemesh.carriers.dialect import (
    Began,
    Command,
    HangUp,
    Hushed,
    Marks,
    Press,
    Pressed,
    Reached,
    Respond,
    Show,
    Sounded,
    Stopped,
    Told,
)
from voicemesh.errors import DeadlineMissed, OutOfOrder, Refused, VoicemeshError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from gateway.legs.beyond import Beyond
    from voicemesh.carriers.dialect import Application, Dialect, Event, Frame

MAX_HEARD = 2000
"""Characters of what was heard of the bot."""
MAX_WAITING_BYTES = 1024 * 1024
"""What may wait for the next tick."""
EARLY_SECONDS = 5.0
"""So much audio may come ahead of real time; a carrier's own buffer after a stall."""
LATE_SECONDS = 30.0
"""So much of what a network held up may come at once."""
_USUAL_FRAME_MS = 20
_UNMARKED_SECONDS = 0.2
"""What the way to a carrier is taken to last where no mark tells."""
_MOST_LINGER_SECONDS = 2.0

_log = telemetry.get_logger("carrier")


class Wire(Protocol):
    """The socket, as a leg uses it. Nothing here waits."""

    @property
    def unsent(self) -> int:
        """Return how many bytes the other side has not taken yet."""

    def write(self, frames: Sequence[Frame]) -> None:
        """Send frames, all in one write."""

    def close(self, error: VoicemeshError | None, seconds: float = 0.0) -> None:
        """Close it, in so many seconds; an error becomes close code and reason."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a leg waits."""

    read_seconds: float = 10.0
    """For the other side to read what it was sent."""
    idle_seconds: float = 60.0
    """For anything to come."""


class Pace:
    """Tells audio that comes faster than anybody can speak."""

    def __init__(self, now: float) -> None:
        self._ahead = 0.0
        self._at = now

    def take(self, seconds: float, now: float) -> None:
        """Take note of audio; raise Refused where it is more than time has passed for."""
        passed, self._at = now - self._at, now
        self._ahead = max(self._ahead - passed, -LATE_SECONDS) + seconds
        if self._ahead > EARLY_SECONDS:
            raise Refused(
                f"audio came {EARLY_SECONDS:g} s ahead of real time",
                reason="TOO_FAST",
                limit=EARLY_SECONDS,
            )


class CarrierLeg:
    """One carrier's call, as the rest of the gateway sees it; a socket moves its frames."""

    def __init__(
        self,
        dialect: Dialect,
        application: Application,
        began: Began,
        wire: Wire,
        clock: Callable[[], float],
        patience: Patience | None = None,
    ) -> None:
        self.over = False
        """Whether the call has ended for this side."""
        self._dialect = dialect
        self._application = application
        self._wire = wire
        self._clock = clock
        self._patience = patience or Patience()
        self.beyond: Beyond | None = None
        """What the carrier's API can do where the socket cannot."""
        self.placed = False
        """Whether we placed the call: then nothing is to be done with it behind the bot."""
        self._decoder = Decoder(began.sent)
        self._voice = CarrierVoice(began.played, self._decoder.rate, dialect.capabilities)
        self._pace = Pace(clock())
        self._waiting: list[Frame | Event] = []
        self._waiting_bytes = 0
        self._left: on.CallerLeft | None = None
        self._wishes = 0
        self._heard_at = clock()
        self._unread_since: float | None = None
        self._lag = 0.0 if dialect.capabilities.marks is not Marks.NONE else _UNMARKED_SECONDS

    @property
    def rate(self) -> int:
        """The call's rate."""
        return self._decoder.rate

    @property
    def ahead(self) -> float:
        can = self._dialect.capabilities
        wanted = can.frame_ms / 1000 if can.frame_ms > _USUAL_FRAME_MS else 0.0
        return min(wanted, can.queue_seconds - LEAD_SECONDS)

    # The call's side.

    def take(self) -> Iterator[on.LegEvent]:
        waiting, self._waiting = self._waiting, []
        full, self._waiting_bytes = self._waiting_bytes > MAX_WAITING_BYTES, 0
        if full:
            raise Refused("too much came at once", reason="TOO_FAST", limit=MAX_WAITING_BYTES)
        if waiting:
            self._heard_at = self._clock()
        sound: list[bytes] = []
        for event in self._events(waiting):
            if isinstance(event, Sounded):
                sound.append(event.data)
                continue
            yield from self._sounded(sound)
            yield from self._meant(event)
        yield from self._sounded(sound)
        if self._left is not None:
            yield self._left

    def give(self, command: do.LegCommand) -> None:
        if self.over:
            return
        now = self._clock()
        match command:
            case do.Play() | do.Clear() | do.Rest():
                self._send(self._voiced(command, now))
            case do.Show(words) if self._dialect.capabilities.shows:
                self._send((Show(words.bot, words.text, words.final),))
            case do.SendDigits(digits):
                self._press(digits)
            case do.Transfer(target):
                self._transfer(target)
            case do.End(reason):
                self._end(reason, now)
            case do.Fail(error):
                self.over = True
                self._wire.close(error)

    def stuck(self, now: float) -> VoicemeshError | None:
        limit = self._patience.read_seconds
        if not self._wire.unsent:
            self._unread_since = None
        elif self._unread_since is None:
            self._unread_since = now
        elif now - self._unread_since >= limit:
            return Refused(f"nothing was read for {limit:g} s", reason="NOT_READ", limit=limit)
        limit = self._patience.idle_seconds
        # A caller who is silent sends no words either; the bot asks after them.
        if self._dialect.capabilities.speaks:
            return None
        if now - self._heard_at >= limit:
            return DeadlineMissed(f"nothing came for {limit:g} s", reason="IDLE", limit=limit)
        return None

    # The socket's side.

    def put(self, frame: Frame) -> None:
        """Take what the carrier sent; it is read at the next tick."""
        if self.over:
            return
        self._waiting_bytes += len(frame)
        if self._waiting_bytes <= MAX_WAITING_BYTES:
            self._waiting.append(frame)

    def put_events(self, events: Iterable[Event]) -> None:
        """Take what was read already, together with the start."""
        self._waiting.extend(events)

    def leave(self, *, vanished: bool) -> None:
        """Take note that the socket is closed."""
        self._left = on.CallerLeft(vanished=vanished)

    # What is taken.

    def _events(self, waiting: Iterable[Frame | Event]) -> Iterator[Event]:
        for one in waiting:
            if isinstance(one, str | bytes):
                yield from self._application.receive(one)
            else:
                yield one

    def _sounded(self, sound: list[bytes]) -> Iterator[on.LegEvent]:
        if not sound:
            return
        data = b"".join(sound)
        sound.clear()
        decoder = self._decoder
        self._pace.take(decoder.format.samples_in(data) / decoder.format.rate, self._clock())
        offset = decoder.next_offset
        samples = decoder.decode(data)
        if samples.size:
            yield on.CallerSounded(offset, samples)

    def _meant(self, event: Event) -> Iterator[on.LegEvent]:
        match event:
            case Pressed(digit):
                yield on.CallerPressed(digit)
            case Told() | Hushed():
                yield self._in_words(event)
            case Reached(name):
                lag = self._voice.reached(name, self._clock())
                if lag is not None:
                    self._lag = lag
                    yield on.PlaybackLagged(lag)
            case Stopped():
                yield on.CallerLeft()
            case Respond(frame):
                self._wire.write((frame,))
            case Began():
                raise OutOfOrder("start", "came a second time")

    def _in_words(self, event: Told | Hushed) -> on.ApplicationWished:
        self._wishes += 1
        key = f"leg-{self._wishes}"
        if isinstance(event, Told):
            return on.ApplicationWished(key, Wish.HEAR, event.text)
        return on.ApplicationWished(key, Wish.HUSH, event.heard[:MAX_HEARD])

    # What is given.

    def _voiced(self, command: do.Play | do.Clear | do.Rest, now: float) -> Iterable[Command]:
        if self._dialect.capabilities.speaks:
            return ()
        match command:
            case do.Play(chunk):
                return self._voice.play(chunk, now)
            case do.Clear():
                return self._voice.clear(now)
            case do.Rest():
                return self._voice.rest(now)

    def _send(self, commands: Iterable[Command]) -> None:
        frames = [frame for command in commands for frame in self._application.send(command)]
        if frames:
            self._wire.write(frames)

    def _press(self, digits: str) -> None:
        if self._dialect.capabilities.presses:
            self._send((Press(digits),))
        elif self.beyond is None or not self.beyond.press(digits):
            self._cannot("send_digits")

    def _transfer(self, target: str) -> None:
        if self.beyond is None or not self.beyond.transfer(target):
            self._cannot("transfer")

    def _cannot(self, wish: str) -> None:
        metrics.CARRIER_CANNOT.labels(self._dialect.name, wish).inc()
        _log.warning("the carrier's socket cannot", carrier=self._dialect.name, wish=wish)

    def _end(self, reason: str, now: float) -> None:
        self.over = True
        beyond = self.beyond
        if beyond is not None and beyond.transferring:
            # The carrier takes the call from a socket that stands; it would end with the socket.
            self._send(self._voice.rest(now))
            beyond.when_transferred(lambda: self._wire.close(None))
            return
        self._send((*self._voice.rest(now), HangUp(reason)))
        # What the carrier has not played yet is lost with the socket.
        left = self._voice.until + self._lag - now
        gone = self._left is not None or reason in {"caller_hung_up", "caller_vanished"}
        linger = 0.0 if gone else min(max(left, 0.0), _MOST_LINGER_SECONDS)
        if self.placed and not gone and beyond is not None:
            # With some carriers a call that an API placed outlives its socket, and costs.
            beyond.hang_up(linger)
        self._wire.close(None, linger)
