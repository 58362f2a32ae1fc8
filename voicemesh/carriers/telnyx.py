"""Telnyx' media streams, in both directions and with the RTP mode for what we send.

JSON in text frames; https://developers.telnyx.com/docs/voice/programmable-voice/media-streaming.
What is odd about it: the order of media is not guaranteed, so it is restored here; our messages
name no stream; the codec of what we send is the one that was asked for when streaming was started
(PCMU, as our answer document and our API calls ask) and need not be that of what comes. L16 is
taken for little-endian; the documentation does not say.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
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
from voicemesh.carriers.ordering import Ordering
from voicemesh.carriers.reading import (
    Fields,
    read_base64,
    read_count,
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

ENCODINGS = {"PCMU": Encoding.MULAW, "PCMA": Encoding.ALAW, "L16": Encoding.LINEAR16}
_NAMES = {encoding: name for name, encoding in ENCODINGS.items()}
_SILENCE = {Encoding.MULAW: 0xFF, Encoding.ALAW: 0xD5, Encoding.LINEAR16: 0}
_KEYS = "0123456789*#ABCD"
_MAX_MARK = 256
_MAX_STATE = 4096


class TelnyxApplication:
    """Our end."""

    def __init__(self, _settings: DialectSettings) -> None:
        self._began: Began | None = None
        self._sent = MULAW_8K
        self._ordering = Ordering(0)

    def receive(self, frame: Frame) -> Iterator[Event]:
        message = read_message(frame)
        kind = read_text(message, "event")
        if kind == "start":
            yield self._start(message)
        elif kind in {"media", "dtmf", "mark", "stop"}:
            self._check_stream(message, kind)
            yield from self._during(kind, message)
        elif kind == "error":
            raise InvalidInput("payload", _complaint(message), reason="CARRIER_COMPLAINED")

    def send(self, command: Command) -> Iterator[Frame]:
        if isinstance(command, HangUp | Press):
            return
        if self._began is None:
            raise OutOfOrder("start", "must come before anything can be sent")
        match command:
            case Play(data):
                payload = b64encode(data).decode("ascii")
                yield f'{{"event":"media","media":{{"payload":"{payload}"}}}}'
            case Mark(name):
                yield f'{{"event":"mark","mark":{json.dumps({"name": name})}}}'
            case Clear():
                yield '{"event":"clear"}'

    def _start(self, message: Fields) -> Began:
        if self._began:
            raise OutOfOrder("start", "came a second time")
        start = read_object(message, "start")
        began = Began(
            call_id=read_text(start, "call_control_id", "start"),
            stream_id=read_text(message, "stream_id"),
            account_id=read_optional_text(start, "user_id", "start"),
            caller=read_optional_text(start, "from", "start"),
            callee=read_optional_text(start, "to", "start"),
            parameters=_read_state(start) | read_parameters(start, "custom_parameters", "start"),
            sent=_read_format(read_object(start, "media_format", "start")),
            played=MULAW_8K,
        )
        self._began, self._sent = began, began.sent
        self._ordering = Ordering(_SILENCE[began.sent.encoding])
        return began

    def _check_stream(self, message: Fields, kind: str) -> None:
        if not self._began:
            raise OutOfOrder(kind, "came before start")
        if read_text(message, "stream_id") != self._began.stream_id:
            raise OutOfOrder("stream_id", "is not that of the start", reason="UNKNOWN_STREAM")

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
            for piece in self._ordering.flush():
                yield Sounded(piece)
            yield Stopped()

    def _media(self, media: Fields) -> Iterator[Event]:
        if read_text(media, "track", "media") != "inbound":
            return  # what we sent, told back
        number = read_count_text(media, "chunk", "media")
        data = read_base64(media, "payload", "media")
        self._sent.samples_in(data, "media.payload")
        for piece in self._ordering.put(number, data):
            if piece:
                yield Sounded(piece)


class TelnyxCarrier:
    """Telnyx' end; sends in order."""

    def __init__(self, _settings: DialectSettings) -> None:
        self._began: Began | None = None
        self._sequence = 0
        self._chunk = 0
        self._samples = 0

    def send(self, event: Event) -> Iterator[Frame]:
        match event:
            case Began():
                self._began = event
                yield '{"event":"connected","version":"1.0.0"}'
                yield self._numbered("start", start=_start(event))
            case Sounded(data):
                yield self._numbered("media", media=self._media(data))
            case Pressed(digit):
                yield self._numbered("dtmf", dtmf={"digit": digit})
            case Reached(name):
                yield self._numbered("mark", mark={"name": name})
            case Stopped():
                began = self._there()
                names = {"user_id": began.account_id, "call_control_id": began.call_id}
                yield self._numbered("stop", stop=names)
            case Emptied() | Respond():
                return

    def receive(self, frame: Frame) -> Iterator[Command]:
        message = read_message(frame)
        began = self._there()
        kind = read_text(message, "event")
        if kind == "media":
            data = read_base64(read_object(message, "media"), "payload", "media")
            began.played.samples_in(data, "media.payload")
            yield Play(data)
        elif kind == "mark":
            yield Mark(read_text(read_object(message, "mark"), "name", "mark", most=_MAX_MARK))
        elif kind == "clear":
            yield Clear()
        else:
            raise InvalidInput("event", "must be media, mark or clear")

    def _there(self) -> Began:
        if self._began is None:
            raise OutOfOrder("start", "was not sent yet")
        return self._began

    def _media(self, data: bytes) -> dict[str, str]:
        fmt = self._there().sent
        self._chunk += 1
        at = self._samples * 1000 // fmt.rate
        self._samples += fmt.samples_in(data)
        return {
            "track": "inbound",
            "chunk": str(self._chunk),
            "timestamp": str(at),
            "payload": b64encode(data).decode("ascii"),
        }

    def _numbered(self, kind: str, **fields: object) -> str:
        stream = self._there().stream_id
        self._sequence += 1
        body = {"event": kind, "sequence_number": str(self._sequence), "stream_id": stream}
        return json.dumps(body | fields, separators=(",", ":"))


