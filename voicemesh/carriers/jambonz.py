"""jambonz, as its `listen` (or `stream`) verb opens the socket.

Audio is linear PCM in binary frames, everything else JSON in text frames, the call's attributes
first; https://docs.jambonz.org/verbs/verbs/listen. What is odd about it: only with
`bidirectionalAudio.streaming` does it play what we send, and it does not tell at which rate, so the
verb must ask for one rate both ways (`voicemesh.carriers.answers.jambonz` does); digits look unlike
all its other messages; a clear of the audio leaves the marks behind.
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
    read_count,
    read_message,
    read_object,
    read_optional_text,
    read_parameters,
    read_text,
)
from voicemesh.errors import InvalidInput, OutOfOrder

if TYPE_CHECKING:
    from collections.abc import Iterator

SUBPROTOCOL = "audio.jambonz.org"
PARAMETERS = "parameters"
"""Name within the verb's `metadata` under which our verb has parameters told."""
_KEYS = frozenset("0123456789*#ABCD")


class JambonzApplication:
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
        if "callSid" in message:
            yield self._start(message)
            return
        self._begun("message")
        yield from _during(message)

    def send(self, command: Command) -> Iterator[Frame]:
        self._begun("command")
        match command:
            case Play(data):
                yield data
            case Mark(name):
                yield _compact(type="mark", data={"name": name})
            case Clear():
                yield _compact(type="killAudio")
                yield _compact(type="clearMarks")
            case HangUp():
                yield _compact(type="disconnect")
            case Press():
                return

    def _begun(self, what: str) -> AudioFormat:
        if self._format is None:
            raise OutOfOrder(what, "came before the call's attributes")
        return self._format

    def _start(self, message: Fields) -> Began:
        if self._format is not None:
            raise OutOfOrder("callSid", "came a second time")
        if read_text(message, "mixType") != "mono":
            raise InvalidInput("mixType", "must be mono: the caller alone")
        fmt = AudioFormat(Encoding.LINEAR16, read_count(message, "sampleRate"), "sampleRate")
        began = Began(
            call_id=read_text(message, "callSid"),
            account_id=read_optional_text(message, "accountSid"),
            caller=read_optional_text(message, "from"),
            callee=read_optional_text(message, "to"),
            parameters=read_parameters(message, PARAMETERS),
            sent=fmt,
            played=fmt,
        )
        self._format = fmt
        return began


def _during(message: Fields) -> Iterator[Event]:
    if message.get("event") == "dtmf":
        digit = read_text(message, "dtmf", most=1)
        if digit not in _KEYS:
            raise InvalidInput("dtmf", "must be one of 0-9, *, #, A-D")
        yield Pressed(digit)
    elif message.get("type") == "mark":
        data = read_object(message, "data")
        name = read_text(data, "name", "data")
        if read_text(data, "event", "data") == "playout":
            yield Reached(name)


class JambonzCarrier:
    """jambonz' end."""

    def __init__(self, _settings: DialectSettings) -> None:
        self._format: AudioFormat | None = None

    def send(self, event: Event) -> Iterator[Frame]:
        match event:
            case Began():
                if event.sent != event.played or event.sent.encoding is not Encoding.LINEAR16:
                    raise InvalidInput("played", "must be linear PCM, as sent")
                self._format = event.sent
                yield json.dumps(_attributes(event), separators=(",", ":"))
            case Sounded(data):
                self._begun()
                yield data
            case Pressed(digit):
                yield _compact(event="dtmf", dtmf=digit, duration="1600")
            case Reached(name):
                yield _compact(type="mark", data={"name": name, "event": "playout"})
            case Emptied() | Stopped() | Respond():
                return

    def receive(self, frame: Frame) -> Iterator[Command]:
        if isinstance(frame, bytes):
            self._begun().samples_in(frame, "frame")
            yield Play(frame)
            return
        message = read_message(frame)
        match read_text(message, "type"):
            case "mark":
                yield Mark(read_text(read_object(message, "data"), "name", "data"))
            case "killAudio":
                yield Clear()
            case "disconnect":
                yield HangUp()
            case "clearMarks":
                return
            case _:
                raise InvalidInput("type", "must be mark, killAudio, clearMarks or disconnect")

    def _begun(self) -> AudioFormat:
        if self._format is None:
            raise OutOfOrder("callSid", "was not sent yet")
        return self._format


def _attributes(began: Began) -> dict[str, object]:
    return {
        "sampleRate": began.sent.rate,
        "mixType": "mono",
        "callSid": began.call_id,
        "direction": "inbound",
        "from": began.caller,
        "to": began.callee,
        "accountSid": began.account_id,
        PARAMETERS: dict(began.parameters),
    }


def _compact(**fields: object) -> str:
    return json.dumps(fields, separators=(",", ":"))


DIALECT = Dialect(
    name="jambonz",
    title="jambonz",
    capabilities=Capabilities(marks=Marks.PLAYED, hangs_up=True),
    application=JambonzApplication,
    carrier=JambonzCarrier,
    subprotocol=SUBPROTOCOL,
)
