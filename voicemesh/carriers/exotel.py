"""Exotel's voice streams, as its Voicebot applet opens them.

JSON in text frames, Twilio's in snake case; https://developer.exotel.com/docs/agentstream/. What is
odd about it: audio is linear and little-endian by default, at the rate that the socket's address
asks for (`?sample-rate=16000`); the start's `media_format` writes numbers as text and names the
encoding differently on different pages; messages of ours must hold multiples of 320 bytes.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from voicemesh.audio import AudioFormat, Encoding
from voicemesh.carriers.dialect import (
    LINEAR_8K,
    Began,
    Capabilities,
    Dialect,
    DialectSettings,
    Emptied,
    Event,
    Frame,
    Marks,
    Pressed,
    Reached,
    Respond,
    Sounded,
    Stopped,
)
from voicemesh.carriers.reading import (
    Fields,
    read_count_text,
    read_object,
    read_optional_text,
    read_parameters,
    read_text,
)
from voicemesh.carriers.twilio import TwilioApplication, TwilioCarrier
from voicemesh.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterator

MULTIPLE = 320
"""Bytes of which a message of ours must hold a multiple."""
_LINEAR = frozenset({"", "audio/x-raw", "raw", "raw/slin", "slin", "base64", "audio/l16"})
_MULAW = "audio/x-mulaw"
_RATES = (8000, 16000, 24000)


class ExotelApplication(TwilioApplication):
    """Our end: Twilio's messages, in snake case."""

    SID = "stream_sid"
    KEYS = frozenset("0123456789*#ABCDabcd")

    def __init__(self, settings: DialectSettings) -> None:
        super().__init__(settings)
        self._sent = LINEAR_8K

    def _read_start(self, _message: Fields, start: Fields) -> Began:
        self._sent = _read_format(start)
        return Began(
            call_id=read_text(start, "call_sid", "start"),
            stream_id=read_text(start, "stream_sid", "start"),
            account_id=read_optional_text(start, "account_sid", "start"),
            caller=read_optional_text(start, "from", "start"),
            callee=read_optional_text(start, "to", "start"),
            parameters=read_parameters(start, "custom_parameters", "start"),
            sent=self._sent,
            played=self._sent,
        )

    def _is_callers(self, _media: Fields) -> bool:
        return True

    def _read_sound(self, media: Fields) -> bytes:
        data = super()._read_sound(media)
        self._sent.samples_in(data, "media.payload")
        return data

    def _read_reason(self, message: Fields) -> str:
        stop = message.get("stop")
        return read_optional_text(stop, "reason", "stop") if isinstance(stop, dict) else ""


class ExotelCarrier(TwilioCarrier):
    """Exotel's end."""

    SID = "stream_sid"

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

    def _read_sound(self, media: Fields) -> bytes:
        data = super()._read_sound(media)
        if not data or len(data) % MULTIPLE:
            raise InvalidInput("media.payload", f"must hold a multiple of {MULTIPLE} bytes")
        return data

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
