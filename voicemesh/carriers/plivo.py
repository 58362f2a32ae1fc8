"""Plivo's audio streams, as `<Stream bidirectional="true">` opens them.

JSON in text frames; https://www.plivo.com/docs/voice-agents/audio-streaming/. What is odd about
it: numbers are numbers; what the answer document passed on comes as one text of pairs; a checkpoint
comes back (`playedStream`) only if what lay before it was really played; a stop is not promised,
the socket just closes.
"""

from __future__ import annotations

import json
import re
from base64 import b64encode
from typing import TYPE_CHECKING

from voicemesh.audio import AudioFormat, Encoding
from voicemesh.carriers.dialect import (
    MULAW_8K,
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
    MAX_PARAMETER,
    MAX_PARAMETERS,
    Fields,
    read_base64,
    read_count,
    read_message,
    read_object,
    read_optional_text,
    read_text,
)
from voicemesh.errors import InvalidInput, OutOfOrder

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ENCODINGS = {"audio/x-mulaw": Encoding.MULAW, "audio/x-l16": Encoding.LINEAR16}
_NAMES = {encoding: name for name, encoding in ENCODINGS.items()}
_RATES = {Encoding.MULAW: (8000,), Encoding.LINEAR16: (8000, 16000)}
_KEYS = "0123456789*#ABCD"
_MAX_DIGITS = 64
_MAX_MARK = 256
_MAX_HEADERS = 4096


class PlivoApplication:
    """Our end."""

    def __init__(self, _settings: DialectSettings) -> None:
        self._began: Began | None = None
        self._sent = MULAW_8K
        self._quoted = ""
        self._form = ""
        self._chunk = -1

    def receive(self, frame: Frame) -> Iterator[Event]:
        message = read_message(frame)
        kind = read_text(message, "event")
        if kind == "start":
            yield self._start(message)
        elif kind in {"media", "dtmf", "playedStream", "clearedAudio", "stop"}:
            self._check_stream(message, kind)
            yield from self._during(kind, message)

    def send(self, command: Command) -> Iterator[Frame]:
        if self._began is None:
            if not isinstance(command, HangUp):
                raise OutOfOrder("start", "must come before anything can be sent")
            return
        match command:
            case Play(data):
                payload = b64encode(data).decode("ascii")
                yield (
                    f'{{"event":"playAudio","streamId":{self._quoted},'
                    f'"media":{{{self._form},"payload":"{payload}"}}}}'
                )
            case Mark(name):
                yield (
                    f'{{"event":"checkpoint","streamId":{self._quoted},"name":{json.dumps(name)}}}'
                )
            case Clear():
                yield f'{{"event":"clearAudio","streamId":{self._quoted}}}'
            case Press(digits):
                yield _compact(event="sendDTMF", dtmf=digits)
            case HangUp():
                return

    def _start(self, message: Fields) -> Began:
        if self._began:
            raise OutOfOrder("start", "came a second time")
        start = read_object(message, "start")
        fmt = _read_format(read_object(start, "mediaFormat", "start"))
        stream = read_text(start, "streamId", "start")
        self._began = Began(
            call_id=read_text(start, "callId", "start"),
            stream_id=stream,
            account_id=read_optional_text(start, "accountId", "start"),
            parameters=_read_pairs(message),
            sent=fmt,
            played=fmt,
        )
        self._sent, self._quoted = fmt, json.dumps(stream)
        self._form = f'"contentType":"{_NAMES[fmt.encoding]}","sampleRate":{fmt.rate}'
        return self._began

    def _check_stream(self, message: Fields, kind: str) -> None:
        if not self._began:
            raise OutOfOrder(kind, "came before start")
        if read_optional_text(message, "streamId") not in {"", self._began.stream_id}:
            raise OutOfOrder("streamId", "is not that of the start", reason="UNKNOWN_STREAM")

    def _during(self, kind: str, message: Fields) -> Iterator[Event]:
        if kind == "media":
            yield from self._media(read_object(message, "media"))
        elif kind == "dtmf":
            yield Pressed(_read_digit(read_object(message, "dtmf")))
        elif kind == "playedStream":
            yield Reached(read_text(message, "name", most=_MAX_MARK))
        elif kind == "clearedAudio":
            yield Emptied()
        else:
            yield Stopped()

    def _media(self, media: Fields) -> Iterator[Event]:
        if read_text(media, "track", "media") != "inbound":
            return  # what we sent, told back
        chunk = read_count(media, "chunk", "media")
        if chunk <= self._chunk:
            raise OutOfOrder("media.chunk", f"is {chunk} behind {self._chunk}; must be higher")
        data = read_base64(media, "payload", "media")
        self._sent.samples_in(data, "media.payload")
        self._chunk = chunk
        if data:
            yield Sounded(data)


