"""Our clients of the carriers' APIs against the carriers' own, on real HTTP."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import urlsplit

import pytest
import requests
import telnyx as telnyx_sdk
from plivo import RestClient as PlivoClient
from pydantic import SecretStr
from teler.clients import Client as TelerClient
from twilio.http.http_client import HttpClient
from twilio.http.response import Response
from twilio.rest import Client as TwilioClient

from tests.support.carrier_api import Asked, Teler, serving
from voicemesh.carriers.rest.control import Ability, Account, CallControl, NewCall, Transfer
from voicemesh.carriers.rest.table import CONTROLS
from voicemesh.errors import (
    DeadlineMissed,
    Denied,
    InvalidInput,
    Misconfigured,
    NotFound,
    OutOfOrder,
    Refused,
    Unavailable,
    VoicemeshError,
)

if TYPE_CHECKING:
    from tests.support.carrier_api import Answering, Reply

SECRET = "s3cret-of-nobody"  # noqa: S105
CALL = NewCall(
    caller="+15550100",
    callee="+15550199",
    answer_url="https://edge.example/answer?a=1",
    stream_url="wss://edge.example/media",
    status_url="https://edge.example/status",
    ring_seconds=25,
    parameters={"bot": "clinic"},
)
ONWARD = Transfer("+15550142", "https://edge.example/onward", "+15550100", 20)
FILE = "https://edge.example/a.wav"
PLACED: dict[str, Reply] = {
    "twilio": (201, {"sid": "CA1"}),
    "teler": (200, {"data": {"id": "CA1"}}),
    "plivo": (201, {"request_uuid": "CA1", "message": "call fired"}),
    "telnyx": (200, {"data": {"call_control_id": "CA1"}}),
    "exotel": (200, {"call": {"sid": "CA1"}}),
}


Asking: TypeAlias = Callable[[CallControl], Coroutine[Any, Any, object]]


def account(url: str, timeout: float = 5.0) -> Account:
    secret = SecretStr(SECRET)
    return Account("AC1", secret, secret, "conn", url, timeout)


def control(name: str, url: str, timeout: float = 5.0) -> CallControl:
    made = CONTROLS[name](account(url, timeout))
    assert isinstance(made, CallControl)
    return made


async def everything(name: str, url: str) -> None:
    """Ask a carrier for all that it can do, in order."""
    carrier = control(name, url)
    try:
        assert await carrier.dial(CALL, "k0") == "CA1"
        if Ability.TRANSFER in carrier.abilities:
            await carrier.transfer("CA1", ONWARD, "k1")
        if Ability.PRESS in carrier.abilities:
            await carrier.press("CA1", "12#", "k2")
        if Ability.PLAY in carrier.abilities:
            await carrier.play("CA1", FILE, "k3")
        if Ability.HANG_UP in carrier.abilities:
            await carrier.hang_up("CA1", "k4")
    finally:
        await carrier.aclose()


def ours(name: str) -> list[Asked]:
    with serving(lambda _: PLACED[name]) as api:
        asyncio.run(everything(name, api.url))
    return api.asked


def said(asked: list[Asked]) -> list[tuple[str, str, dict[str, Any]]]:
    return [(each.method, each.path, each.fields) for each in asked]


def test_teler_is_asked_as_its_package_asks() -> None:
    with serving(lambda _: PLACED["teler"]) as api:
        client = TelerClient(api_key=SECRET, base_url=api.url)
        client.voice.calls.create(
            CALL.caller, CALL.callee, CALL.answer_url, CALL.status_url, record=False
        )
        target = {"kind": "pstn", "number": ONWARD.target}
        client.voice.operations.transfer("CA1", target, "cold", timeout=20, idempotency_key="k1")
        client.voice.mutations.dtmf("CA1", "12#", idempotency_key="k2")
        client.voice.mutations.play("CA1", FILE, idempotency_key="k3")
        client.voice.mutations.hangup("CA1", idempotency_key="k4")
        client.close()  # type: ignore[no-untyped-call]
    mine = ours("teler")
    assert said(mine) == said(api.asked)
    for name in ("x-api-key", "idempotency-key"):
        assert [a.headers.get(name) for a in mine] == [a.headers.get(name) for a in api.asked]


def test_telnyx_is_asked_as_its_package_asks() -> None:
    with serving(lambda _: PLACED["telnyx"]) as api:
        client = telnyx_sdk.Telnyx(api_key=SECRET, base_url=api.url)
        client.calls.dial(
            connection_id="conn",
            to=CALL.callee,
            from_=CALL.caller,
            timeout_secs=25,
            command_id="k0",
            client_state="eyJib3QiOiJjbGluaWMifQ==",
            stream_url=CALL.stream_url,
            stream_track="inbound_track",
            stream_codec="PCMU",
            stream_bidirectional_mode="rtp",
            stream_bidirectional_codec="PCMU",
            stream_bidirectional_sampling_rate=8000,
            webhook_url=CALL.status_url,
        )
        actions = client.calls.actions
        actions.transfer(
            "CA1", to=ONWARD.target, from_=CALL.caller, timeout_secs=20, command_id="k1"
        )
        actions.send_dtmf("CA1", digits="12#", command_id="k2")
        actions.start_playback("CA1", audio_url=FILE, command_id="k3")
        actions.hangup("CA1", command_id="k4")
        client.close()
    mine = ours("telnyx")
    assert said(mine) == said(api.asked)
    assert {a.headers["authorization"] for a in mine + api.asked} == {f"Bearer {SECRET}"}


def test_twilio_is_asked_as_its_package_asks() -> None:
    asked: list[tuple[str, str, dict[str, Any], object]] = []

    class Recording(HttpClient):  # type: ignore[misc]
        def request(self, method: str, uri: str, *_: object, **rest: Any) -> Response:  # noqa: ANN401 - theirs
            asked.append((method, urlsplit(uri).path, rest["data"], rest["auth"]))
            return Response(201, json.dumps({"sid": "CA1"}))

    client = TwilioClient("AC1", SECRET, http_client=Recording(logging.getLogger("twilio"), False))
    client.calls.create(
        to=CALL.callee,
        from_=CALL.caller,
        url=CALL.answer_url,
        timeout=25,
        status_callback=CALL.status_url,
        status_callback_event=["ringing", "answered", "completed"],
    )
    client.calls("CA1").update(twiml="...")
    client.calls("CA1").update(status="completed")
    mine = said(ours("twilio"))
    assert [(m, f"/2010-04-01{path}") for m, path, _ in mine] == [(m, p) for m, p, _, _ in asked]
    sent = [flat(fields) for _, _, fields in mine]
    assert "<Number>+15550142</Number>" in str(sent[1].pop("Twiml"))
    assert asked[1][2].pop("Twiml") == "..."
    assert sent == [flat({k: v for k, v in data.items() if v is not None}) for *_, data, _ in asked]
    assert {auth for *_, auth in asked} == {("AC1", SECRET)}


def flat(fields: dict[str, Any]) -> dict[str, object]:
    """Return a form's fields as texts; several of one name stay a list."""
    lists = {k: v if isinstance(v, list) else [v] for k, v in fields.items()}
    return {k: [str(each) for each in v] for k, v in lists.items()}


