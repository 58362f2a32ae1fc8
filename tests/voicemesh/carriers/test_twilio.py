"""Twilio's Media Streams as its pages show them, and its signature as its package judges it."""

from __future__ import annotations

import json
from base64 import b64encode
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given, strategies as st
from pydantic import SecretStr
from twilio.request_validator import RequestValidator

from voicemesh.audio import AudioFormat, Encoding
from voicemesh.carriers.auth.request import Request
from voicemesh.carriers.auth.twilio import twilio
from voicemesh.carriers.dialect import (
    Began,
    Clear,
    Command,
    DialectSettings,
    Event,
    Mark,
    Play,
    Pressed,
    Reached,
    Sounded,
    Stopped,
)
from voicemesh.carriers.twilio import TwilioApplication, TwilioCarrier
from voicemesh.errors import Denied, InvalidInput, OutOfOrder

LINES = [
    json.loads(line)
    for line in (Path(__file__).parents[2] / "data/carriers/twilio.jsonl").read_text().splitlines()
]
SETTINGS = DialectSettings()
SOUND = bytes(range(16))
STREAM = "MZ" + 32 * "X"
BEGAN = Began(
    "CA" + 32 * "X",
    STREAM,
    "AC" + 32 * "X",
    parameters={"FirstName": "Jane", "LastName": "Doe"},
)
EVENTS: list[Event] = [BEGAN, Sounded(SOUND), Reached("my label"), Pressed("1"), Stopped()]
COMMANDS: list[Command] = [Play(SOUND), Mark("my label"), Clear()]


def written_by(end: str) -> list[str]:
    return [json.dumps(line[end]) for line in LINES if end in line]


def begun(**changes: Any) -> TwilioApplication:  # noqa: ANN401
    application = TwilioApplication(SETTINGS)
    list(application.receive(start(**changes)))
    return application


def start(**changes: Any) -> str:  # noqa: ANN401
    told: dict[str, Any] = json.loads(written_by("carrier")[1])
    told["start"] |= changes
    return json.dumps(told)


def media(**changes: Any) -> str:  # noqa: ANN401
    fields = {"track": "inbound", "chunk": "1", "timestamp": "0", "payload": "////"} | changes
    return json.dumps({"event": "media", "streamSid": STREAM, "media": fields})


def test_both_ends_read_what_the_pages_show() -> None:
    application, carrier = TwilioApplication(SETTINGS), TwilioCarrier(SETTINGS)
    assert [e for f in written_by("carrier") for e in application.receive(f)] == EVENTS
    list(carrier.send(BEGAN))
    assert [c for f in written_by("application") for c in carrier.receive(f)] == COMMANDS


def test_our_end_writes_exactly_what_the_pages_show() -> None:
    application = begun()
    written = [json.loads(f) for command in COMMANDS for f in application.send(command)]
    assert written == [json.loads(frame) for frame in written_by("application")]


def test_their_end_writes_numbers_as_text_and_counts_up() -> None:
    carrier = TwilioCarrier(SETTINGS)
    heard: list[Event] = [BEGAN, Sounded(SOUND), Sounded(SOUND)]
    told = [json.loads(f) for e in heard for f in carrier.send(e)]
    assert [one.get("sequenceNumber") for one in told] == [None, "1", "2", "3"]
    assert [one["media"]["chunk"] for one in told[2:]] == ["1", "2"]
    assert [one["media"]["timestamp"] for one in told[2:]] == ["0", "2"]


@pytest.mark.parametrize("encoding", ["audio/x-mulaw", "audio/x-l16"])
def test_the_format_is_read_not_assumed(encoding: str) -> None:
    rate = 8000 if encoding == "audio/x-mulaw" else 16000
    told = {"encoding": encoding, "sampleRate": rate, "channels": 1}
    application = TwilioApplication(SETTINGS)
    [began] = application.receive(start(mediaFormat=told))
    assert isinstance(began, Began)
    kind = Encoding.MULAW if rate == 8000 else Encoding.LINEAR16
    assert began.sent == began.played == AudioFormat(kind, rate)