class PlivoCarrier:
    """Plivo's end."""

    def __init__(self, _settings: DialectSettings) -> None:
        self._began: Began | None = None
        self._sequence = 0
        self._chunk = 0
        self._samples = 0

    def send(self, event: Event) -> Iterator[Frame]:
        match event:
            case Began():
                self._began = event
                yield self._start(event)
            case Sounded(data):
                yield self._numbered("media", media=self._media(data))
            case Pressed(digit):
                pressed = {"track": "inbound", "digit": digit, "timestamp": str(self._now())}
                yield self._numbered("dtmf", dtmf=pressed)
            case Reached(name):
                yield self._numbered("playedStream", name=name)
            case Emptied():
                yield self._numbered("clearedAudio")
            case Stopped() | Respond():
                return

    def receive(self, frame: Frame) -> Iterator[Command]:
        message = read_message(frame)
        began = self._there()
        kind = read_text(message, "event")
        if read_optional_text(message, "streamId") not in {"", began.stream_id}:
            raise InvalidInput("streamId", "is not that of the start")
        if kind == "playAudio":
            yield Play(_read_sound(read_object(message, "media"), began.played))
        elif kind == "checkpoint":
            yield Mark(read_text(message, "name", most=_MAX_MARK))
        elif kind == "clearAudio":
            yield Clear()
        elif kind == "sendDTMF":
            yield Press(_read_digits(message, "dtmf"))
        else:
            raise InvalidInput("event", "must be playAudio, checkpoint, clearAudio or sendDTMF")

    def _there(self) -> Began:
        if self._began is None:
            raise OutOfOrder("start", "was not sent yet")
        return self._began

    def _start(self, began: Began) -> str:
        if began.sent != began.played or began.sent.rate not in _RATES.get(began.sent.encoding, ()):
            raise InvalidInput("sent", "and played must be the same: mulaw, or linear16 to 16000")
        self._sequence += 1
        start = {
            "callId": began.call_id,
            "streamId": began.stream_id,
            "accountId": began.account_id,
            "tracks": ["inbound"],
            "mediaFormat": {
                "encoding": _NAMES[began.sent.encoding],
                "sampleRate": began.sent.rate,
            },
        }
        number, pairs = self._sequence, _pairs(began.parameters)
        return _compact(event="start", sequenceNumber=number, start=start, extra_headers=pairs)

    def _now(self) -> int:
        return self._samples * 1000 // self._there().sent.rate

    def _media(self, data: bytes) -> dict[str, object]:
        at = self._now()
        self._chunk += 1
        self._samples += self._there().sent.samples_in(data)
        payload = b64encode(data).decode("ascii")
        return {"track": "inbound", "timestamp": str(at), "chunk": self._chunk, "payload": payload}

    def _numbered(self, kind: str, **fields: object) -> str:
        stream = self._there().stream_id
        self._sequence += 1
        return _compact(event=kind, sequenceNumber=self._sequence, streamId=stream, **fields)


def _pairs(parameters: Mapping[str, str]) -> str:
    for name, value in parameters.items():
        if not name or set(name + value) & set(";,=:{}") or name + value != (name + value).strip():
            raise InvalidInput("parameters", f"{name!r}: ; , = : and braces part the pairs")
    return ";".join(f"{name}={value}" for name, value in parameters.items())


def _read_pairs(message: Fields) -> dict[str, str]:
    # Plivo's pages separate the pairs by `;` in one place and by `,` in another.
    told = read_optional_text(message, "extra_headers", most=_MAX_HEADERS)
    pairs: dict[str, str] = {}
    for pair in re.split("[;,]", told.strip("{}")):
        name, is_pair, value = pair.partition("=" if "=" in pair else ":")
        if not is_pair:
            continue
        pairs[name.strip()] = value.strip()
        if len(pairs) > MAX_PARAMETERS or max(len(name), len(value)) > MAX_PARAMETER:
            raise InvalidInput("extra_headers", "has too many pairs, or too long ones")
    return pairs


def _read_format(told: Fields) -> AudioFormat:
    place = "start.mediaFormat"
    encoding = ENCODINGS.get(read_text(told, "encoding", place))
    if encoding is None:
        raise InvalidInput(f"{place}.encoding", f"must be one of {', '.join(ENCODINGS)}")
    rate = read_count(told, "sampleRate", place)
    if rate not in _RATES[encoding]:
        raise InvalidInput(f"{place}.sampleRate", f"must be one of {_RATES[encoding]}")
    return AudioFormat(encoding, rate)


def _read_sound(media: Fields, played: AudioFormat) -> bytes:
    if read_text(media, "contentType", "media") != _NAMES[played.encoding]:
        raise InvalidInput("media.contentType", f"must be {_NAMES[played.encoding]}")
    if read_count(media, "sampleRate", "media") != played.rate:
        raise InvalidInput("media.sampleRate", f"must be {played.rate}")
    data = read_base64(media, "payload", "media")
    played.samples_in(data, "media.payload")
    return data


def _read_digit(pressed: Fields) -> str:
    digit = read_text(pressed, "digit", "dtmf", most=1).upper()
    if digit not in _KEYS:
        raise InvalidInput("dtmf.digit", "must be one of 0-9, *, #, A-D")
    return digit


def _read_digits(message: Fields, name: str) -> str:
    digits = read_text(message, name, most=_MAX_DIGITS)
    if digits.strip(_KEYS):
        raise InvalidInput(name, "must be made of 0-9, *, #, A-D")
    return digits


def _compact(**fields: object) -> str:
    return json.dumps(fields, separators=(",", ":"))


DIALECT = Dialect(
    name="plivo",
    title="Plivo",
    capabilities=Capabilities(marks=Marks.PLAYED, presses=True),
    application=PlivoApplication,
    carrier=PlivoCarrier,
)
