"""Vonage Voice API, as an NCCO's `connect` action with a `websocket` endpoint opens the socket.

Audio is linear PCM in binary frames of 20 ms, everything else JSON in text frames;
https://developer.vonage.com/en/voice/voice-api/guides/websockets. What is odd about it: the call is
not named at all unless our NCCO does so (`voicemesh.carriers.answers.vonage`), by headers that come
back side by side with Vonage's own fields; what ends the call is the socket's end.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

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
    Marks,
    Play,
    Press,
    Pressed,
    Reached,
    Respond,
    Sounded,
    Stopped,
)
from voicemesh.carriers.reading import (
    Fields,
    read_message,
    read_object,
    read_optional_text,
    read_parameters,
    read_text,
)
from voicemesh.errors import InvalidInput, OutOfOrder

if TYPE_CHECKING:
    from collections.abc import Iterator

FRAME_MS = 20
HEADERS = {"call_id": "call_id", "account_id": "account_id", "caller": "from", "callee": "to"}
"""By which header our NCCO has Vonage tell a field of `Began`."""
_OWN = frozenset({"event", "content-type", *HEADERS.values()})
_CONTENT = "audio/l16;rate="
_KEYS = frozenset("0123456789*#ABCD")


class VonageApplication:
    """Our end."""

    def __init__(self, _settings: DialectSettings) -> None:
        self._format: AudioFormat | None = None

    def receive(self, frame: Frame) -> Iterator[Event]:
        if isinstance(frame, bytes):
            self._begun("audio").samples_in(frame, "frame")
            if frame:
                yield Sounded(frame)
            return
        message = read_message(frame)
        kind = read_text(message, "event")
        if kind == "websocket:connected":
            yield self._start(message)
        elif kind.startswith("websocket:"):
            self._begun(kind)
            yield from _during(kind, message)

    def send(self, command: Command) -> Iterator[Frame]:
        match command:
            case Play(data):
                yield from _framed(data, self._begun("play"))
            case Mark(name):
                yield _compact(action="notify", payload={"name": name})
            case Clear():
                yield _compact(action="clear")
            case Press() | HangUp():
                return

    def _begun(self, what: str) -> AudioFormat:
        if self._format is None:
            raise OutOfOrder(what, "came before websocket:connected")
        return self._format

    def _start(self, message: Fields) -> Began:
        if self._format is not None:
            raise OutOfOrder("websocket:connected", "came a second time")
        fmt = _read_format(message)
        told = {ours: read_optional_text(message, theirs) for ours, theirs in HEADERS.items()}
        others = {name: value for name, value in message.items() if name not in _OWN}
        parameters = read_parameters({"headers": others}, "headers")
        self._format = fmt
        return Began(**told, parameters=parameters, sent=fmt, played=fmt)


def _read_format(message: Fields) -> AudioFormat:
    content = read_text(message, "content-type").replace(" ", "").lower()
    rate = content.removeprefix(_CONTENT)
    if rate == content or not (rate.isascii() and rate.isdigit()) or len(rate) > len("48000"):
        raise InvalidInput("content-type", f"must be {_CONTENT} and samples per second")
    return AudioFormat(Encoding.LINEAR16, int(rate), "content-type")


def _during(kind: str, message: Fields) -> Iterator[Event]:
    if kind == "websocket:dtmf":
        digit = read_text(message, "digit", most=1)
        if digit not in _KEYS:
            raise InvalidInput("digit", "must be one of 0-9, *, #, A-D")
        yield Pressed(digit)
    elif kind == "websocket:notify":
        payload = read_object(message, "payload")
        if "name" in payload:
            yield Reached(read_text(payload, "name", "payload"))
    elif kind == "websocket:cleared":
        yield Emptied()


def _framed(data: bytes, fmt: AudioFormat) -> Iterator[bytes]:
    size = fmt.rate * FRAME_MS // 1000 * fmt.bytes_per_sample
    for begin in range(0, len(data), size):
        yield data[begin : begin + size]


class VonageCarrier:
    """Vonage's end."""

    def __init__(self, _settings: DialectSettings) -> None:
        self._format: AudioFormat | None = None

    def send(self, event: Event) -> Iterator[Frame]:
        match event:
            case Began():
                if event.sent != event.played or event.sent.encoding is not Encoding.LINEAR16:
                    raise InvalidInput("played", "must be linear PCM, as sent")
                self._format = event.played
                yield json.dumps(_hello(event), separators=(",", ":"))
            case Sounded(data):
                self._begun()
                yield data
            case Pressed(digit):
                yield _compact(event="websocket:dtmf", digit=digit, duration=260)
            case Reached(name):
                yield _compact(event="websocket:notify", payload={"name": name})
            case Emptied():
                yield _compact(event="websocket:cleared")
            case Stopped() | Respond():
                return

    def receive(self, frame: Frame) -> Iterator[Command]:
        if isinstance(frame, bytes):
            fmt = self._begun()
            size = fmt.rate * FRAME_MS // 1000 * fmt.bytes_per_sample
            if len(frame) != size:
                raise InvalidInput("frame", f"has {len(frame)} bytes, not {size}", limit=size)
            yield Play(frame)
            return
        message = read_message(frame)
        action = read_text(message, "action")
        if action == "clear":
            yield Clear()
        elif action == "notify":
            yield Mark(read_text(read_object(message, "payload"), "name", "payload"))
        else:
            raise InvalidInput("action", "must be clear or notify")

    def _begun(self) -> AudioFormat:
        if self._format is None:
            raise OutOfOrder("websocket:connected", "was not sent yet")
        return self._format


def _hello(began: Began) -> dict[str, str]:
    clash = _OWN.intersection(began.parameters)
    if clash:
        raise InvalidInput("parameters", f"must not be called {', '.join(sorted(clash))}")
    told = {theirs: getattr(began, ours) for ours, theirs in HEADERS.items()}
    return {
        "event": "websocket:connected",
        "content-type": f"{_CONTENT}{began.sent.rate}",
        **{name: value for name, value in told.items() if value},
        **began.parameters,
    }


def _compact(**fields: object) -> str:
    return json.dumps(fields, separators=(",", ":"))


DIALECT = Dialect(
    name="vonage",
    title="Vonage Voice API",
    capabilities=Capabilities(
        # Whether a clear also sends what was to be notified is not documented.
        marks=Marks.PLAYED_OR_CLEARED,
        frame_ms=FRAME_MS,
        whole_frames=True,
        queue_seconds=60.0,  # 3,072 messages
    ),
    application=VonageApplication,
    carrier=VonageCarrier,
)