def test_plivo_is_asked_as_its_package_asks() -> None:
    asked: list[tuple[str, str, dict[str, Any]]] = []

    class Recording(requests.adapters.BaseAdapter):
        def send(  # type: ignore[override]
            self, request: requests.PreparedRequest, **_: object
        ) -> requests.Response:
            body = json.loads(request.body if isinstance(request.body, str | bytes) else "{}")
            asked.append((str(request.method), urlsplit(str(request.url)).path, body))
            response = requests.Response()
            response.status_code = 204 if request.method == "DELETE" else 201
            response.request = request
            response._content = b'{"request_uuid":"CA1"}'
            return response

        def close(self) -> None:
            pass

    client = PlivoClient("MA" + "X" * 18, SECRET)
    client.session.mount("https://", Recording())
    to_status = {"hangup_url": CALL.status_url, "ring_url": CALL.status_url}
    client.calls.create("15550100", "15550199", CALL.answer_url, ring_timeout=25, **to_status)
    client.calls.update("CA1", legs="aleg", aleg_url=ONWARD.document_url, aleg_method="POST")
    client.calls.send_digits("CA1", "12#", leg="aleg")
    client.calls.start_playing("CA1", FILE, legs="aleg")
    client.calls.hangup("CA1")
    mine = said(ours("plivo"))
    account_path = f"/v1/Account/MA{'X' * 18}"
    placed = [(m, p.replace("/Account/AC1", account_path)) for m, p, _ in mine]
    assert placed == [(m, p) for m, p, _ in asked]
    # Its package also sends defaults of its own, and in the body again what the path tells.
    for (_, _, one), (_, _, other) in zip(mine, asked, strict=True):
        assert {k: v for k, v in other.items() if k in one} == one


