"""What our softphone page speaks: a browser's WebSocket, PCM at 16 kHz both ways.

Audio is 16-bit little-endian in binary frames of 20 ms, everything else JSON in text frames, each
with a `type`. From the browser: `start` (first, once), `digit`, `mark`, `cleared`, `hang_up`. From
us: `started`, `mark`, `clear`, `transcript`, `ended`. A `mark` comes back when what lay before it
was played, and never for a clear. Nothing here is particular to a browser: a program that speaks it
is as welcome. docs/carriers/browser.md has every field.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from voicemesh.carriers.dialect import (
    LINEAR_16K,
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
    Show,
    Sounded,
    Stopped,
)
from voicemesh.carriers.reading import (
    Fields,
    read_message,
    read_optional_text,
    read_parameters,
    read_text,
)
from voicemesh.errors import InvalidInput, OutOfOrder

if TYPE_CHECKING:
    from collections.abc import Iterator

OURS = ("bot", "token")
"""Fields of `start` that become parameters beside the variables."""
_KEYS = frozenset("0123456789*#ABCD")
_MAX_TEXT = 16 * 1024


class BrowserApplication:
    """Our end."""

    def __init__(self, _settings: DialectSettings) -> None:
        self._started = False

    def receive(self, frame: Frame) -> Iterator[Event]:
        if isinstance(frame, bytes):
            self._check_started("audio")
            LINEAR_16K.samples_in(frame, "frame")
            if frame:
                yield Sounded(frame)
            return
        message = read_message(frame)
        kind = read_text(message, "type")
        if kind == "start":
            yield from self._start(message)
        else:
            self._check_started(kind)
            yield from _during(kind, message)

    def send(self, command: Command) -> Iterator[Frame]:
        self._check_started("command")
        match command:
            case Play(data):
                yield data
            case Mark(name):
                yield _compact(type="mark", name=name)
            case Clear():
                yield _compact(type="clear")
            case Show(bot, text, final):
                speaker = "bot" if bot else "caller"
                yield _compact(type="transcript", speaker=speaker, text=text, final=final)
            case HangUp(reason):
                yield _compact(type="ended", reason=reason)
            case Press():
                return

    def _check_started(self, what: str) -> None:
        if not self._started:
            raise OutOfOrder(what, "came before start")

    def _start(self, message: Fields) -> Iterator[Event]:
        if self._started:
            raise OutOfOrder("start", "came a second time")
        parameters = read_parameters(message, "variables")
        for name in OURS:
            if name in parameters:
                raise InvalidInput("variables", f"must not be called {name}")
            told = read_optional_text(message, name)
            if told:
                parameters[name] = told
        call = read_optional_text(message, "call")
        self._started = True
        yield Respond(_compact(type="started"))
        yield Began(call_id=call, parameters=parameters, sent=LINEAR_16K, played=LINEAR_16K)


def _during(kind: str, message: Fields) -> Iterator[Event]:
    match kind:
        case "digit":
            digit = read_text(message, "digit", most=1)
            if digit not in _KEYS:
                raise InvalidInput("digit", "must be one of 0-9, *, #, A-D")
            yield Pressed(digit)
        case "mark":
            yield Reached(read_text(message, "name"))
        case "cleared":
            yield Emptied()
        case "hang_up":
            yield Stopped("hung up")


class BrowserCarrier:
    """The page's end, for tests and the emulator."""

    def __init__(self, _settings: DialectSettings) -> None:
        self._began = False

    def send(self, event: Event) -> Iterator[Frame]:
        match event:
            case Began():
                yield _start(event)
                self._began = True
            case Sounded(data):
                yield data
            case Pressed(digit):
                yield _compact(type="digit", digit=digit)
            case Reached(name):
                yield _compact(type="mark", name=name)
            case Emptied():
                yield _compact(type="cleared")
            case Stopped():
                yield _compact(type="hang_up")
            case Respond():
                return

    def receive(self, frame: Frame) -> Iterator[Command]:
        if not self._began:
            raise OutOfOrder("start", "was not sent yet")
        if isinstance(frame, bytes):
            LINEAR_16K.samples_in(frame, "frame")
            yield Play(frame)
            return
        message = read_message(frame)
        match read_text(message, "type"):
            case "mark":
                yield Mark(read_text(message, "name"))
            case "clear":
                yield Clear()
            case "ended":
                yield HangUp(read_optional_text(message, "reason"))
            case "transcript":
                yield _shown(message)
            case "started":
                return
            case _:
                raise InvalidInput("type", "is not one that we send")


def _start(began: Began) -> str:
    if not began.sent == began.played == LINEAR_16K:
        raise InvalidInput("played", "must be linear PCM at 16000 Hz, as sent")
    variables = {name: told for name, told in began.parameters.items() if name not in OURS}
    ours = {name: began.parameters[name] for name in OURS if name in began.parameters}
    return _compact(type="start", **ours, call=began.call_id, variables=variables)


def _shown(message: Fields) -> Show:
    speaker = read_text(message, "speaker")
    if speaker not in {"bot", "caller"}:
        raise InvalidInput("speaker", "must be bot or caller")
    text = read_optional_text(message, "text", most=_MAX_TEXT)
    return Show(speaker == "bot", text, message.get("final") is True)


def _compact(**fields: object) -> str:
    return json.dumps(fields, separators=(",", ":"), ensure_ascii=False)


DIALECT = Dialect(
    name="browser",
    title="Browser",
    capabilities=Capabilities(
        marks=Marks.PLAYED, hangs_up=True, shows=True, frame_ms=20, whole_frames=True
    ),
    application=BrowserApplication,
    carrier=BrowserCarrier,
)
