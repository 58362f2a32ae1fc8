"""Whole dialogues with carriers of binary audio, line by line, as their pages and servers show."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

from voicemesh.carriers.audiohook import AudioHookCarrier
from voicemesh.carriers.dialect import (
    LINEAR_8K,
    LINEAR_16K,
    MULAW_8K,
    Application,
    Began,
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
    Pressed,
    Reached,
    Respond,
    Sounded,
    Stopped,
)
from voicemesh.carriers.table import DIALECTS

if TYPE_CHECKING:
    from collections.abc import Iterator

DIALOGUES = Path(__file__).parents[2] / "data" / "carriers"

HEARD: dict[str, list[Event]] = {
    "vonage": [
        Began(
            call_id="aaaaaaaa-bbbb-cccc-dddd-0123456789ab",
            caller="447700900000",
            callee="447700900001",
            parameters={"prop1": "value1", "prop2": "value2"},
            sent=LINEAR_16K,
            played=LINEAR_16K,
        ),
        Sounded(b"\1\0" * 320),
        Pressed("5"),
        Reached("greeting"),
        Emptied(),
    ],
    "jambonz": [
        Began(
            call_id="5f3e0d5f-ba6f-4b18-8d80-0242ac120002",
            account_id="66acafce-44c2-417a-a7c0-0242ac120002",
            caller="+447777777777",
            callee="+441234567890",
            parameters={"branch": "berlin"},
            sent=LINEAR_8K,
            played=LINEAR_8K,
        ),
        Sounded(b"\1\0" * 160),
        Pressed("5"),
        Reached("greeting"),
    ],
    "audiohook": [
        Began(
            call_id="090eaa2f-72fa-480a-83e0-8667ff89c0ec",
            stream_id="e160e428-53e2-487c-977d-96989bf5c99d",
            account_id="d7934305-0972-4844-938e-9060eef73d05",
            caller="+1-555-555-1234",
            callee="+1-800-555-6789",
            parameters={"tier": "gold"},
            sent=MULAW_8K,
            played=MULAW_8K,
        ),
        Sounded(b"\xff" * 1600),
        Pressed("5"),
        Stopped("disconnect"),
    ],
    "audiosocket": [
        Began(call_id="40325ec2-5efd-4bd3-805f-53576e581d13", sent=LINEAR_8K, played=LINEAR_8K),
        Sounded(b"\1\0" * 160),
        Pressed("5"),
        Stopped("hung up"),
    ],
}
WANTED: dict[str, list[Command]] = {
    "vonage": [Play(b"\2\0" * 320), Mark("greeting"), Clear()],
    "jambonz": [Play(b"\2\0" * 160), Mark("greeting"), Clear(), HangUp()],
    "audiohook": [Play(b"\x7f" * 1600), Clear(), HangUp("bye")],
    "audiosocket": [Play(b"\2\0" * 160), HangUp()],
}


def lines(name: str) -> Iterator[tuple[str, Frame]]:
    for text in (DIALOGUES / f"{name}.jsonl").read_text().splitlines():
        [(end, told)] = json.loads(text).items()
        yield end, bytes.fromhex(told["hex"]) * told["times"] if "hex" in told else json.dumps(told)


def ends(dialect: Dialect) -> tuple[Application, Any]:
    settings = DialectSettings()
    return dialect.application(settings), dialect.carrier(settings)


def same(frame: Frame) -> object:
    return frame if isinstance(frame, bytes) else json.loads(frame)


@pytest.mark.parametrize("name", HEARD)
def test_our_end_holds_its_part_of_the_dialogue(name: str) -> None:
    application, _ = ends(DIALECTS[name])
    commands = iter(WANTED[name])
    heard: list[Event] = []
    written: list[Frame] = []
    for end, frame in lines(name):
        if end == "carrier":
            events = list(application.receive(frame))
            written += [e.frame for e in events if isinstance(e, Respond)]
            heard += [e for e in events if not isinstance(e, Respond)]
        else:
            if not written:
                written += application.send(next(commands))
            assert same(written.pop(0)) == same(frame)
    assert heard == HEARD[name]
    assert not written
    assert not list(commands)


@pytest.mark.parametrize("name", ["vonage", "jambonz", "audiosocket"])
def test_the_carriers_end_holds_its_part_of_the_dialogue(name: str) -> None:
    application, carrier = ends(DIALECTS[name])
    wanted: list[Command] = []
    for end, frame in lines(name):
        if end == "application":
            wanted += carrier.receive(frame)
            continue
        for event in application.receive(frame):
            for sent in carrier.send(event):
                assert sent
    assert wanted == WANTED[name]


def test_genesys_numbers_its_messages_and_tells_how_far_the_audio_is() -> None:
    application, carrier = ends(DIALECTS["audiohook"])
    genesys = cast("AudioHookCarrier", carrier)
    [began, sounded, pressed, _] = HEARD["audiohook"]
    for frame in genesys.send(began):
        for event in application.receive(frame):
            if isinstance(event, Respond):
                assert list(genesys.receive(event.frame)) == []
    assert list(genesys.send(sounded)) == [b"\xff" * 1600]
    [pong] = application.receive(genesys.ping())
    assert isinstance(pong, Respond)
    assert list(genesys.receive(pong.frame)) == []
    [told] = map(json.loads, cast("Iterator[str]", genesys.send(pressed)))
    assert (told["seq"], told["serverseq"], told["position"]) == (3, 2, "PT0.2S")
    list(application.receive(json.dumps(told)))
    commands = WANTED["audiohook"]
    assert [
        c for w in commands for f in application.send(w) for c in genesys.receive(f)
    ] == commands


def test_a_probe_of_the_connection_is_answered_and_is_no_call() -> None:
    [text] = [frame for end, frame in lines("audiohook") if end == "carrier"][:1]
    probe = json.loads(cast("str", text))
    nobody = "00000000-0000-0000-0000-000000000000"
    probe["parameters"]["conversationId"] = nobody
    application, _ = ends(DIALECTS["audiohook"])
    [opened] = application.receive(json.dumps(probe))
    assert isinstance(opened, Respond)
    close = {**probe, "type": "close", "seq": 2, "serverseq": 1, "parameters": {"reason": "end"}}
    [closed] = application.receive(json.dumps(close))
    assert isinstance(closed, Respond)
    assert json.loads(cast("str", closed.frame))["type"] == "closed"