WRONG: dict[str, tuple[str, str]] = {
    "a number that is none": (media(chunk=1), "media.chunk"),
    "a number below zero": (media(chunk="-1"), "media.chunk"),
    "a number without end": (media(chunk="9" * 40), "media.chunk"),
    "no payload": (media(payload=None), "media.payload"),
    "not base64": (media(payload="*"), "media.payload"),
    "no track": (media(track=7), "media.track"),
    "media that is none": (
        json.dumps({"event": "media", "streamSid": STREAM, "media": []}),
        "media",
    ),
    "no event": ("{}", "event"),
    "a list": ("[]", "frame"),
    "two keys at once": (
        json.dumps({"event": "dtmf", "streamSid": STREAM, "dtmf": {"digit": "12"}}),
        "dtmf.digit",
    ),
    "a key that no phone has": (
        json.dumps({"event": "dtmf", "streamSid": STREAM, "dtmf": {"digit": "x"}}),
        "dtmf.digit",
    ),
    "a mark without a name": (
        json.dumps({"event": "mark", "streamSid": STREAM, "mark": {}}),
        "mark.name",
    ),
    "no stream": (json.dumps({"event": "stop"}), "streamSid"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_malformed_is_named(what: str) -> None:
    frame, field = WRONG[what]
    with pytest.raises(InvalidInput) as caught:
        list(begun().receive(frame))
    assert caught.value.details["field"] == field


STARTS: dict[str, tuple[dict[str, Any], str]] = {
    "two channels": (
        {"mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 2}},
        "start.mediaFormat.channels",
    ),
    "a rate in text": (
        {"mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": "8000", "channels": 1}},
        "start.mediaFormat.sampleRate",
    ),
    "another stream inside": ({"streamSid": "MZ2"}, "streamSid"),
    "no call": ({"callSid": ""}, "start.callSid"),
    "a parameter that is no text": (
        {"customParameters": {"a": 1}},
        "start.customParameters.a",
    ),
    "too many parameters": (
        {"customParameters": {str(n): "" for n in range(40)}},
        "start.customParameters",
    ),
}


@pytest.mark.parametrize("what", STARTS)
def test_a_start_that_is_wrong_begins_nothing(what: str) -> None:
    changes, field = STARTS[what]
    application = TwilioApplication(SETTINGS)
    with pytest.raises(InvalidInput) as caught:
        list(application.receive(start(**changes)))
    assert caught.value.details["field"] == field
    assert isinstance(next(iter(application.receive(start()))), Began)


def test_order_is_kept() -> None:
    fresh = TwilioApplication(SETTINGS)
    for frame in written_by("carrier")[2:]:
        with pytest.raises(OutOfOrder, match="before start"):
            list(fresh.receive(frame))
    with pytest.raises(OutOfOrder, match="second time"):
        list(begun().receive(start()))
    application = begun()
    list(application.receive(media(chunk="5")))
    for chunk in ("5", "4"):
        with pytest.raises(OutOfOrder, match="must be higher"):
            list(application.receive(media(chunk=chunk)))
    with pytest.raises(OutOfOrder, match="must come before"):
        list(fresh.send(Clear()))


def test_what_nobody_asked_for_is_passed_over() -> None:
    application = begun()
    for frame in (
        media(track="outbound", payload="*", chunk=None),
        json.dumps({"event": "novelty", "streamSid": 7}),
        json.dumps({"event": "connected", "protocol": "Call", "version": "1.0.0"}),
        media(payload=""),
    ):
        assert [*application.receive(frame)] == []


def test_their_end_complains_as_twilio_does() -> None:
    carrier = TwilioCarrier(SETTINGS)
    list(carrier.send(BEGAN))
    other = json.dumps({"event": "clear", "streamSid": "MZ2"})
    told = json.dumps({"event": "say", "streamSid": STREAM})
    for frame, reason in ((other, "31951"), (told, "31924")):
        with pytest.raises(InvalidInput) as caught:
            list(carrier.receive(frame))
        assert caught.value.details["twilio"] == reason
    with pytest.raises(InvalidInput, match="not binary"):
        list(carrier.receive(b"\xff" * 160))


@given(st.binary(min_size=1, max_size=4000), st.text(min_size=1, max_size=40))
def test_any_sound_and_any_mark_arrive(sound: bytes, mark: str) -> None:
    application, carrier = begun(), TwilioCarrier(SETTINGS)
    list(carrier.send(BEGAN))
    for command in (Play(sound), Mark(mark)):
        assert [c for f in application.send(command) for c in carrier.receive(f)] == [command]
    for event in (Sounded(sound), Reached(mark)):
        assert [e for f in carrier.send(event) for e in application.receive(f)] == [event]


# The signature.

TOKEN = "12345"  # noqa: S105 - of Twilio's own examples
FORM = {
    "CallSid": "CA1234567890ABCDE",
    "Caller": "+14158675309",
    "Digits": "1234",
    "From": "+14158675309",
    "To": "+18005551212",
}


def verdict(url: str, given_signature: str, body: bytes = b"") -> bool:
    request = Request("POST", url, {"x-twilio-signature": given_signature}, body)
    try:
        twilio(SecretStr(TOKEN))(request, 0.0)
    except Denied:
        return False
    return True


def test_a_signature_of_twilios_own_pages_is_genuine() -> None:
    url = "https://mycompany.com/myapp.php?foo=1&bar=2"
    body = urlencode(FORM).encode()
    known = RequestValidator(TOKEN).compute_signature(url, FORM)
    assert known == "RSOYDt4T1cUTdK1PDd93/VVr8B8="
    assert verdict(url, known, body)
    assert not verdict(url, known, body + b"&Extra=1")
    assert not verdict(url.replace("https", "http"), known, body)
    assert not verdict(url, "", body)


@pytest.mark.parametrize("scheme", ["https", "http", "wss", "ws"])
@pytest.mark.parametrize("host", ["voice.example.com", "voice.example.com:8443"])
@given(
    path=st.sampled_from(["/carriers/twilio", "/carriers/twilio/frontdesk", "/a?b=1&c=%20d"]),
    form=st.dictionaries(st.text("abAB", min_size=1, max_size=4), st.text(max_size=6), max_size=4),
    harm=st.sampled_from(["", "url", "field", "token", "signature"]),
)
def test_twilios_package_and_we_agree(
    scheme: str, host: str, path: str, form: dict[str, str], harm: str
) -> None:
    url = f"{scheme}://{host}{path}"
    form = {name: value for name, value in form.items() if value.isascii() and value.isprintable()}
    signer = RequestValidator("other" if harm == "token" else TOKEN)
    known = signer.compute_signature(url + ("x" if harm == "url" else ""), form)
    if harm == "signature":
        known = b64encode(b"x" * 20).decode()
    shown = form | ({"zz": "1"} if harm == "field" else {})
    theirs = RequestValidator(TOKEN).validate(url, shown, known)
    assert verdict(url, known, urlencode(shown).encode()) == theirs == (not harm)


def test_an_upgrade_has_no_fields() -> None:
    url = "wss://voice.example.com/carriers/twilio"
    known = RequestValidator(TOKEN).compute_signature(url, {})
    assert RequestValidator(TOKEN).validate(url, {}, known)
    assert verdict(url, known)
    assert not verdict(url + "/other", known)


def test_a_body_that_is_no_form_is_covered_by_its_hash() -> None:
    body = b'{"a": 1}'
    url = f"https://x.example/status?bodySHA256={sha256(body).hexdigest()}"
    known = RequestValidator(TOKEN).compute_signature(url, {})
    assert RequestValidator(TOKEN).validate(url, body.decode(), known)
    assert verdict(url, known, body)
    assert not verdict(url, known, b'{"a": 2}')