def write_state(parameters: dict[str, str]) -> str:
    """Write parameters as `client_state`, which a stream that an API call started tells back."""
    return b64encode(json.dumps(parameters, separators=(",", ":")).encode()).decode("ascii")


def _read_state(start: Fields) -> dict[str, str]:
    told = read_optional_text(start, "client_state", "start", most=_MAX_STATE)
    try:
        state = read_message(b64decode(told, validate=True).decode()) if told else {}
        return read_parameters({"client_state": state}, "client_state", "start")
    except (ValueError, InvalidInput):
        return {}  # somebody else's state: any base64 is allowed there


def _start(began: Began) -> dict[str, object]:
    if began.played != MULAW_8K:
        raise InvalidInput("played", "must be mulaw at 8000, which is what we ask Telnyx for")
    return {
        "user_id": began.account_id,
        "call_control_id": began.call_id,
        "from": began.caller,
        "to": began.callee,
        "custom_parameters": dict(began.parameters),
        "media_format": {
            "encoding": _NAMES[began.sent.encoding],
            "sample_rate": began.sent.rate,
            "channels": 1,
        },
    }


def _read_format(told: Fields) -> AudioFormat:
    place = "start.media_format"
    encoding = ENCODINGS.get(read_text(told, "encoding", place).upper())
    if encoding is None:
        raise InvalidInput(f"{place}.encoding", f"must be one of {', '.join(ENCODINGS)}")
    if told.get("channels") is not None and read_count(told, "channels", place) != 1:
        raise InvalidInput(f"{place}.channels", "must be 1")
    return AudioFormat(encoding, read_count(told, "sample_rate", place), place)


def _complaint(message: Fields) -> str:
    payload = message.get("payload")
    told = payload if isinstance(payload, dict) else {}
    said = [str(told[name])[:128] for name in ("code", "title", "detail") if told.get(name)]
    return f"Telnyx complains: {' '.join(said) or 'no reason given'}"


DIALECT = Dialect(
    name="telnyx",
    title="Telnyx",
    capabilities=Capabilities(marks=Marks.PLAYED_OR_CLEARED),
    application=TelnyxApplication,
    carrier=TelnyxCarrier,
)
