"""Our answer documents against what the carriers' own packages build."""

from __future__ import annotations

import json
from collections.abc import Callable
from xml.etree.ElementTree import Element, fromstring

import pytest
from hypothesis import given, strategies as st
from plivo import plivoxml as plivo_xml
from teler.flows import CallFlow
from twilio.twiml.voice_response import VoiceResponse

from voicemesh.carriers.answers.document import Answer, Connect, Ended, Onward, Turned
from voicemesh.carriers.answers.table import ANSWERS
from voicemesh.errors import InvalidInput, OutOfOrder

URL = "wss://edge.example.org/media/<carrier>&co"
NASTY = {"a<b": "\"x\" & 'y'", "naïve": "]]>\n"}


def xml_of(name: str, answer: Answer) -> Element:
    document = ANSWERS[name](answer)
    assert document.content_type.startswith("application/xml")
    return fromstring(document.body)  # noqa: S314 - our own document


def json_of(name: str, answer: Answer) -> dict[str, object]:
    document = ANSWERS[name](answer)
    assert document.content_type == "application/json"
    told: dict[str, object] = json.loads(document.body)
    return told


def alike(one: Element, other: Element) -> bool:
    return (
        one.tag == other.tag
        and one.attrib == other.attrib
        and (one.text or "").strip() == (other.text or "").strip()
        and len(one) == len(other)
        and all(map(alike, one, other))
    )


def twiml(build: Callable[[VoiceResponse], object]) -> Element:
    theirs = VoiceResponse()
    build(theirs)
    return fromstring(str(theirs))  # noqa: S314 - theirs, in a test


def test_twilios_package_builds_the_same_documents() -> None:
    def connect(theirs: VoiceResponse) -> None:
        stream = theirs.connect().stream(url=URL, status_callback="https://x.example/s?a=1&b=2")
        for name, value in NASTY.items():
            stream.parameter(name=name, value=value)

    def sip(theirs: VoiceResponse) -> None:
        theirs.dial(timeout=20, caller_id="+15550100").sip("sip:a@b.example;transport=tls")

    told = Connect(URL, NASTY, "https://x.example/s?a=1&b=2")
    onward = Onward("sip:a@b.example;transport=tls", "+15550100", 20)
    pairs: list[tuple[Answer, Callable[[VoiceResponse], object]]] = [
        (told, connect),
        (onward, sip),
        (Onward("+15550199"), lambda theirs: theirs.dial(timeout=30).number("+15550199")),
        (Turned(), lambda theirs: theirs.reject(reason="busy")),
        (Turned(busy=False), lambda theirs: theirs.reject(reason="rejected")),
        (Ended(), lambda theirs: theirs.hangup()),
    ]
    for ours, build in pairs:
        assert alike(xml_of("twilio", ours), twiml(build)), ours


def test_plivos_package_builds_the_same_documents() -> None:
    stream = plivo_xml.StreamElement(
        f"{URL}?bot=clinic&ticket=a_1",
        bidirectional=True,
        keepCallAlive=True,
        contentType="audio/x-mulaw;rate=8000",
        statusCallbackUrl="https://x.example/s?a=1&b=2",
    )
    told = Connect(URL, {"bot": "clinic", "ticket": "a_1"}, "https://x.example/s?a=1&b=2")
    dial = plivo_xml.DialElement(timeout=20, caller_id="15550100")
    to_user = plivo_xml.DialElement(timeout=30).add(plivo_xml.UserElement("sip:a@b.example"))
    pairs: list[tuple[Answer, plivo_xml.PlivoXMLElement]] = [
        (told, stream),
        (Onward("+15550199", "+15550100", 20), dial.add(plivo_xml.NumberElement("15550199"))),
        (Onward("sip:a@b.example"), to_user),
        (Turned(), plivo_xml.HangupElement(reason="busy")),
        (Ended(), plivo_xml.HangupElement()),
    ]
    for ours, theirs in pairs:
        built = plivo_xml.ResponseElement().add(theirs).to_string()
        assert alike(xml_of("plivo", ours), fromstring(built)), built  # noqa: S314


def test_telers_package_builds_the_same_flows() -> None:
    stream = CallFlow.stream(URL, sample_rate="8k", chunk_size=20, record=False)
    assert json_of("teler", Connect(URL)) == stream
    dial = CallFlow.dial("sip:a@b.example", timeout=20, record=False)
    assert json_of("teler", Onward("sip:a@b.example", ring_seconds=20)) == dial
    assert json_of("teler", Ended()) == json_of("teler", Turned()) == CallFlow.hangup()
    told = json_of("teler", Connect("wss://e.example/t?x=1", {"a b": "c&d"}))
    assert told["ws_url"] == "wss://e.example/t?x=1&a+b=c%26d"


def test_telnyx_is_asked_for_rtp_both_ways() -> None:
    (connect,) = xml_of("telnyx", Connect(URL, NASTY))
    (stream,) = connect
    assert stream.attrib == {
        "url": URL,
        "track": "inbound_track",
        "codec": "PCMU",
        "bidirectionalMode": "rtp",
        "bidirectionalCodec": "PCMU",
        "bidirectionalSamplingRate": "8000",
    }
    assert {p.attrib["name"]: p.attrib["value"] for p in stream} == NASTY
    same: list[Answer] = [Onward("+15550199"), Turned(), Ended()]
    assert all(alike(xml_of("telnyx", a), xml_of("twilio", a)) for a in same)


def test_exotels_applets_get_what_they_ask_for() -> None:
    assert json_of("exotel", Connect("wss://e.example/x", {"bot": "clinic"})) == {
        "url": "wss://e.example/x?bot=clinic"
    }
    onward = json_of("exotel", Onward("+919876543210", "+918047491899", 20))
    assert onward["destination"] == {"numbers": ["+919876543210"]}
    for answer in (Turned(), Ended()):
        with pytest.raises(OutOfOrder) as refused:
            ANSWERS["exotel"](answer)
        assert refused.value.reason == "NOT_OFFERED"
    with pytest.raises(InvalidInput):
        ANSWERS["exotel"](Onward("sip:a@b.example"))
    for told in ({str(n): "x" for n in range(4)}, {"a": "x" * 255}):
        with pytest.raises(InvalidInput, match="parameters"):
            ANSWERS["exotel"](Connect("wss://e.example/x", told))


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("twilio", Connect("wss://e.example/x?a=1")),
        ("twilio", Connect(URL, {"": "x"})),
        ("twilio", Connect(URL, {"a": "x" * 500})),
        ("twilio", Connect(URL, {"a": "\0"})),
        ("twilio", Onward("\x1b+1555")),
        ("telnyx", Connect(URL, {"a": "\ud800"})),
        ("plivo", Onward("+1\x00")),
    ],
)
def test_what_a_carrier_would_not_take_is_refused(name: str, answer: Answer) -> None:
    with pytest.raises(InvalidInput):
        ANSWERS[name](answer)


@given(st.dictionaries(st.text(min_size=1, max_size=9), st.text(max_size=9), max_size=3))
def test_whatever_is_passed_on_comes_back_or_is_refused(told: dict[str, str]) -> None:
    for name in ("twilio", "telnyx"):
        try:
            (connect,) = xml_of(name, Connect(URL, told))
        except InvalidInput:
            assert any(not c.isprintable() for text in (*told, *told.values()) for c in text)
            continue
        read = {p.attrib["name"]: p.attrib["value"] for p in connect[0]}
        assert read == told
