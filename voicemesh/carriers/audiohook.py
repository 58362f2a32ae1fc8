"""Genesys Cloud's AudioHook protocol, version 2, as its Audio Connector speaks it to bots.

Audio is mu-law in binary frames, everything else JSON in text frames, each numbered and telling the
highest number seen from the other side; https://developer.genesys.cloud/devapps/audiohook. What is
odd about it: the call's audio only flows once we have answered `open` with one of the media it
offers; closing is the client's to do, we may only ask for it; an `open` that names no conversation
is a probe of the connection and no call; `playback_completed` does not say what was played, so it
proves no mark. Messages that come too fast are refused (429), so audio goes out in longer frames.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

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

VERSION = "2"
FRAME_MS = 200
NOBODY = "00000000-0000-0000-0000-000000000000"
"""The conversation of a probe."""
MEDIA = {"type": "audio", "format": "PCMU", "channels": ["external"], "rate": 8000}
"""What we choose: the caller alone, mu-law."""
_KEYS = frozenset("0123456789*#ABCD")
_MAX_REASON = 256


class _Numbers:
    """The numbers of one end's messages, and what it saw of the other's."""

    def __init__(self, mine: str, theirs: str) -> None:
        """Names of the field with what this end saw, and of that with what the other did."""
        self._mine, self._theirs = mine, theirs
        self._sent = self._seen = 0
        self.session = ""

    def check(self, message: Fields) -> None:
        """Raise InvalidInput or OutOfOrder unless this is the next message of this session."""
        if read_text(message, "version") != VERSION:
            raise InvalidInput("version", f"must be {VERSION}")
        session = read_text(message, "id")
        if self.session and session != self.session:
            raise OutOfOrder("id", "is not that of the open", reason="UNKNOWN_STREAM")
        number = read_count(message, "seq")
        if number != self._seen + 1:
            raise OutOfOrder("seq", f"is {number}, not {self._seen + 1}")
        acknowledged = read_count(message, self._theirs)
        if acknowledged > self._sent:
            raise OutOfOrder(self._theirs, f"is {acknowledged}; only {self._sent} were sent")
        self.session, self._seen = session, number

    def write(self, kind: str, parameters: object, **fields: object) -> str:
        """Write the next message."""
        self._sent += 1
        message = {
            "version": VERSION,
            "id": self.session,
            "type": kind,
            "seq": self._sent,
            self._mine: self._seen,
            **fields,
            "parameters": parameters,
        }
        return json.dumps(message, separators=(",", ":"))


class AudioHookApplication:
    """Our end: the server, as the protocol says."""

    def __init__(self, _settings: DialectSettings) -> None:
        self._numbers = _Numbers(mine="clientseq", theirs="serverseq")
        self._opened = False
        self._probe = False
        self._closed = False

    def receive(self, frame: Frame) -> Iterator[Event]:
        if isinstance(frame, bytes):
            self._check_open("audio")
            if frame:
                yield Sounded(frame)
            return
        message = read_message(frame)
        kind = read_text(message, "type")
        self._numbers.check(message)
        parameters = read_object(message, "parameters")
        yield from self._told(kind, parameters)

    def _told(self, kind: str, parameters: Fields) -> Iterator[Event]:
        match kind:
            case "open":
                yield from self._open(parameters)
            case "close":
                yield from self._close(parameters)
            case "ping":
                yield Respond(self._numbers.write("pong", {}))
            case "dtmf":
                self._check_open(kind)
                yield _pressed(parameters)
            case "error":
                yield from _complaint(parameters)

    def send(self, command: Command) -> Iterator[Frame]:
        if self._closed:
            return
        match command:
            case Play(data):
                self._check_open("play")
                yield data
            case Clear():
                self._check_open("clear")
                entity = {"type": "barge_in", "data": {}}
                yield self._numbers.write("event", {"entities": [entity]})
            case HangUp(reason):
                if self._numbers.session:
                    told = {"reason": "completed", "info": reason[:_MAX_REASON]}
                    yield self._numbers.write("disconnect", told)
            case Mark() | Press():
                return

    def _check_open(self, what: str) -> None:
        if not self._opened:
            raise OutOfOrder(what, "came before open")
        if self._closed:
            raise OutOfOrder(what, "came behind close")

    def _open(self, parameters: Fields) -> Iterator[Event]:
        if self._opened:
            raise OutOfOrder("open", "came a second time")
        began = _began(parameters, self._numbers.session)
        _check_media(parameters)
        self._opened = True
        self._probe = began.call_id == NOBODY
        yield Respond(self._numbers.write("opened", {"media": [MEDIA], "startPaused": False}))
        if not self._probe:
            yield began

    def _close(self, parameters: Fields) -> Iterator[Event]:
        if self._closed:
            raise OutOfOrder("close", "came a second time")
        reason = read_optional_text(parameters, "reason", "parameters")
        self._closed = True
        yield Respond(self._numbers.write("closed", {}))
        if self._opened and not self._probe:
            yield Stopped(reason)


def _began(parameters: Fields, session: str) -> Began:
    place = "parameters"
    participant = read_object(parameters, "participant", place)
    inner = f"{place}.participant"
    return Began(
        call_id=read_text(parameters, "conversationId", place),
        stream_id=session,
        account_id=read_optional_text(parameters, "organizationId", place),
        caller=read_optional_text(participant, "ani", inner),
        callee=read_optional_text(participant, "dnis", inner),
        parameters=read_parameters(parameters, "inputVariables", place),
        sent=MULAW_8K,
        played=MULAW_8K,
    )


def _check_media(parameters: Fields) -> None:
    offered = parameters.get("media")
    if not isinstance(offered, list) or not any(map(_is_ours, offered)):
        raise InvalidInput(
            "parameters.media", "must offer PCMU at 8000 Hz of the external channel alone"
        )


def _is_ours(media: object) -> bool:
    return isinstance(media, dict) and all(media.get(name) == MEDIA[name] for name in MEDIA)


def _pressed(parameters: Fields) -> Pressed:
    digit = read_text(parameters, "digit", "parameters", most=1)
    if digit not in _KEYS:
        raise InvalidInput("parameters.digit", "must be one of 0-9, *, #, A-D")
    return Pressed(digit)


def _complaint(parameters: Fields) -> Iterator[Event]:
    """Tell the call's end where the client gives up on us; 429 only asks for patience."""
    code = read_count(parameters, "code", "parameters")
    if code != 429:
        text = read_optional_text(parameters, "message", "parameters", most=_MAX_REASON)
        yield Stopped(f"error {code}: {text}")


