"""What a carrier's media socket speaks, without the socket.

A dialect has two ends. The *application* is ours: a gateway takes the carrier's frames in and gets
events, and gives commands and gets frames. The *carrier* is the other end, which the emulator
plays: frames are commands to it, and events become frames. What one end writes the other reads::

    application.receive(carrier.send(event)) == [event]
    carrier.receive(application.send(command)) == [command]

No end reads a clock, keeps a queue of audio or knows a voice bot. A frame is text or bytes, as the
WebSocket has it; over TCP it is whatever bytes came.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol, TypeAlias

from voicemesh.audio import AudioFormat, Encoding

Frame: TypeAlias = str | bytes

MAX_FRAME_BYTES = 64 * 1024
"""A longer frame is refused before a dialect sees it."""

MULAW_8K = AudioFormat(Encoding.MULAW, 8000)
ALAW_8K = AudioFormat(Encoding.ALAW, 8000)
LINEAR_8K = AudioFormat(Encoding.LINEAR16, 8000)
LINEAR_16K = AudioFormat(Encoding.LINEAR16, 16000)


# What a carrier tells.


@dataclass(frozen=True, slots=True)
class Began:
    """The call is there; comes once, before all others but `Respond`."""

    call_id: str
    """The carrier's own name of the call; as long as it likes, up to 128 characters."""
    stream_id: str = ""
    """The carrier's name of this media stream, where it has one."""
    account_id: str = ""
    """The carrier's name of the account, where it tells."""
    caller: str = ""
    """Number or address of who calls, where the socket tells."""
    callee: str = ""
    """Number or address that was called, where the socket tells."""
    parameters: Mapping[str, str] = field(default_factory=dict)
    """What our answer document asked to be passed on."""
    sent: AudioFormat = MULAW_8K
    """The form of the caller's audio."""
    played: AudioFormat = MULAW_8K
    """The form in which the bot's audio is wanted."""


@dataclass(frozen=True, slots=True)
class Sounded:
    """The next of the caller's audio: in order, without gaps, in the format that `Began` told."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Pressed:
    """The caller pressed one key: 0-9, *, #, A-D."""

    digit: str


@dataclass(frozen=True, slots=True)
class Told:
    """What the caller said, in words: from a carrier that hears by itself."""

    text: str


@dataclass(frozen=True, slots=True)
class Hushed:
    """The caller spoke over the bot, and a carrier that speaks by itself has fallen silent."""

    heard: str
    """What of its words the caller heard."""


@dataclass(frozen=True, slots=True)
class Reached:
    """A mark was reached. Says nothing of playback if the carrier also tells this for a clear."""

    name: str


@dataclass(frozen=True, slots=True)
class Emptied:
    """A clear was carried out."""


@dataclass(frozen=True, slots=True)
class Stopped:
    """The call, or its media, is over on the carrier's side."""

    reason: str = ""


@dataclass(frozen=True, slots=True)
class Respond:
    """The protocol wants this frame back at once; no business of the call's."""

    frame: Frame


Event: TypeAlias = Began | Sounded | Pressed | Told | Hushed | Reached | Emptied | Stopped | Respond


# What an application wants.


@dataclass(frozen=True, slots=True)
class Play:
    """Play this behind what was given before; whole samples in the format of `Began.played`."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Mark:
    """Tell (`Reached`) when everything before this was played; at most 40 characters."""

    name: str


@dataclass(frozen=True, slots=True)
class Clear:
    """Drop what is not played yet."""


@dataclass(frozen=True, slots=True)
class Press:
    """Send digits to the caller's side."""

    digits: str


@dataclass(frozen=True, slots=True)
class HangUp:
    """End the call, where the socket has a message for it; the socket is closed behind it."""

    reason: str = ""


@dataclass(frozen=True, slots=True)
class Show:
    """Show words; only where `Capabilities.shows`."""

    bot: bool
    """Whether the bot says them; else the caller does."""
    text: str
    final: bool = True
    """Whether they stay; else the next ones of the same speaker replace them."""


Command: TypeAlias = Play | Mark | Clear | Press | HangUp | Show


class Application(Protocol):
    """Our end of one connection."""

    def receive(self, frame: Frame) -> Iterable[Event]:
        """Read what the carrier sent.

        Unknown messages and fields are passed over. Raises InvalidInput, naming the field, for what
        is malformed, and OutOfOrder for what may not come now (media before the start, a second
        start, another stream's name).
        """

    def send(self, command: Command) -> Iterable[Frame]:
        """Write a command: nothing where the carrier cannot (`Capabilities` says so)."""


class Carrier(Protocol):
    """The carrier's end of one connection, for the emulator and for tests."""

    def send(self, event: Event) -> Iterable[Frame]:
        """Write what happens; `Began` also writes whatever hello comes before it."""

    def receive(self, frame: Frame) -> Iterable[Command]:
        """Read what the application wants; raises InvalidInput where the carrier would complain."""


class Marks(Enum):
    """What a mark that comes back proves."""

    NONE = "none"
    """There are no marks."""
    PLAYED = "played"
    """What lay before it was played."""
    PLAYED_OR_CLEARED = "played_or_cleared"
    """What lay before it was played, or dropped by a clear."""


class Transport(Enum):
    """What carries the frames."""

    WEBSOCKET = "websocket"
    TCP = "tcp"


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a carrier's socket can do; the leg makes up for the rest."""

    marks: Marks = Marks.NONE
    clears: bool = True
    """Whether it can drop what it holds; if not, nothing may be sent far ahead."""
    presses: bool = False
    """Whether it can send digits out."""
    hangs_up: bool = False
    """Whether there is a message that ends the call; if not, closing the socket does."""
    shows: bool = False
    """Whether it has somebody to show words to."""
    speaks: bool = False
    """Whether it hears and speaks by itself: words go both ways, and no sound."""
    frame_ms: int = 20
    """Audio in one message of ours, at least; a last shorter one is filled up with silence if
    `whole_frames` is set."""
    whole_frames: bool = False
    """Whether messages must be multiples of `frame_ms`."""
    queue_seconds: float = 30.0
    """How much audio it will hold; more is never sent ahead."""


@dataclass(frozen=True, slots=True)
class DialectSettings:
    """What an operator may choose; every dialect takes what concerns it."""

    teler_audio_shape: str = "flat"
    """`flat`, `nested` or `both`: Teler's sources disagree."""
    teler_playback_rate: int = 8000
    """Rate at which Teler plays, 8000 or 16000."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """One carrier: a row of the table."""

    name: str
    """As in the path of its socket and in `voicemesh emulate NAME`; lower case."""
    title: str
    """As its own users write it."""
    capabilities: Capabilities
    application: Callable[[DialectSettings], Application]
    carrier: Callable[[DialectSettings], Carrier]
    transport: Transport = Transport.WEBSOCKET
    subprotocol: str = ""
    """WebSocket subprotocol to be agreed on, if the carrier wants one."""
    usual: AudioFormat = MULAW_8K
    """The caller's audio unless something else is asked for, if this carrier can send it."""
