"""What Vonage and jambonz are answered; Vonage's own models and sockets judge it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from vonage_voice.models.ncco import Connect as NccoConnect

from voicemesh.carriers.answers import jambonz, vonage
from voicemesh.carriers.answers.document import Answer, Connect, Document, Ended, Onward, Turned
from voicemesh.carriers.dialect import Began, DialectSettings
from voicemesh.carriers.table import DIALECTS

STREAM = "wss://edge.example.com/carriers/vonage?ticket=abc"


def read(document: Document) -> list[dict[str, Any]]:
    assert document.content_type == "application/json"
    actions = json.loads(document.body)
    assert isinstance(actions, list)
    return actions


def test_vonage_is_sent_to_the_socket() -> None:
    [action] = read(vonage.answer(Connect(STREAM, {"call_id": "c1"}, "https://e.example.com/s")))
    assert action == {
        "action": "connect",
        "endpoint": [
            {
                "type": "websocket",
                "uri": STREAM,
                "content-type": "audio/l16;rate=16000",
                "headers": {"call_id": "c1"},
            }
        ],
        "eventUrl": ["https://e.example.com/s"],
    }


@pytest.mark.parametrize(
    ("answer", "endpoint"),
    [
        (Onward("+14155550100", "+14155550101"), {"type": "phone", "number": "14155550100"}),
        (Onward("sip:a@example.com", ring_seconds=20), {"type": "sip", "uri": "sip:a@example.com"}),
    ],
)
def test_vonages_own_models_take_a_transfer(answer: Onward, endpoint: dict[str, str]) -> None:
    [action] = read(vonage.answer(answer))
    assert action["endpoint"] == [endpoint]
    told = {"from_" if name == "from" else name: value for name, value in action.items()}
    written = NccoConnect(**told).model_dump(by_alias=True, exclude_none=True)
    assert json.loads(json.dumps(written)) == action


@pytest.mark.parametrize("answer", [Turned(), Turned(busy=False), Ended()])
def test_vonage_ends_a_call_that_nothing_is_to_be_done_with(answer: Answer) -> None:
    assert read(vonage.answer(answer)) == []


def test_what_vonage_tells_the_answer_address_reaches_the_socket() -> None:
    webhook = {"uuid": "c1", "from": "447700900000", "to": "447700900001", "region_url": "x"}
    [action] = read(vonage.answer(Connect(STREAM, vonage.told(webhook) | {"branch": "berlin"})))
    [endpoint] = action["endpoint"]
    hello = {
        "event": "websocket:connected",
        "content-type": endpoint["content-type"],
        **endpoint["headers"],
    }
    [began] = DIALECTS["vonage"].application(DialectSettings()).receive(json.dumps(hello))
    assert isinstance(began, Began)
    assert (began.call_id, began.caller, began.callee) == ("c1", "447700900000", "447700900001")
    assert began.parameters == {"branch": "berlin"}


def test_jambonz_listens_both_ways_at_one_rate_and_then_hangs_up() -> None:
    answer, listen, hangup = read(jambonz.answer(Connect("wss://e.example.com/j", {"a": "b"})))
    assert (answer, hangup) == ({"verb": "answer"}, {"verb": "hangup"})
    assert listen == {
        "verb": "listen",
        "url": "wss://e.example.com/j",
        "mixType": "mono",
        "sampleRate": 16000,
        "passDtmf": True,
        "bidirectionalAudio": {"enabled": True, "streaming": True, "sampleRate": 16000},
        "metadata": {"parameters": {"a": "b"}},
    }


def test_the_parameters_of_jambonz_verb_reach_the_socket() -> None:
    [_, listen, _] = read(jambonz.answer(Connect("wss://e.example.com/j", {"branch": "berlin"})))
    attributes = {
        "callSid": "c1",
        "sampleRate": listen["sampleRate"],
        "mixType": listen["mixType"],
        **listen["metadata"],
    }
    [began] = DIALECTS["jambonz"].application(DialectSettings()).receive(json.dumps(attributes))
    assert isinstance(began, Began)
    assert began.parameters == {"branch": "berlin"}


@pytest.mark.parametrize(
    ("answer", "verbs"),
    [
        (
            Onward("+14155550100", "+14155550101", 20),
            [
                {
                    "verb": "dial",
                    "target": [{"type": "phone", "number": "+14155550100"}],
                    "timeout": 20,
                    "callerId": "+14155550101",
                },
                {"verb": "hangup"},
            ],
        ),
        (
            Onward("sip:a@example.com"),
            [
                {
                    "verb": "dial",
                    "target": [{"type": "sip", "sipUri": "sip:a@example.com"}],
                    "timeout": 30,
                },
                {"verb": "hangup"},
            ],
        ),
        (Turned(), [{"verb": "sip:decline", "status": 486, "reason": "Busy Here"}]),
        (Turned(busy=False), [{"verb": "sip:decline", "status": 603, "reason": "Decline"}]),
        (Ended(), [{"verb": "hangup"}]),
    ],
)
def test_jambonz_is_answered_in_its_verbs(answer: Answer, verbs: list[dict[str, Any]]) -> None:
    assert read(jambonz.answer(answer)) == verbs
