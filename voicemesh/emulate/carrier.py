"""What a carrier does with a call besides moving it: a queue of audio, marks, clears. No I/O."""

from __future__ import annotations

import uuid
from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from voicemesh.audio import Decoder, Encoder
from voicemesh.carriers.dialect import (
    ALAW_8K,
    LINEAR_8K,
    LINEAR_16K,
    MULAW_8K,
    Began,
    Clear,
    Command,
    DialectSettings,
    Emptied,
    HangUp,
    Mark,
    Marks,
    Play,
    Press,
    Pressed,
    Reached,
    Show,
    Sounded,
    Stopped,
)
from voicemesh.client.playback import Playback
from voicemesh.errors import InvalidInput, VoicemeshError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from voicemesh.audio import Samples
    from voicemesh.carriers.dialect import Dialect, Event, Frame

FORMATS = (MULAW_8K, LINEAR_8K, LINEAR_16K, ALAW_8K)
MOST_COMPLAINTS = 100
JITTER_SECONDS = 0.1
"""What the way here may have held up, and brings all at once."""


def natural_start(
    dialect: Dialect,
    settings: DialectSettings,
    *,
    caller: str = "",
    callee: str = "",
    parameters: Mapping[str, str] | None = None,
) -> Began:
    """Return the start of a call as this carrier would make it: its own format, made-up names."""
    for fmt in (dialect.usual, *FORMATS):
        asked = Began(
            call_id=str(uuid.uuid4()),
            stream_id=str(uuid.uuid4()),
            account_id="EMULATED",
            caller=caller,
            callee=callee,
            parameters=parameters or {},
            sent=fmt,
            played=fmt,
        )
        told = _as_told(dialect, settings, asked)
        if told is not None and told.sent == fmt:
            return replace(asked, played=told.played)
    raise InvalidInput("dialect", f"{dialect.name} begins no call with a format of ours")


def tells_keys(dialect: Dialect) -> bool:
    """Return whether this carrier's socket tells what the caller presses."""
    settings = DialectSettings()
    carrier = EmulatedCarrier(dialect, natural_start(dialect, settings), settings)
    carrier.begin()
    return bool(carrier.press("1"))


def _as_told(dialect: Dialect, settings: DialectSettings, asked: Began) -> Began | None:
    """Return what an application is told of a start; None if it cannot be made so."""
    application = dialect.application(settings)
    try:
        for frame in dialect.carrier(settings).send(asked):
            for event in application.receive(frame):
                if isinstance(event, Began):
                    return event
    except VoicemeshError:
        return None
    return None


@dataclass(frozen=True, slots=True)
class Drop:
    """The application cleared what was not played yet."""

    offset: int
    """First sample dropped, in the bot's direction."""
    at: float
    """When, on the emulator's clock."""
    seconds: float
    """How much audio was dropped."""


class EmulatedCarrier:
    """One call at the carrier; `now` is in seconds."""

    def __init__(self, dialect: Dialect, began: Began, settings: DialectSettings) -> None:
        self.began = began
        self.playback = Playback(began.played.rate)
        """What the caller hears."""
        self.hung_up = False
        """Whether the application ended the call."""
        self.pressed = ""
        """Digits that the application sent."""
        self.drops: list[Drop] = []
        self.shown: list[Show] = []
        """Words that the application showed."""
        self.marks = 0
        """Marks that were given back."""
        self.complaints: list[str] = []
        """What the carrier's own log would say of the application."""
        self._can = dialect.capabilities
        self._carrier = dialect.carrier(settings)
        self._encoder = Encoder(began.sent, began.sent.rate)
        self._decoder = Decoder(began.played, began.played.rate)
        self._pending: deque[tuple[float, str]] = deque()

    def begin(self) -> list[Frame]:
        """Return the start."""
        return [*self._carrier.send(self.began)]

    def sound(self, samples: Samples) -> list[Frame]:
        """Return the caller's audio."""
        return [*self._carrier.send(Sounded(self._encoder.encode(samples)))]

    def press(self, digit: str) -> list[Frame]:
        """Return a key that the caller presses."""
        return [*self._carrier.send(Pressed(digit))]

    def stop(self) -> list[Frame]:
        """Return the caller's hanging up."""
        return [*self._carrier.send(Stopped("hangup"))]

    def receive(self, frame: Frame, now: float) -> list[Frame]:
        """Take what the application sent; return what is said to it at once."""
        try:
            commands = [*self._carrier.receive(frame)]
        except VoicemeshError as error:
            self._complain(error.message)
            return []
        return [
            reply
            for command in commands
            for event in self._obey(command, now)
            for reply in self._carrier.send(event)
        ]

    def tick(self, now: float) -> list[Frame]:
        """Return the marks that playback has reached."""
        out: list[Frame] = []
        while self._pending and self._pending[0][0] <= now:
            _, name = self._pending.popleft()
            self.marks += 1
            out += self._carrier.send(Reached(name))
        return out

    def _obey(self, command: Command, now: float) -> Iterator[Event]:
        match command:
            case Play(data):
                self._play(data, now)
            case Mark(name):
                self._pending.append((self.playback.audible_until, name))
            case Clear():
                yield from self._clear(now)
            case Press(digits):
                self.pressed += digits
            case HangUp():
                self.hung_up = True
            case Show() as words:
                self.shown.append(words)

    def _play(self, data: bytes, now: float) -> None:
        samples = self._decoder.decode(data)
        waiting = max(self.playback.audible_until - now, 0.0)
        most = self._can.queue_seconds + JITTER_SECONDS
        if waiting + samples.size / self.playback.rate > most:
            self._complain(f"more than {self._can.queue_seconds:g} s of audio wait")
            return
        self.playback.arrive(self.playback.next_offset, samples, now)

    def _clear(self, now: float) -> Iterator[Event]:
        left = max(self.playback.audible_until - now, 0.0)
        offset = self.playback.heard(now)
        self.playback.clear(offset, now)
        self.drops.append(Drop(offset, now, left))
        dropped, self._pending = self._pending, deque()
        if self._can.marks is Marks.PLAYED_OR_CLEARED:
            for _, name in dropped:
                self.marks += 1
                yield Reached(name)
        yield Emptied()

    def _complain(self, message: str) -> None:
        if len(self.complaints) < MOST_COMPLAINTS:
            self.complaints.append(message)