def test_exotel_is_told_of_the_stream_and_offers_nothing_more() -> None:
    (asked,) = ours("exotel")
    assert asked.path == "/accounts/AC1/calls/connect"
    assert asked.fields["streamurl"] == ["wss://edge.example/media?bot=clinic"]
    assert asked.fields["from"] == [CALL.callee]
    assert asked.headers["authorization"].startswith("Basic ")
    with serving(lambda _: (200, {"Call": {"Sid": "CA2"}})) as api:
        assert use("exotel", api.url, lambda c: c.dial(CALL, "k")) == "CA2"


def use(name: str, url: str, ask: Asking, timeout: float = 5.0) -> object:
    async def run() -> object:
        carrier = control(name, url, timeout)
        try:
            return await ask(carrier)
        finally:
            await carrier.aclose()

    return asyncio.run(run())


def hanging_up(call_id: str) -> Asking:
    return lambda c: c.hang_up(call_id, "k")


def pressing(digits: str) -> Asking:
    return lambda c: c.press("CA1", digits, "k")


@pytest.mark.parametrize("name", PLACED)
def test_what_a_carrier_does_not_offer_is_refused_unasked(name: str) -> None:
    asks: dict[Ability, Asking] = {
        Ability.HANG_UP: lambda c: c.hang_up("CA1", "k"),
        Ability.TRANSFER: lambda c: c.transfer("CA1", ONWARD, "k"),
        Ability.PRESS: lambda c: c.press("CA1", "1", "k"),
        Ability.PLAY: lambda c: c.play("CA1", FILE, "k"),
    }
    with serving(lambda _: (200, {})) as api:
        abilities = control(name, api.url).abilities
        for ability in set(Ability) - abilities:
            with pytest.raises(OutOfOrder) as refused:
                use(name, api.url, asks[ability])
            assert refused.value.reason == "NOT_OFFERED"
    assert not api.asked


def test_telers_package_and_we_control_the_same_calls() -> None:
    teler = Teler(SECRET)
    with serving(teler) as api:
        client = TelerClient(api_key=SECRET, base_url=api.url)
        created = client.voice.calls.create(
            "+1555", "+1666", "https://f.example", "https://s.example"
        )
        call_id = str(created.id)
        for _ in range(2):  # the same key: one effect
            use("teler", api.url, lambda c: c.press(call_id, "1", "same"))
            client.voice.mutations.dtmf(call_id, "1", idempotency_key="same")
        use("teler", api.url, lambda c: c.transfer(call_id, ONWARD, "t"))
        sip = Transfer("sip:a@b.example", "https://d.example")
        use("teler", api.url, lambda c: c.transfer(call_id, sip, "u"))
        placed = use("teler", api.url, lambda c: c.dial(CALL, "k"))
        assert client.voice.calls.retrieve(str(placed)).state == "initiated"
        client.voice.mutations.hangup(str(placed))
        use("teler", api.url, lambda c: c.hang_up(call_id, "h"))
        with pytest.raises(OutOfOrder) as over:
            use("teler", api.url, lambda c: c.play(str(placed), FILE, "p"))
        assert over.value.reason == "CALL_OVER"
        with pytest.raises(NotFound):
            use("teler", api.url, lambda c: c.hang_up("no-such", "x"))
        client.close()  # type: ignore[no-untyped-call]
    assert [what for _, what, _ in teler.changes] == [
        "dtmf",
        "transfer",
        "transfer",
        "hangup",
        "hangup",
    ]