class AudioHookCarrier:
    """Genesys' end: the client, as the protocol says."""

    def __init__(self, _settings: DialectSettings) -> None:
        self._numbers = _Numbers(mine="serverseq", theirs="clientseq")
        self._opened = False
        self._samples = 0

    def send(self, event: Event) -> Iterator[Frame]:
        match event:
            case Began():
                self._numbers.session = event.stream_id
                yield self._write("open", _offer(event))
            case Sounded(data):
                # What is said before `opened` reaches nobody.
                if self._opened:
                    self._samples += len(data)
                    yield data
            case Pressed(digit):
                yield self._write("dtmf", {"digit": digit})
            case Stopped(reason):
                yield self._write("close", {"reason": reason or "end"})
            case Reached() | Emptied() | Respond():
                return

    def receive(self, frame: Frame) -> Iterator[Command]:
        if isinstance(frame, bytes):
            if not self._opened:
                raise OutOfOrder("audio", "came before opened")
            yield Play(frame)
            return
        message = read_message(frame)
        kind = read_text(message, "type")
        self._numbers.check(message)
        parameters = read_object(message, "parameters")
        if kind == "opened":
            self._open(parameters)
        elif kind == "event":
            yield from _entities(parameters)
        elif kind == "disconnect":
            read_text(parameters, "reason", "parameters")
            yield HangUp(read_optional_text(parameters, "info", "parameters", most=_MAX_REASON))
        elif kind not in {"closed", "pong", "pause", "resume", "updated", "reconnect"}:
            raise InvalidInput("type", "is not one that a server sends")

    def ping(self) -> str:
        """Write what a client sends every few seconds."""
        return self._write("ping", {})

    def _write(self, kind: str, parameters: object) -> str:
        position = f"PT{self._samples / MULAW_8K.rate:g}S"
        return self._numbers.write(kind, parameters, position=position)

    def _open(self, parameters: Fields) -> None:
        if self._opened:
            raise OutOfOrder("opened", "came a second time")
        if parameters.get("media") != [MEDIA]:
            raise InvalidInput("parameters.media", "must be one of the media offered")
        self._opened = True


def _offer(began: Began) -> dict[str, object]:
    both = {**MEDIA, "channels": ["external", "internal"]}
    return {
        "organizationId": began.account_id,
        "conversationId": began.call_id,
        "participant": {
            "id": began.stream_id,
            "ani": began.caller,
            "aniName": "",
            "dnis": began.callee,
        },
        "media": [both, MEDIA],
        "language": "en-US",
        "inputVariables": dict(began.parameters),
    }


def _entities(parameters: Fields) -> Iterator[Command]:
    entities = parameters.get("entities")
    if not isinstance(entities, list):
        raise InvalidInput("parameters.entities", "must be a list")
    for entity in entities:
        if isinstance(entity, dict) and entity.get("type") == "barge_in":
            yield Clear()


DIALECT = Dialect(
    name="audiohook",
    title="Genesys Cloud Audio Connector",
    capabilities=Capabilities(hangs_up=True, frame_ms=FRAME_MS),
    application=AudioHookApplication,
    carrier=AudioHookCarrier,
)
