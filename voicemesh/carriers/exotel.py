"""Exotel's voice streams, as its Voicebot applet opens them.

JSON in text frames, Twilio's in snake case; https://developer.exotel.com/docs/agentstream/. What is
odd about it: audio is linear and little-endian by default, at the rate that the socket's address
asks for (`?sample-rate=16000`); the start's `media_format` writes numbers as text and names the
encoding differently on different pages; messages of ours must hold multiples of 320 bytes.
"""

from __future__ import annotations

import json
from base64 import b64encode
from typing import TYPE_CHECKING

from voicemesh.audio import AudioFormat, Encoding
from voicemesh.carriers.dialect import (
    LINEAR_8K,
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
    read_base64,
    read_count_text,
    read_message,
    read_object,
    read_optional_text,
    read_parameters,
    read_text,
)
from voicemesh.errors import InvalidInput, OutOfOrder

if TYPE_CHECKING:
    from collections.abc import Iterator

MULTIPLE = 320
"""Bytes of which a message of ours must hold a multiple."""
_LINEAR = frozenset({"", "audio/x-raw", "raw", "raw/slin", "slin", "base64", "audio/l16"})
_MULAW = "audio/x-mulaw"
_RATES = (8000, 16000, 24000)
_KEYS = "0123456789*#ABCD"
_MAX_MARK = 256


class ExotelApplication:
    """Our end."""

    def __init__(self, _settings: DialectSettings) -> None:
        self._stream = ""
        self._sent = LINEAR_8K
        self._quoted = ""
        self._chunk = -1

    def receive(self, frame: Frame) -> Iterator[Event]:
        message = read_message(frame)
        kind = read_text(message, "event")
        if kind == "start":
            yield self._start(message)
        elif kind in {"media", "dtmf", "mark", "stop"}:
            self._check_stream(message, kind)
            yield from self._during(kind, message)

    def send(self, command: Command) -> Iterator[Frame]:
        match command:
            case Play(data):
                payload = b64encode(data).decode("ascii")
                yield (
                    f'{{"event":"media","stream_sid":{self._sid()},'
                    f'"media":{{"payload":"{payload}"}}}}'
                )
            case Mark(name):
                mark = json.dumps({"name": name})
                yield f'{{"event":"mark","stream_sid":{self._sid()},"mark":{mark}}}'
            case Clear():
                yield f'{{"event":"clear","stream_sid":{self._sid()}}}'
            case Press() | HangUp():
                return

    def _sid(self) -> str:
        if not self._stream:
            raise OutOfOrder("start", "must come before anything can be sent")
        return self._quoted

    def _start(self, message: Fields) -> Began:
        if self._stream:
            raise OutOfOrder("start", "came a second time")
        start = read_object(message, "start")
        fmt = _read_format(start)
        began = Began(
            call_id=read_text(start, "call_sid", "start"),
            stream_id=read_text(start, "stream_sid", "start"),
            account_id=read_optional_text(start, "account_sid", "start"),
            caller=read_optional_text(start, "from", "start"),
            callee=read_optional_text(start, "to", "start"),
            parameters=read_parameters(start, "custom_parameters", "start"),
            sent=fmt,
            played=fmt,
        )
        self._stream, self._sent = began.stream_id, fmt
        self._quoted = json.dumps(began.stream_id)
        return began

    def _check_stream(self, message: Fields, kind: str) -> None:
        if not self._stream:
            raise OutOfOrder(kind, "came before start")
        if read_text(message, "stream_sid") != self._stream:
            raise OutOfOrder("stream_sid", "is not that of the start", reason="UNKNOWN_STREAM")

    def _during(self, kind: str, message: Fields) -> Iterator[Event]:
        if kind == "media":
            yield from self._media(read_object(message, "media"))
        elif kind == "dtmf":
            digit = read_text(read_object(message, "dtmf"), "digit", "dtmf", most=1).upper()
            if digit not in _KEYS:
                raise InvalidInput("dtmf.digit", "must be one of 0-9, *, #, A-D")
            yield Pressed(digit)
        elif kind == "mark":
            yield Reached(read_text(read_object(message, "mark"), "name", "mark", most=_MAX_MARK))
        else:
            yield Stopped(_read_reason(message))

    def _media(self, media: Fields) -> Iterator[Event]:
        chunk = read_count_text(media, "chunk", "media")
        if chunk <= self._chunk:
            raise OutOfOrder("media.chunk", f"is {chunk} behind {self._chunk}; must be higher")
        data = read_base64(media, "payload", "media")
        self._sent.samples_in(data, "media.payload")
        self._chunk = chunk
        if data:
            yield Sounded(data)


