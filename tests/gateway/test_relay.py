"""Text relays: the carrier hears and speaks; a gateway and an orchestrator, real ones, think."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, strategies as st

from gateway.config import GatewaySettings
from gateway.service import MAX_MESSAGE_BYTES, Gateway
from tests.gateway.carrier_line import Line, line, port_of
from tests.gateway.rig import Loudness
from tests.orchestrator.servers import orchestrator
from voicemesh.carriers.dialect import (
    Began,
    Command,
    DialectSettings,
    Event,
    HangUp,
    Hushed,
    Press,
    Pressed,
    Show,
    Told,
)
from voicemesh.carriers.relay import MAX_WORDS, RELAYS
from voicemesh.errors import InvalidInput, OutOfOrder
from voicemesh.server import serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

SETTINGS = DialectSettings()
TWILIO = {
    "type": "setup",
    "sessionId": "VX1",
    "accountSid": "AC1",
    "callSid": "CA1",
    "from": "+15550111",
    "to": "+15550100",
    "direction": "inbound",
    "callType": "PSTN",
    "customParameters": {"tenant": "acme"},
}
TELNYX = TWILIO | {"callControlId": "v2:x", "callSessionId": "s", "callLegId": "l"}
BOT = """\
greeting: Hello there.
silence: {reprompt_after_seconds: 60}
engines: {stt: [scripted], llm: [scripted], tts: [scripted]}
knowledge:
  intents: [{name: bye, examples: [Bye.], tool: hang_up, reply: Goodbye.}]
"""


@asynccontextmanager
async def desk(folder: Path, relay: str = "twilio-relay") -> AsyncIterator[Line]:
    (folder / "desk.yaml").write_text(BOT)
    async with orchestrator(folder, {}) as (_, mesh):
        settings = GatewaySettings(mesh=mesh, bots=folder, sockets="127.0.0.1:0")
        gateway = Gateway(settings, Loudness())
        async with (
            serving(gateway, settings, MAX_MESSAGE_BYTES),
            line(port_of(gateway), f"/carriers/{relay}/desk") as held,
        ):
            yield held


def told(held: Line) -> list[dict[str, Any]]:
    return [json.loads(frame) for frame in held.got]


def said(held: Line) -> list[str]:
    return [message["token"] for message in told(held) if message["type"] == "text"]


@pytest.mark.parametrize(("relay", "setup"), [("twilio-relay", TWILIO), ("telnyx-relay", TELNYX)])
async def test_a_conversation_in_words(tmp_path: Path, relay: str, setup: dict[str, Any]) -> None:
    async with desk(tmp_path, relay) as held:
        held.send(json.dumps(setup))
        await held.until(lambda: said(held) == ["Hello there."])
        held.send(prompt("what time", last=False), prompt("what time is it"))
        await held.until(lambda: len(said(held)) == 3)
        assert said(held)[1:] == ["You said: what time is it.", "That was turn 1."]
        assert all(message["last"] for message in told(held))
        held.send(prompt("goodbye"))
        await held.until(lambda: told(held)[-1]["type"] == "end")
        assert "Goodbye." in said(held)
        assert await held.refusal() == (1000, "")


async def test_what_is_no_relay_is_refused(tmp_path: Path) -> None:
    async with desk(tmp_path) as held:
        held.send(prompt("too early"))
        code, reason = await held.refusal()
        assert code != 1000
        assert "setup" in reason


def prompt(words: str, *, last: bool = True) -> str:
    message = {"type": "prompt", "voicePrompt": words, "lang": "en-US", "last": last}
    return json.dumps(message)


WORDS = st.text(min_size=1, max_size=60).map(str.strip).filter(bool)
EVENTS = st.one_of(
    WORDS.map(Told), st.text(max_size=60).map(Hushed), st.sampled_from("0123456789*#").map(Pressed)
)


@given(events=st.lists(EVENTS, max_size=8), name=st.sampled_from(sorted(RELAYS)))
def test_what_the_carrier_tells_is_read(events: list[Event], name: str) -> None:
    carrier, ours = RELAYS[name].carrier(SETTINGS), RELAYS[name].application(SETTINGS)
    began = Began("CA1", "VX1", "AC1", "+1", "+2", {"tenant": "acme"})
    frames = [frame for event in [began, *events] for frame in carrier.send(event)]
    assert [event for frame in frames for event in ours.receive(frame)] == [began, *events]


@given(text=WORDS, digits=st.text("0123456789*#", min_size=1, max_size=10))
def test_what_we_want_is_read(text: str, digits: str) -> None:
    relay = RELAYS["twilio-relay"]
    carrier, ours = relay.carrier(SETTINGS), relay.application(SETTINGS)
    list(carrier.send(Began("CA1")))
    wanted: list[Command] = [Show(bot=True, text=text), Press(digits), HangUp()]
    frames = [frame for command in wanted for frame in ours.send(command)]
    assert [command for frame in frames for command in carrier.receive(frame)] == wanted
    assert not [*ours.send(Show(bot=False, text=text)), *ours.send(Show(True, text, final=False))]


@given(data=st.text(max_size=80) | st.binary(max_size=40))
def test_anything_else_is_refused(data: str | bytes) -> None:
    with pytest.raises(InvalidInput):
        list(RELAYS["telnyx-relay"].application(SETTINGS).receive(data))


def test_limits() -> None:
    ours = RELAYS["twilio-relay"].application(SETTINGS)
    list(ours.receive(json.dumps(TELNYX)))
    assert list(ours.receive(prompt("x" * 3000))) == [Told("x" * MAX_WORDS)]
    assert not list(ours.receive(prompt("  ")))
    assert not list(ours.receive('{"type": "somethingNew"}'))
    with pytest.raises(OutOfOrder):
        list(ours.receive(json.dumps(TWILIO)))
    with pytest.raises(InvalidInput, match="digit"):
        list(ours.receive('{"type": "dtmf", "digit": "x"}'))
    with pytest.raises(InvalidInput, match="the carrier says: bad"):
        list(ours.receive('{"type": "error", "description": "bad"}'))
