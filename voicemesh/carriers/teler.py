"""FreJun Teler's media streams, as a `stream` call flow opens them.

JSON in text frames; https://frejun.ai/docs/media-streaming/supported-messages and the README of
the `teler` package. What is odd about it: the sources disagree on the shape of audio sent to
Teler, so that is a setting; with 16 kHz from Teler, the rate at which it plays may stay at 8 kHz,
so that is another; there are neither marks nor digits nor a stop, the socket just closes. Linear
audio is taken for little-endian, as every published client does; the documentation does not say.
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
    read_message,
    read_object,
    read_optional_text,
    read_text,
)
from voicemesh.errors import InvalidInput, Misconfigured, OutOfOrder

if TYPE_CHECKING:
    from collections.abc import Iterator

ENCODING = "audio/l16"
RATES = (8000, 16000)
SHAPES = ("flat", "nested", "both")


class TelerApplication:
    """Our end."""

    def __init__(self, settings: DialectSettings) -> None:
        self._shape = _shape(settings)
        self._played = _played(settings)
        self._stream = ""
        self._sent = LINEAR_8K
        self._chunk = 0

    def receive(self, frame: Frame) -> Iterator[Event]:
        message = read_message(frame)
        kind = read_text(message, "type")
        if kind == "start":
            yield self._start(message)
        elif kind == "audio":
            self._check_stream(message)
            data = read_base64(read_object(message, "data"), "audio_b64", "data")
            self._sent.samples_in(data, "data.audio_b64")
            if data:
                yield Sounded(data)

    def send(self, command: Command) -> Iterator[Frame]:
        match command:
            case Play(data):
                yield self._audio(data)
            case Clear():
                self._check_begun("clear")
                yield '{"type":"clear"}'
            case Mark() | Press() | HangUp():
                return

    def _audio(self, data: bytes) -> str:
        self._check_begun("audio")
        self._chunk += 1
        payload = b64encode(data).decode("ascii")
        sound = f'"audio_b64":"{payload}","chunk_id":{self._chunk}'
        if self._shape == "flat":
            return f'{{"type":"audio",{sound}}}'
        if self._shape == "nested":
            return f'{{"type":"audio","data":{{{sound}}}}}'
        return f'{{"type":"audio",{sound},"data":{{{sound}}}}}'

    def _start(self, message: Fields) -> Began:
        if self._stream:
            raise OutOfOrder("start", "came a second time")
        began = Began(
            call_id=read_text(message, "call_id"),
            stream_id=read_text(message, "stream_id"),
            account_id=read_optional_text(message, "account_id"),
            sent=_read_format(read_object(message, "data")),
            played=self._played,
        )
        self._stream, self._sent = began.stream_id, began.sent
        return began

    def _check_begun(self, kind: str) -> None:
        if not self._stream:
            raise OutOfOrder(kind, "came before start")

    def _check_stream(self, message: Fields) -> None:
        self._check_begun("audio")
        if read_text(message, "stream_id") != self._stream:
            raise OutOfOrder("stream_id", "is not that of the start", reason="UNKNOWN_STREAM")


class TelerCarrier:
    """Teler's end; takes audio in either shape, since both are documented."""

    def __init__(self, settings: DialectSettings) -> None:
        self._played = _played(settings)
        self._began: Began | None = None
        self._messages = 0

    def send(self, event: Event) -> Iterator[Frame]:
        match event:
            case Began():
                yield self._start(event)
            case Sounded(data):
                payload = b64encode(data).decode("ascii")
                yield self._numbered("audio", {"audio_b64": payload})
            case Pressed() | Reached() | Emptied() | Stopped() | Respond():
                return

    def receive(self, frame: Frame) -> Iterator[Command]:
        message = read_message(frame)
        kind = read_text(message, "type")
        if kind == "audio":
            yield Play(self._sound(message))
        elif kind == "clear":
            yield Clear()
        elif kind == "interrupt":  # drops one chunk; we never ask for it
            read_count(message, "chunk_id")
        else:
            raise InvalidInput("type", "must be audio, clear or interrupt")

    def _start(self, began: Began) -> str:
        if began.sent.encoding is not Encoding.LINEAR16 or began.sent.rate not in RATES:
            raise InvalidInput("sent", "must be linear16 at 8000 or 16000")
        if began.played != self._played:
            raise InvalidInput("played", f"is set to {self._played.rate} by teler_playback_rate")
        self._began = began
        form = {"encoding": ENCODING, "sample_rate": began.sent.rate, "channels": 1}
        call = {"account_id": began.account_id, "call_app_id": "app", "call_id": began.call_id}
        return self._numbered("start", form, call)

    def _sound(self, message: Fields) -> bytes:
        nested = isinstance(message.get("data"), dict)
        sound, place = (read_object(message, "data"), "data") if nested else (message, "")
        read_count(sound, "chunk_id", place)
        data = read_base64(sound, "audio_b64", place)
        self._played.samples_in(data, "audio_b64")
        return data

    def _numbered(
        self,
        kind: str,
        data: dict[str, object] | dict[str, str],
        call: dict[str, str] | None = None,
    ) -> str:
        if self._began is None:
            raise OutOfOrder("start", "was not sent yet")
        self._messages += 1
        head = {"type": kind, **(call or {}), "stream_id": self._began.stream_id}
        body = {**head, "message_id": self._messages, "data": data}
        return json.dumps(body, separators=(",", ":"))


def _read_format(told: Fields) -> AudioFormat:
    if read_text(told, "encoding", "data").lower() != ENCODING:
        raise InvalidInput("data.encoding", f"must be {ENCODING}")
    if read_count(told, "channels", "data") != 1:
        raise InvalidInput("data.channels", "must be 1")
    rate = read_count(told, "sample_rate", "data")
    if rate not in RATES:
        raise InvalidInput("data.sample_rate", "must be 8000 or 16000")
    return AudioFormat(Encoding.LINEAR16, rate)


def _shape(settings: DialectSettings) -> str:
    if settings.teler_audio_shape not in SHAPES:
        raise Misconfigured(f"teler_audio_shape must be one of {', '.join(SHAPES)}")
    return settings.teler_audio_shape


def _played(settings: DialectSettings) -> AudioFormat:
    if settings.teler_playback_rate not in RATES:
        raise Misconfigured("teler_playback_rate must be 8000 or 16000")
    return AudioFormat(Encoding.LINEAR16, settings.teler_playback_rate)


DIALECT = Dialect(
    name="teler",
    title="FreJun Teler",
    capabilities=Capabilities(),
    application=TelerApplication,
    carrier=TelerCarrier,
)
