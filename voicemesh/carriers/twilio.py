"""Twilio Media Streams, as `<Connect><Stream>` opens them.

JSON in text frames; https://www.twilio.com/docs/voice/media-streams/websocket-messages. What is
odd about it: numbers are written as text, except those of `mediaFormat`; a mark comes back when
what lies before it was played, and also at once for each pending one after a clear.
"""

from __future__ import annotations

import binascii
import json
import re
from base64 import b64encode
from typing import TYPE_CHECKING, ClassVar

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
    from collections.abc import Iterable, Iterator

ENCODINGS = {
    "audio/x-mulaw": Encoding.MULAW,
    "audio/x-alaw": Encoding.ALAW,
    "audio/x-l16": Encoding.LINEAR16,
}
_NAMES = {encoding: name for name, encoding in ENCODINGS.items()}
_MAX_MARK = 256
_MEDIA = re.compile(
    r'\{"event":"media","sequenceNumber":"[0-9]+","media":\{"track":"inbound",'
    r'"chunk":"([0-9]{1,18})","timestamp":"[0-9]+","payload":"([^"\\]*)"\},'
    r'"streamSid":"([^"\\]+)"\}'
)
"""Twilio's media message, field for field; whatever looks different is read as JSON."""


class TwilioApplication:
    """Our end; carriers that speak almost the same say below what is theirs."""

    SID: ClassVar = "streamSid"
    """How a stream's name is called."""
    KEYS: ClassVar = frozenset("0123456789*#ABCD")

    def __init__(self, _settings: DialectSettings) -> None:
        self._stream = ""
        self._quoted = ""
        self._chunk = -1

    def receive(self, frame: Frame) -> Iterable[Event]:
        return self._usual(frame) or self._any(frame)

    def _usual(self, frame: Frame) -> tuple[Event, ...]:
        """Read the one frame that comes fifty times a second, as Twilio writes it; else nothing."""
        found = _MEDIA.fullmatch(frame) if isinstance(frame, str) else None
        if found is None or found[3] != self._stream:
            return ()
        chunk = int(found[1])
        try:
            data = binascii.a2b_base64(found[2], strict_mode=True)
        except binascii.Error:
            return ()
        if not data or chunk <= self._chunk:
            return ()
        self._chunk = chunk
        return (Sounded(data),)

    def _any(self, frame: Frame) -> Iterator[Event]:
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
                    f'{{"event":"media","{self.SID}":{self._sid()},'
                    f'"media":{{"payload":"{payload}"}}}}'
                )
            case Mark(name):
                mark = json.dumps({"name": name})
                yield f'{{"event":"mark","{self.SID}":{self._sid()},"mark":{mark}}}'
            case Clear():
                yield f'{{"event":"clear","{self.SID}":{self._sid()}}}'
            case Press() | HangUp():
                return

    def _sid(self) -> str:
        if not self._stream:
            raise OutOfOrder("start", "must come before anything can be sent")
        return self._quoted

    def _start(self, message: Fields) -> Began:
        if self._stream:
            raise OutOfOrder("start", "came a second time")
        began = self._read_start(message, read_object(message, "start"))
        self._stream, self._quoted = began.stream_id, json.dumps(began.stream_id)
        return began

    def _read_start(self, message: Fields, start: Fields) -> Began:
        stream = read_text(start, "streamSid", "start")
        if read_text(message, "streamSid") != stream:
            raise InvalidInput("streamSid", "differs from start.streamSid")
        fmt = _read_format(read_object(start, "mediaFormat", "start"))
        return Began(
            call_id=read_text(start, "callSid", "start"),
            stream_id=stream,
            account_id=read_optional_text(start, "accountSid", "start"),
            parameters=read_parameters(start, "customParameters", "start"),
            sent=fmt,
            played=fmt,
        )

    def _check_stream(self, message: Fields, kind: str) -> None:
        if not self._stream:
            raise OutOfOrder(kind, "came before start")
        if read_text(message, self.SID) != self._stream:
            raise OutOfOrder(self.SID, "is not that of the start", reason="UNKNOWN_STREAM")

    def _during(self, kind: str, message: Fields) -> Iterator[Event]:
        if kind == "media":
            yield from self._media(read_object(message, "media"))
        elif kind == "dtmf":
            digit = read_text(read_object(message, "dtmf"), "digit", "dtmf", most=1)
            if digit not in self.KEYS:
                raise InvalidInput("dtmf.digit", "must be one of 0-9, *, #, A-D")
            yield Pressed(digit.upper())
        elif kind == "mark":
            yield Reached(read_text(read_object(message, "mark"), "name", "mark", most=_MAX_MARK))
        else:
            yield Stopped(self._read_reason(message))

    def _media(self, media: Fields) -> Iterator[Event]:
        if not self._is_callers(media):
            return
        chunk = read_count_text(media, "chunk", "media")
        if chunk <= self._chunk:
            raise OutOfOrder("media.chunk", f"is {chunk} behind {self._chunk}; must be higher")
        data = self._read_sound(media)
        self._chunk = chunk
        if data:
            yield Sounded(data)

    def _is_callers(self, media: Fields) -> bool:
        # What we sent is told back.
        return read_text(media, "track", "media") == "inbound"

    def _read_sound(self, media: Fields) -> bytes:
        return read_base64(media, "payload", "media")

    def _read_reason(self, _message: Fields) -> str:
        return ""


