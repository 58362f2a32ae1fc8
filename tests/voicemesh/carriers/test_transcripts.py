"""What the carriers' own pages show, read by our end and by theirs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from voicemesh.carriers.dialect import (
    LINEAR_8K,
    MULAW_8K,
    Began,
    Clear,
    Command,
    DialectSettings,
    Emptied,
    Event,
    Mark,
    Play,
    Press,
    Pressed,
    Reached,
    Sounded,
    Stopped,
)
from voicemesh.carriers.table import DIALECTS

TRANSCRIPTS = Path(__file__).parents[2] / "data" / "carriers"
MULAW = bytes(range(160))
LINEAR = MULAW * 2

HEARD: dict[str, list[Event]] = {
    "teler": [
        Began(
            call_id="8f6b0a2e-3a31-4f2f-8c8e-6a7a2c1d9e00",
            stream_id="c1a6a7f0-0e5e-4f0a-9c55-0b9f5d3b7e22",
            account_id="5f0c7b52-6d2e-4b6b-8f7b-4f5f9b0d4b11",
            sent=LINEAR_8K,
            played=LINEAR_8K,
        ),
        Sounded(LINEAR),
    ],
    "plivo": [
        Began(
            call_id="12345678-1234-1234-1234-123456789abc",
            stream_id="87654321-4321-4321-4321-cba987654321",
            account_id="MAXXXXXXXXXXXXXXXXXX",
            parameters={"userId": "12345", "sessionId": "abc-xyz"},
        ),
        Sounded(MULAW),
        Pressed("5"),
        Reached("customer greeting audio"),
        Emptied(),
    ],
    "telnyx": [
        Began(
            call_id="v2:T02llQxIyaRkhfRKxgAP8nY511EhFLizdvdUKJiSw8d6A9BborherQ",
            stream_id="32DE0DEA-53CB-4B21-89A4-9E1819C043BC",
            account_id="3E6F995F-85F7-4705-9741-53B116D28237",
            caller="+13122010094",
            callee="+13122123456",
            parameters={"customer_id": "customer_123"},
            sent=MULAW_8K,
        ),
        Sounded(MULAW),
        Pressed("1"),
        Reached("end of greeting"),
        Stopped(),
    ],
    "exotel": [
        Began(
            call_id="CA0123456789abcdef01234567",
            stream_id="MZ0123456789abcdef01234567",
            account_id="AC0123456789abcdef01234567",
            caller="+919876543210",
            callee="+918047491899",
            parameters={"key1": "value1"},
            sent=LINEAR_8K,
            played=LINEAR_8K,
        ),
        Sounded(LINEAR),
        Pressed("5"),
        Reached("greeting"),
        Stopped("callended"),
    ],
}
WANTED: dict[str, list[Command]] = {
    "teler": [Play(LINEAR), Play(LINEAR), Clear()],
    "plivo": [Play(MULAW), Mark("customer greeting audio"), Clear(), Press("1234#")],
    "telnyx": [Play(MULAW), Mark("end of greeting"), Clear()],
    "exotel": [Play(LINEAR), Mark("greeting"), Clear()],
}


def written_by(end: str, name: str) -> list[str]:
    lines = (TRANSCRIPTS / f"{name}.jsonl").read_text().splitlines()
    return [json.dumps(line[end]) for line in map(json.loads, lines) if end in line]


@pytest.mark.parametrize("name", HEARD)
def test_our_end_reads_what_the_carrier_writes(name: str) -> None:
    application = DIALECTS[name].application(DialectSettings())
    heard = [e for frame in written_by("carrier", name) for e in application.receive(frame)]
    assert heard == HEARD[name]


@pytest.mark.parametrize("name", WANTED)
def test_the_carriers_end_reads_what_an_application_writes(name: str) -> None:
    carrier = DIALECTS[name].carrier(DialectSettings())
    list(carrier.send(HEARD[name][0]))
    wanted = [c for frame in written_by("application", name) for c in carrier.receive(frame)]
    assert wanted == WANTED[name]


@pytest.mark.parametrize("name", HEARD)
def test_the_carriers_end_writes_the_fields_that_its_pages_show(name: str) -> None:
    carrier = DIALECTS[name].carrier(DialectSettings())
    written = [json.loads(f) for event in HEARD[name] for f in carrier.send(event)]
    shown = {kind_of(m): m for m in map(json.loads, written_by("carrier", name))}
    for message in written:
        assert not missing_from(shown[kind_of(message)], message), message


def kind_of(message: dict[str, object]) -> object:
    return message.get("event") or message.get("type")


def missing_from(shown: dict[str, object], message: dict[str, object]) -> set[str]:
    """Return the fields that we write and the page does not show, or shows with another type."""
    wrong = set()
    for name, value in message.items():
        other = shown.get(name)
        if isinstance(value, dict) and isinstance(other, dict):
            wrong |= {f"{name}.{inner}" for inner in missing_from(other, value)} - {
                f"{name}.{key}" for key in ("key1", "customer_id")
            }
        elif type(value) is not type(other):
            wrong.add(name)
    return wrong


@pytest.mark.parametrize("name", WANTED)
def test_our_end_writes_what_the_pages_show(name: str) -> None:
    application = DIALECTS[name].application(DialectSettings())
    for frame in written_by("carrier", name)[:2]:
        list(application.receive(frame))
    written = [json.loads(f) for command in WANTED[name] for f in application.send(command)]
    shown: dict[object, dict[str, object]] = {}
    for message in map(json.loads, written_by("application", name)):
        shown.setdefault(kind_of(message), message)
    shown.get("playAudio", {})["streamId"] = ""  # not shown, but taken: other clients send it
    for message in written:
        assert not missing_from(shown[kind_of(message)], message), message