class ExotelCarrier:
    """Exotel's end."""

    def __init__(self, _settings: DialectSettings) -> None:
        self._began: Began | None = None
        self._sequence = 0
        self._chunk = 0
        self._samples = 0

    def send(self, event: Event) -> Iterator[Frame]:
        match event:
            case Began():
                self._began = event
                yield '{"event":"connected"}'
                yield self._numbered("start", start=_start(event))
            case Sounded(data):
                yield self._numbered("media", media=self._media(data))
            case Pressed(digit):
                yield self._numbered("dtmf", dtmf={"digit": digit, "duration": "100"})
            case Reached(name):
                yield self._numbered("mark", mark={"name": name})
            case Stopped(reason):
                began = self._there()
                sids = {"call_sid": began.call_id, "account_sid": began.account_id}
                yield self._numbered("stop", stop={**sids, "reason": reason})
            case Emptied() | Respond():
                return

    def receive(self, frame: Frame) -> Iterator[Command]:
        message = read_message(frame)
        began = self._there()
        kind = read_text(message, "event")
        if kind not in {"media", "mark", "clear"}:
            raise InvalidInput("event", "must be media, mark or clear")
        if read_text(message, "stream_sid") != began.stream_id:
            raise InvalidInput("stream_sid", "is not that of the start")
        if kind == "media":
            data = read_base64(read_object(message, "media"), "payload", "media")
            if not data or len(data) % MULTIPLE:
                raise InvalidInput("media.payload", f"must hold a multiple of {MULTIPLE} bytes")
            yield Play(data)
        elif kind == "mark":
            yield Mark(read_text(read_object(message, "mark"), "name", "mark", most=_MAX_MARK))
        else:
            yield Clear()

    def _there(self) -> Began:
        if self._began is None:
            raise OutOfOrder("start", "was not sent yet")
        return self._began

    def _media(self, data: bytes) -> dict[str, str]:
        fmt = self._there().sent
        self._chunk += 1
        at = self._samples * 1000 // fmt.rate
        self._samples += fmt.samples_in(data)
        payload = b64encode(data).decode("ascii")
        return {"chunk": str(self._chunk), "timestamp": str(at), "payload": payload}

    def _numbered(self, kind: str, **fields: object) -> str:
        stream = self._there().stream_id
        self._sequence += 1
        body = {"event": kind, "sequence_number": str(self._sequence), "stream_sid": stream}
        return json.dumps(body | fields, separators=(",", ":"))


def _start(began: Began) -> dict[str, object]:
    if began.sent != began.played or began.sent.encoding is Encoding.ALAW:
        raise InvalidInput("sent", "and played must be the same: mulaw or linear16")
    mulaw = began.sent.encoding is Encoding.MULAW
    return {
        "stream_sid": began.stream_id,
        "call_sid": began.call_id,
        "account_sid": began.account_id,
        "from": began.caller,
        "to": began.callee,
        "custom_parameters": dict(began.parameters),
        "media_format": {
            "encoding": _MULAW if mulaw else "audio/x-raw",
            "sample_rate": str(began.sent.rate),
            "bit_rate": "8" if mulaw else "16",
        },
    }


def _read_format(start: Fields) -> AudioFormat:
    if start.get("media_format") is None:
        return LINEAR_8K
    place = "start.media_format"
    told = read_object(start, "media_format", "start")
    name = read_optional_text(told, "encoding", place).lower()
    if name != _MULAW and name not in _LINEAR:
        raise InvalidInput(f"{place}.encoding", f"must be audio/x-raw or {_MULAW}")
    rate = _read_rate(told, place)
    return AudioFormat(Encoding.MULAW if name == _MULAW else Encoding.LINEAR16, rate, place)


def _read_rate(told: Fields, place: str) -> int:
    value = told.get("sample_rate")
    rate = value if type(value) is int else read_count_text(told, "sample_rate", place)
    if rate not in _RATES:
        raise InvalidInput(f"{place}.sample_rate", "must be 8000, 16000 or 24000")
    return rate


def _read_reason(message: Fields) -> str:
    stop = message.get("stop")
    return read_optional_text(stop, "reason", "stop") if isinstance(stop, dict) else ""


DIALECT = Dialect(
    name="exotel",
    title="Exotel",
    capabilities=Capabilities(
        marks=Marks.PLAYED_OR_CLEARED, frame_ms=100, whole_frames=True, queue_seconds=20.0
    ),
    application=ExotelApplication,
    carrier=ExotelCarrier,
    usual=LINEAR_8K,
)