@pytest.mark.parametrize(
    ("name", "status", "told", "error", "reason"),
    [
        ("twilio", 400, {"code": 21211, "message": "bad To"}, InvalidInput, "CARRIER_REFUSED"),
        ("twilio", 400, {"code": 21220, "message": "not in-progress"}, OutOfOrder, "CALL_OVER"),
        ("twilio", 401, {"code": 20003, "message": "Authenticate"}, Misconfigured, ""),
        ("telnyx", 422, {"errors": [{"code": "90018", "title": "ended"}]}, OutOfOrder, "CALL_OVER"),
        ("telnyx", 422, {"errors": [{"code": "10004"}]}, InvalidInput, "CARRIER_REFUSED"),
        ("telnyx", 403, {"errors": []}, Denied, ""),
        ("teler", 409, {"message": "Resource Conflict."}, OutOfOrder, "CALL_OVER"),
        ("teler", 501, {"message": "Not implemented."}, OutOfOrder, "NOT_OFFERED"),
        ("plivo", 404, {"error": "call not found"}, NotFound, ""),
        ("plivo", 402, {}, Denied, ""),
        ("plivo", 429, b"slow down", Refused, ""),
        ("twilio", 503, b"<html>", Unavailable, ""),
        ("twilio", 302, {}, Unavailable, ""),
        ("twilio", 400, {"message": f"token {SECRET} is wrong"}, InvalidInput, ""),
        ("twilio", 400, [1], InvalidInput, ""),
        ("twilio", 400, {"errors": [3], "message": "x" * 9999}, InvalidInput, ""),
    ],
)
def test_complaints_become_errors_of_ours_without_secrets(
    name: str,
    status: int,
    told: object,
    error: type[VoicemeshError],
    reason: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with (
        serving(lambda _: (status, told)) as api,
        caplog.at_level(logging.DEBUG),
        pytest.raises(error) as raised,
    ):
        use(name, api.url, lambda c: c.hang_up("CA1", "k"))
    assert type(raised.value) is error
    assert not reason or raised.value.reason == reason
    assert SECRET not in str(raised.value) + caplog.text + repr(account(""))
    assert len(str(raised.value)) < 400


def test_a_carrier_that_does_not_answer_costs_its_deadline_only() -> None:
    done = threading.Event()

    def never(_: Asked) -> Reply:
        done.wait(30)
        return 200, {}

    with serving(never) as api:
        try:
            with pytest.raises(DeadlineMissed, match="not known"):
                use("twilio", api.url, lambda c: c.hang_up("CA1", "k"), timeout=0.2)
        finally:
            done.set()
    with pytest.raises(Unavailable, match="out of reach"):
        use("twilio", api.url, lambda c: c.hang_up("CA1", "k"))  # nobody listens there now


@pytest.mark.parametrize("told", [b"x" * (2 << 20), {}, [], b"{", {"sid": 5}, {"sid": ""}])
def test_an_answer_that_says_nothing_or_too_much_is_no_call(told: object) -> None:
    with serving(lambda _: (201, told)) as api, pytest.raises(Unavailable):
        use("twilio", api.url, lambda c: c.dial(CALL, "k"))


@pytest.mark.parametrize("name", ["twilio", "teler", "plivo", "telnyx"])
def test_a_name_stays_one_part_of_the_path(name: str) -> None:
    answer: Answering = lambda _: (200, {})  # noqa: E731
    with serving(answer) as api:
        use(name, api.url, lambda c: c.hang_up("../Recordings/RE1?x=#", "k"))
        (asked,) = api.asked
        assert "..%2FRecordings%2FRE1%3Fx%3D%23" in asked.path
        for odd in ("", ".", "..", "x" * 129):
            with pytest.raises(NotFound):
                use(name, api.url, hanging_up(odd))
    assert len(api.asked) == 1


@pytest.mark.parametrize("name", PLACED)
def test_an_account_that_lacks_a_part_is_misconfigured(name: str) -> None:
    with pytest.raises(Misconfigured):
        CONTROLS[name](Account())


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"callee": "15550199"}, "callee"),
        ({"callee": "+1555019x"}, "callee"),
        ({"caller": ""}, "caller"),
        ({"answer_url": "edge"}, "answer_url"),
        ({"stream_url": "https://edge.example"}, "stream_url"),
        ({"ring_seconds": 4}, "ring_seconds"),
        ({"ring_seconds": 121}, "ring_seconds"),
    ],
)
def test_what_cannot_be_called_is_named(changed: dict[str, Any], field: str) -> None:
    good = {name: getattr(CALL, name) for name in CALL.__slots__}
    with pytest.raises(InvalidInput) as refused:
        NewCall(**(good | changed))
    assert refused.value.details["field"] == field


def test_a_transfer_goes_to_a_number_or_a_sip_address_and_digits_are_digits() -> None:
    for target in ("", "5550100", "sip:", "sip:a b", "tel:+1555", "sip:a@b\r\nX: y"):
        with pytest.raises(InvalidInput, match="target"):
            Transfer(target, "https://d.example")
    for digits in ("", "12a", "1" * 65, "1 2"):
        with serving(lambda _: (200, {})) as api, pytest.raises(InvalidInput, match="digits"):
            use("plivo", api.url, pressing(digits))
