"""ConversationRelay, of Twilio and Telnyx: the carrier hears and speaks, its socket carries words.

Everything is JSON in text frames, each with a `type`. From the carrier: `setup` (first, once),
`prompt` (what the caller said; `last` ends it), `interrupt` (the caller spoke over the bot, and the
carrier has fallen silent), `dtmf`, `error`. From us: `text` (`last` ends what is to be said),
`sendDigits`, `end`. Telnyx's `setup` has names of its own besides. Read at
https://www.twilio.com/docs/voice/conversationrelay/websocket-messages and
https://developers.telnyx.com/api-reference/websockets/conversationrelay-websocket-channel, 2026-11.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from voicemesh.carriers.dialect import (
    Began,
    Capabilities,
    Command,
    Dialect,
    DialectSettings,
    Event,
    Frame,
    HangUp,
    Hushed,
    Press,
    Pressed,
    Respond,
    Show,
    Sounded,
    Stopped,
    Told,
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

MAX_WORDS = 2000
"""Characters of one prompt; what is beyond them is cut off."""
_MAX_TEXT = 16 * 1024
_KEYS = frozenset("0123456789*#ABCD")


class RelayApplication:
    """Our end."""

    def __init__(self, _settings: DialectSettings) -> None:
        self._started = False

    def receive(self, frame: Frame) -> Iterator[Event]:
        message = read_message(frame)
        kind = read_text(message, "type")
        if kind == "setup":
            yield self._setup(message)
            return
        if not self._started:
            raise OutOfOrder(kind, "came before setup")
        yield from _during(kind, message)

    def send(self, command: Command) -> Iterator[Frame]:
        match command:
            case Show(bot=True, text=text, final=True):
                yield _compact(type="text", token=text, last=True)
            case Press(digits):
                yield _compact(type="sendDigits", digits=digits)
            case HangUp():
                yield _compact(type="end")

    def _setup(self, message: Fields) -> Began:
        if self._started:
            raise OutOfOrder("setup", "came a second time")
        self._started = True
        return Began(
            call_id=read_text(message, "callSid"),
            stream_id=read_optional_text(message, "sessionId"),
            account_id=read_optional_text(message, "accountSid"),
            caller=read_optional_text(message, "from"),
            callee=read_optional_text(message, "to"),
            parameters=read_parameters(message, "customParameters"),
        )


def _during(kind: str, message: Fields) -> Iterator[Event]:
    match kind:
        case "prompt":
            yield from _prompt(message)
        case "interrupt":
            heard = read_optional_text(message, "utteranceUntilInterrupt", most=_MAX_TEXT)
            yield Hushed(heard)
        case "dtmf":
            digit = read_text(message, "digit", most=1)
            if digit not in _KEYS:
                raise InvalidInput("digit", "must be one of 0-9, *, #, A-D")
            yield Pressed(digit)
        case "error":
            told = read_optional_text(message, "description", most=_MAX_TEXT)
            raise InvalidInput("error", f"the carrier says: {told[:200]}", reason="RELAY_ERROR")


def _prompt(message: Fields) -> Iterator[Event]:
    words = read_optional_text(message, "voicePrompt", most=_MAX_TEXT).strip()
    # Earlier ones, where asked for, are guesses at the same words.
    if words and message.get("last", True):
        yield Told(words[:MAX_WORDS])


class RelayCarrier:
    """The carrier's end, for tests."""

    def __init__(self, _settings: DialectSettings) -> None:
        self._began = False

    def send(self, event: Event) -> Iterator[Frame]:
        match event:
            case Began():
                self._began = True
                yield _compact(
                    type="setup",
                    sessionId=event.stream_id,
                    accountSid=event.account_id,
                    callSid=event.call_id,
                    **{"from": event.caller},
                    to=event.callee,
                    direction="inbound",
                    customParameters=dict(event.parameters),
                )
            case Told(text):
                yield _compact(type="prompt", voicePrompt=text, lang="en-US", last=True)
            case Hushed(heard):
                yield _compact(
                    type="interrupt", utteranceUntilInterrupt=heard, durationUntilInterruptMs=460
                )
            case Pressed(digit):
                yield _compact(type="dtmf", digit=digit)
            case Sounded() | Stopped() | Respond():
                return

    def receive(self, frame: Frame) -> Iterator[Command]:
        if not self._began:
            raise OutOfOrder("setup", "was not sent yet")
        message = read_message(frame)
        match read_text(message, "type"):
            case "text":
                text = read_optional_text(message, "token", most=_MAX_TEXT)
                yield Show(bot=True, text=text, final=message.get("last") is True)
            case "sendDigits":
                yield Press(read_text(message, "digits"))
            case "end":
                yield HangUp()
            case _:
                raise InvalidInput("type", "is not one that we send")


def _compact(**fields: object) -> str:
    return json.dumps(fields, separators=(",", ":"), ensure_ascii=False)


def _dialect(name: str, title: str) -> Dialect:
    can = Capabilities(clears=False, presses=True, hangs_up=True, shows=True, speaks=True)
    return Dialect(name, title, can, RelayApplication, RelayCarrier)


RELAYS = {
    dialect.name: dialect
    for dialect in (
        _dialect("twilio-relay", "Twilio ConversationRelay"),
        _dialect("telnyx-relay", "Telnyx Conversation Relay"),
    )
}
"""By name, as in the path of their sockets; no sound goes either way."""
