"""What carriers' webhooks tell, and the tickets that let sockets in."""

from __future__ import annotations

import json
from contextlib import suppress
from urllib.parse import urlencode

import pytest
from hypothesis import given, strategies as st

from gateway.answering.told import OVER, Told, query_of, read
from gateway.control.dialling import Tickets, ticket_in
from gateway.routing import Route
from voicemesh.carriers.answers.document import Connect
from voicemesh.carriers.answers.exotel import answer as exotel
from voicemesh.carriers.answers.table import ANSWERS
from voicemesh.carriers.auth.request import Request
from voicemesh.errors import Denied, InvalidInput
from voicemesh.sealing import Keyring

FORM = {"content-type": "application/x-www-form-urlencoded"}
JSON = {"content-type": "application/json; charset=utf-8"}
NOW = 1_800_000_000.0
ROUTE = Route("frontdesk", {"branch": "berlin"}, "+4930*", caller="+49151", callee="+4930123456")


def form(**fields: str) -> Request:
    return Request("POST", "/x", FORM, urlencode(fields).encode())


def body(said: object) -> Request:
    return Request("POST", "/x", JSON, json.dumps(said).encode())


@pytest.mark.parametrize(
    ("carrier", "request_", "status"),
    [
        ("twilio", form(CallSid="CA1", CallStatus="no-answer"), "no_answer"),
        ("twilio", form(CallSid="CA1", CallStatus="ringing"), ""),
        ("twilio", form(CallSid="CA1", CallStatus="completed"), OVER),
        ("telnyx", form(CallSid="CA1", CallStatus="busy"), "busy"),
        (
            "telnyx",
            body(
                {
                    "data": {
                        "event_type": "call.hangup",
                        "payload": {"call_control_id": "CA1", "hangup_cause": "user_busy"},
                    }
                }
            ),
            "busy",
        ),
        ("plivo", form(CallUUID="CA1", CallStatus="timeout"), "no_answer"),
        ("plivo", form(CallUUID="CA1", CallStatus="cancel"), "cancelled"),
        ("exotel", form(CallSid="CA1", Status="failed"), "failed"),
        ("vonage", body({"uuid": "CA1", "status": "unanswered"}), "no_answer"),
        ("vonage", body({"uuid": "CA1", "status": "rejected"}), "rejected"),
        ("jambonz", body({"call_sid": "CA1", "call_status": "busy", "sip_status": 486}), "busy"),
        ("teler", body({"event": "call.completed", "data": {"call_id": "CA1"}}), OVER),
        ("teler", body({"event": "call.answered", "data": {"call_id": "CA1"}}), ""),
    ],
)
def test_every_carriers_word_for_an_end_is_known(
    carrier: str, request_: Request, status: str
) -> None:
    call = read(carrier, request_)
    assert (call.call_id, call.status) == ("CA1", status)


@pytest.mark.parametrize("carrier", ["plivo", "vonage"])
def test_numbers_without_their_plus_get_it(carrier: str) -> None:
    fields = {"CallUUID": "a", "From": "491511234567", "To": "100"}
    small = {"uuid": "a", "from": "491511234567", "to": "100"}
    call = read(carrier, form(**fields) if carrier == "plivo" else body(small))
    assert (call.caller, call.callee) == ("+491511234567", "100")


@pytest.mark.parametrize(
    "request_",
    [
        body([1]),
        Request("POST", "/x", JSON, b"{"),
        Request("POST", "/x", JSON, b"[" * 60_000),
        Request("POST", "/x", FORM, b"\xff\xfe"),
        Request("POST", "/x", FORM, b"&".join(b"a=1" for _ in range(200))),
        Request("GET", "/x?" + "a=1&" * 200, {}),
        body({"call_id": "a" * 129}),
        body({"call_id": "a", "from": "1" * 200}),
        body({"call_id": 5}),
        body({}),
    ],
)
def test_nonsense_is_refused_by_name(request_: Request) -> None:
    with pytest.raises(InvalidInput):
        read("teler", request_)


@given(st.sampled_from(sorted(ANSWERS)), st.sampled_from([FORM, JSON, {}]), st.binary(max_size=200))
def test_whatever_comes_is_read_or_refused(
    carrier: str, headers: dict[str, str], content: bytes
) -> None:
    with suppress(InvalidInput):
        assert isinstance(read(carrier, Request("POST", "/x?a=b", headers, content)), Told)


def test_a_ticket_serves_once_however_it_is_written() -> None:
    tickets = Tickets(Keyring.random())
    ticket = tickets.admit(ROUTE, NOW)
    assert tickets.read({**ticket, "tenant": "a"}, NOW) == tickets.read(
        {"tenant": "a", **ticket}, NOW + 59
    )
    got = tickets.redeem({**ticket, "tenant": "a"}, NOW)
    assert got is not None
    assert (got.bot, got.number, got.caller, got.placed) == ("frontdesk", "+4930*", "+49151", False)
    assert got.variables == {"tenant": "a", "branch": "berlin"}
    [name] = ticket
    # Junk that the decoding passes over does not make another ticket of it.
    for same in (ticket[name], "!" + ticket[name], ticket[name] + "\n"):
        with pytest.raises(Denied, match="seen before"):
            tickets.redeem({name: same}, NOW)


def test_a_ticket_is_good_for_a_minute_and_for_our_keys_only() -> None:
    tickets = Tickets(Keyring.random())
    ticket = tickets.admit(ROUTE, NOW)
    for at in (NOW + 62, NOW - 400):
        with pytest.raises(Denied, match="too old"):
            tickets.read(ticket, at)
    with pytest.raises(Denied, match="not ours"):
        Tickets(Keyring.random()).read(ticket, NOW)
    with pytest.raises(Denied, match="not ours"):
        tickets.read({"voicemesh_ticket_0": "é"}, NOW)
    assert tickets.read({"tenant": "a"}, NOW) is None
    assert ticket_in({"tenant": "a"}) == ""


def test_the_tightest_carrier_takes_a_ticket() -> None:
    ticket = Tickets(Keyring.random()).admit(ROUTE, NOW)
    said = json.loads(exotel(Connect("wss://voice.example.com/carriers/exotel", ticket)).body)
    assert query_of(said["url"]) == ticket
