"""Asterisk's AudioSocket: a TCP stream of packets, each a kind, a length (16 bits) and data.

https://docs.asterisk.org/Configuration/Channel-Drivers/AudioSocket/. What is odd about it: it names
the call by a UUID that the dialplan chose and tells nothing else; the rate shows only with the
first packet of audio, so the call begins with that one; what we send is played as it comes, and
nothing of it can be taken back, so the leg must send it in time and not ahead.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from voicemesh.audio import AudioFormat, Encoding
from voicemesh.carriers.dialect import (
    Began,
    Capabilities,
    Clear,
    Command,
    Dialect,
    DialectSettings,
    Emptied,
    Event,
    Frame,
    HangUp,
    Mark,
    Play,
    Press,
    Pressed,
    Reached,
    Respond,
    Sounded,
    Stopped,
    Transport,
)
from voicemesh.errors import InvalidInput, OutOfOrder

if TYPE_CHECKING:
    from collections.abc import Iterator

FRAME_MS = 20
HANGUP, IDENTITY, DIGIT, ERROR = 0x00, 0x01, 0x03, 0xFF
AUDIO_RATES = {
    0x10: 8000,
    0x11: 12000,
    0x12: 16000,
    0x13: 24000,
    0x14: 32000,
    0x15: 44100,
    0x16: 48000,
    0x17: 96000,
    0x18: 192000,
}
"""Samples per second of signed 16-bit little-endian audio, by kind."""
_AUDIO_KINDS = {rate: kind for kind, rate in AUDIO_RATES.items()}
_ERRORS = {b"\x01": "hung up", b"\x02": "a frame was not forwarded", b"\x04": "out of memory"}
_HEADER = 3
_MAX_DIGITS = 32
_KEYS = frozenset("0123456789*#ABCD")


class Packets:
    """Cuts a stream into packets, whatever pieces it comes in."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def cut(self, piece: Frame) -> list[tuple[int, bytes]]:
        """Return kind and data of what is complete; what is not stays (64 KiB at most)."""
        if isinstance(piece, str):
            raise InvalidInput("frame", "must be bytes, not text")
        rest = self._rest
        rest += piece
        packets = []
        begin = 0
        while len(rest) - begin >= _HEADER:
            data = begin + _HEADER
            end = data + int.from_bytes(rest[begin + 1 : data], "big")
            if end > len(rest):
                break
            packets.append((rest[begin], bytes(rest[data:end])))
            begin = end
        del rest[:begin]
        return packets


def write_packet(kind: int, data: bytes = b"") -> bytes:
    """Write one packet; `data` has at most 65535 bytes."""
    return bytes([kind]) + len(data).to_bytes(2, "big") + data


class AudioSocketApplication:
    """Our end."""

    def __init__(self, _settings: DialectSettings) -> None:
        self._packets = Packets()
        self._call: UUID | None = None
        self._kind = 0
        self._early: list[Event] = []

    def receive(self, frame: Frame) -> Iterator[Event]:
        for kind, data in self._packets.cut(frame):
            if kind in AUDIO_RATES:
                yield from self._audio(kind, data)
            elif kind == IDENTITY:
                self._identify(data)
            elif kind == DIGIT:
                yield from self._digit(data)
            elif kind == HANGUP:
                yield Stopped("hung up")
            elif kind == ERROR:
                yield Stopped(_ERRORS.get(data, "error"))

    def send(self, command: Command) -> Iterator[Frame]:
        match command:
            case Play(data):
                fmt = _format(self._kind)
                yield b"".join(write_packet(self._kind, piece) for piece in _framed(data, fmt))
            case HangUp():
                yield write_packet(HANGUP)
            case Mark() | Clear() | Press():
                return

    def _identify(self, data: bytes) -> None:
        if self._call is not None:
            raise OutOfOrder("uuid", "came a second time")
        if len(data) != 16:
            raise InvalidInput("uuid", f"has {len(data)} bytes, not 16", limit=16)
        self._call = UUID(bytes=data)

    def _audio(self, kind: int, data: bytes) -> Iterator[Event]:
        if self._call is None:
            raise OutOfOrder("audio", "came before uuid")
        fmt = _format(kind)
        fmt.samples_in(data, "audio")
        if not self._kind:
            self._kind = kind
            yield Began(call_id=str(self._call), sent=fmt, played=fmt)
            yield from self._early
            self._early.clear()
        elif kind != self._kind:
            raise OutOfOrder("audio", f"changed its kind from {self._kind:#04x} to {kind:#04x}")
        if data:
            yield Sounded(data)

    def _digit(self, data: bytes) -> Iterator[Event]:
        digit = data.decode("latin-1")
        if len(digit) != 1 or digit not in _KEYS:
            raise InvalidInput("dtmf", "must be one of 0-9, *, #, A-D")
        if self._kind:
            yield Pressed(digit)
        elif self._call is None:
            raise OutOfOrder("dtmf", "came before uuid")
        elif len(self._early) >= _MAX_DIGITS:
            raise OutOfOrder("dtmf", f"came {_MAX_DIGITS} times before any audio")
        else:
            self._early.append(Pressed(digit))


def _format(kind: int) -> AudioFormat:
    if not kind:
        raise OutOfOrder("play", "must wait for the first audio")
    return AudioFormat(Encoding.LINEAR16, AUDIO_RATES[kind], "audio")


def _framed(data: bytes, fmt: AudioFormat) -> Iterator[bytes]:
    size = fmt.rate * FRAME_MS // 1000 * fmt.bytes_per_sample
    for begin in range(0, len(data), size):
        yield data[begin : begin + size]


class AudioSocketCarrier:
    """Asterisk's end."""

    def __init__(self, _settings: DialectSettings) -> None:
        self._packets = Packets()
        self._kind = 0

    def send(self, event: Event) -> Iterator[Frame]:
        match event:
            case Began():
                _check_linear(event.sent)
                yield write_packet(IDENTITY, _read_uuid(event.call_id).bytes)
                # Asterisk's audio flows from the start; empty, it tells the rate and nothing more.
                self._kind = _AUDIO_KINDS[event.sent.rate]
                yield write_packet(self._kind)
            case Sounded(data):
                yield write_packet(self._begun(), data)
            case Pressed(digit):
                yield write_packet(DIGIT, digit.encode("ascii"))
            case Stopped():
                yield write_packet(HANGUP)
            case Reached() | Emptied() | Respond():
                return

    def receive(self, frame: Frame) -> Iterator[Command]:
        for kind, data in self._packets.cut(frame):
            if kind == HANGUP:
                yield HangUp()
            elif kind == self._begun():
                _format(kind).samples_in(data, "audio")
                yield Play(data)
            else:
                raise InvalidInput("kind", f"is {kind:#04x}, not {self._kind:#04x} or 0x00")

    def _begun(self) -> int:
        if not self._kind:
            raise OutOfOrder("uuid", "was not sent yet")
        return self._kind


def _check_linear(fmt: AudioFormat) -> None:
    if fmt.encoding is not Encoding.LINEAR16:
        raise InvalidInput("sent", "must be linear PCM")


def _read_uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as error:
        raise InvalidInput("call_id", "must be a UUID") from error


DIALECT = Dialect(
    name="audiosocket",
    title="Asterisk AudioSocket",
    capabilities=Capabilities(
        clears=False,
        hangs_up=True,
        frame_ms=FRAME_MS,
        whole_frames=True,
        queue_seconds=0.1,
    ),
    application=AudioSocketApplication,
    carrier=AudioSocketCarrier,
    transport=Transport.TCP,
)