def _read_format(told: Fields) -> AudioFormat:
    place = "start.mediaFormat"
    name = read_text(told, "encoding", place)
    encoding = ENCODINGS.get(name)
    if encoding is None:
        allowed = ", ".join(ENCODINGS)
        raise InvalidInput(
            f"{place}.encoding", f"must be one of {allowed}", reason="WRONG_CODEC", allowed=allowed
        )
    if read_count(told, "channels", place) != 1:
        raise InvalidInput(f"{place}.channels", "must be 1")
    return AudioFormat(encoding, read_count(told, "sampleRate", place), place)


class TwilioCarrier:
    """Twilio's end; complains as Twilio does, by its error codes."""

    SID: ClassVar = "streamSid"

    def __init__(self, _settings: DialectSettings) -> None:
        self._began: Began | None = None
        self._sequence = 0
        self._chunk = 0
        self._samples = 0

    def send(self, event: Event) -> Iterator[Frame]:
        match event:
            case Began():
                self._began = event
                yield _compact(event="connected", protocol="Call", version="1.0.0")
                yield self._numbered("start", start=_start(event))
            case Sounded(data):
                yield self._numbered("media", media={"track": "inbound", **self._media(data)})
            case Pressed(digit):
                yield self._numbered("dtmf", dtmf={"track": "inbound_track", "digit": digit})
            case Reached(name):
                yield self._numbered("mark", mark={"name": name})
            case Stopped():
                began = self._there()
                sids = {"accountSid": began.account_id, "callSid": began.call_id}
                yield self._numbered("stop", stop=sids)
            case Emptied() | Respond():
                return

    def receive(self, frame: Frame) -> Iterator[Command]:
        message = read_message(frame)  # binary: Twilio's warning 31950
        kind = read_text(message, "event")
        if kind not in {"media", "mark", "clear"}:
            raise InvalidInput("event", "must be media, mark or clear", twilio=31924)
        if read_text(message, self.SID) != self._there().stream_id:
            raise InvalidInput(self.SID, "is not that of the start", twilio=31951)
        if kind == "media":
            yield Play(self._read_sound(read_object(message, "media")))
        elif kind == "mark":
            yield Mark(read_text(read_object(message, "mark"), "name", "mark", most=_MAX_MARK))
        else:
            yield Clear()

    def _read_sound(self, media: Fields) -> bytes:
        return read_base64(media, "payload", "media")

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
        self._sequence += 1
        stream = self._there().stream_id
        return _compact(event=kind, sequenceNumber=str(self._sequence), **fields, streamSid=stream)


def _start(began: Began) -> dict[str, object]:
    return {
        "streamSid": began.stream_id,
        "accountSid": began.account_id,
        "callSid": began.call_id,
        "tracks": ["inbound"],
        "customParameters": dict(began.parameters),
        "mediaFormat": {
            "encoding": _NAMES[began.sent.encoding],
            "sampleRate": began.sent.rate,
            "channels": 1,
        },
    }


def _compact(**fields: object) -> str:
    return json.dumps(fields, separators=(",", ":"))


DIALECT = Dialect(
    name="twilio",
    title="Twilio Media Streams",
    capabilities=Capabilities(marks=Marks.PLAYED_OR_CLEARED),
    application=TwilioApplication,
    carrier=TwilioCarrier,
)
