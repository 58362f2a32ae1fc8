"""Carriers that ask by webhook, through a real edge Envoy: in, out, and whoever may not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from teler.clients import AsyncClient

from tests.calls.answered import (
    CALLEE,
    CALLER,
    HOST,
    RARE,
    TOKEN,
    Site,
    asking,
    site,
    socket_in,
    with_token,
)
from tests.sip.support import until
from tests.support.carrier_api import Teler, serving
from voicemesh.carriers.answers.table import ANSWERS
from voicemesh.carriers.dialect import DialectSettings
from voicemesh.client import AwaitReply, Say, Speaker, perform, voiced
from voicemesh.emulate import CarrierCall, Order, natural_start
from voicemesh.errors import Denied

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow
TELER_KEY = "teler-key"
CARRIERS = """
carriers:
  - name: main
    carrier: teler
    key: teler-key
    caller: "+4930123456"
    base_url: %s
"""
TALK = (AwaitReply(), Say("first of all"), AwaitReply(), Say("goodbye"), AwaitReply())


async def talk(here: Site, call: CarrierCall) -> None:
    wire = natural_start(call.dialect, DialectSettings()).sent
    async with Speaker.at(here.mesh.mesh_address, engine="scripted") as speaker:
        await perform(call, await voiced(TALK, speaker, wire))
    await call.wait_ended(10)


async def test_twilio_asks_and_opens_the_socket_that_it_is_told_of(tmp_path: Path) -> None:
    async with site(tmp_path) as here:
        answer, headers = await here.twilio()
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("application/xml")
        told = socket_in("twilio", answer.content)
        assert told.path == "/carriers/twilio"
        # The same request again, and one that was changed on its way.
        form = {"CallSid": "CA1", "AccountSid": "AC1", "From": CALLER, "To": CALLEE}
        for changed, reason in (({}, "REPLAYED"), ({"To": RARE}, "WRONG_SIGNATURE")):
            refused = await here.http.post(
                "/carriers/twilio/answer", data={**form, **changed}, headers=headers
            )
            assert (refused.status_code, refused.text.split(":")[0]) == (403, reason)
            assert "<" not in refused.text
        bare = await here.http.post(with_token("/carriers/twilio/answer"), data=form)
        assert (bare.status_code, bare.text.split(":")[0]) == (403, "NOT_SIGNED")
        # Nor does the socket open without Twilio's signature over its public address.
        with pytest.raises(Denied):
            async with here.open("twilio", told, Order(socket=told.path)):
                pass
        async with here.open("twilio", told) as call:
            await talk(here, call)
        assert call.close_code == 1000, call.close_reason
        async with here.open("twilio", told) as again:
            await again.wait_ended(5)
        assert (again.close_code, again.close_reason.split(":")[0]) == (1008, "REPLAYED")
    # A gateway that stops has written its records.
    [record] = here.records()
    journal = record["journal"]
    said = [entry["caller_said"]["text"] for entry in journal if "caller_said" in entry]
    assert said == ["first of all", "goodbye"]
    assert journal[-1]["call_ended"]["reason"] == "bot_hung_up"


async def test_who_calls_nobody_or_one_too_many_is_turned_away(tmp_path: Path) -> None:
    async with site(tmp_path) as here:
        unknown, _ = await here.twilio(To="+1999")
        assert (unknown.status_code, b'<Reject reason="rejected"' in unknown.content) == (200, True)
        first, _ = await here.twilio(To=RARE)
        async with here.open("twilio", socket_in("twilio", first.content)) as call:
            await perform(call, [AwaitReply()])
            busy, _ = await here.twilio(To=RARE, CallSid="CA2")
            assert (busy.status_code, b'<Reject reason="busy"' in busy.content) == (200, True)
            other, _ = await here.twilio(CallSid="CA3")
            assert b"<Stream" in other.content
        nobody = await here.http.post("/carriers/nobody/answer", data={})
        assert nobody.status_code == 404
        empty = await here.http.post(with_token("/carriers/teler/answer"), json={})
        assert (empty.status_code, empty.text) == (400, "INVALID_FIELD: call_id: is missing\n")
        long = await here.http.post(with_token("/carriers/teler/answer"), content=b"x" * 70_000)
        assert long.status_code in (400, 413)


async def test_every_other_carrier_is_led_to_its_bot(tmp_path: Path) -> None:
    async with site(tmp_path) as here:
        for carrier in sorted(ANSWERS.keys() - {"twilio"}):
            await is_led(carrier, here)


async def is_led(carrier: str, here: Site) -> None:
    method, request = asking(carrier)
    path = f"/carriers/{carrier}/answer"
    params = request.pop("params", {})
    stranger = await here.http.request(method, path, params=params, **request)
    assert stranger.status_code == 403
    assert TOKEN not in stranger.text
    answer = await here.http.request(method, path, params={**params, "token": TOKEN}, **request)
    assert answer.status_code == 200, answer.text
    told = socket_in(carrier, answer.content)
    before = [each["call_id"] for each in await calls(here)]
    async with here.open(carrier, told) as call:
        await perform(call, [AwaitReply()])
        [live] = [each for each in await calls(here) if each["call_id"] not in before]
        assert (live["bot"], live["callee"], live["caller"]) == ("echo", CALLEE, CALLER)
    async with here.open(carrier, told) as again:
        await again.wait_ended(5)
    assert again.close_reason.startswith("REPLAYED"), again.close_reason


async def calls(here: Site) -> list[dict[str, Any]]:
    """Return the live calls of all gateways, each of which has a page of its own."""
    listed: list[dict[str, Any]] = []
    token = ""
    while True:
        page = (await here.http.get("/v1/calls", params={"page_token": token})).json()
        listed += page["calls"]
        token = page["next_page_token"]
        if not token:
            return listed


async def test_telers_package_places_a_call_that_our_flow_answers(tmp_path: Path) -> None:
    teler = Teler(TELER_KEY)
    with serving(teler) as api:
        async with (
            site(tmp_path, CARRIERS % api.url) as here,
            AsyncClient(api_key=TELER_KEY, base_url=api.url) as client,
        ):
            flow_url = f"https://{HOST}{with_token('/carriers/teler/answer')}&bot=echo"
            created = await client.voice.calls.create(CALLEE, CALLER, flow_url, flow_url)
            async with await answered(here, teler, str(created.id)) as call:
                await talk(here, call)
            assert call.close_code == 1000, call.close_reason


async def answered(here: Site, teler: Teler, call_id: str) -> Any:  # noqa: ANN401
    """Have the emulated Teler ask for the flow of a call, and open the stream that it is told."""
    placed = teler.calls[call_id]
    told = {"call_id": call_id, "account_id": "1", "from_number": placed["from_number"]}
    told |= {"to_number": placed["to_number"], "direction": "outbound"}
    flow = await here.http.post(reached(placed["flow_url"]), json=told)
    assert flow.status_code == 200, flow.text
    document = flow.json()
    assert (document["action"], document["chunk_size"]) == ("stream", 20)
    return here.open("teler", socket_in("teler", flow.content))


def reached(url: object) -> str:
    """Return the path by which a public address is reached at the edge."""
    scheme, _, rest = str(url).partition(f"://{HOST}")
    assert scheme == "https"
    return rest


async def test_an_application_places_calls_through_telers_api(tmp_path: Path) -> None:
    teler = Teler(TELER_KEY)
    with serving(teler) as api:
        async with site(tmp_path, CARRIERS % api.url) as here:
            # What a carrier tells of a call must find the one gateway that placed it.
            await here.mesh.scale("gateway", 3)
            body = {"callee": CALLER, "bot": "echo", "variables": {"order": "7"}}
            # Said twice with one key, it rings once.
            both = [
                await here.http.post("/v1/calls", json={**body, "idempotency_key": "one"})
                for _ in range(2)
            ]
            assert [each.status_code for each in both] == [200, 200], both[0].text
            ours = both[0].json()["call"]["call_id"]
            assert both[1].json()["call"]["call_id"] == ours
            assert list(teler.calls) == ["call-1"]
            async with await answered(here, teler, "call-1") as call:
                # The emulated socket has a name of its own for the call.
                teler.calls[call_name(call)] = {"state": "answered"}
                await perform(call, [AwaitReply()])
                [live] = await calls(here)
                assert (live["call_id"], live["direction"]) == (ours, "DIRECTION_OUTBOUND")
                ended = await here.http.post(
                    f"/v1/calls/{ours}:hangUp", json={"idempotency_key": "end"}
                )
                assert ended.status_code == 200
                await call.wait_ended(10)
                # What lies behind the socket is ended, too.
                ended_there = (call_name(call), "hangup")
                await until(lambda: ended_there in [each[:2] for each in teler.changes])
            await nobody_answers(here, teler, body)


async def nobody_answers(here: Site, teler: Teler, body: dict[str, Any]) -> None:
    placed = await here.http.post("/v1/calls", json={**body, "idempotency_key": "two"})
    ours = placed.json()["call"]["call_id"]
    theirs = list(teler.calls)[-1]
    status = reached(teler.calls[theirs]["status_callback_url"])
    told = {"event": "call.completed", "data": {"call_id": theirs, "status": "busy"}}
    stranger = await here.http.post(status.partition("?")[0], json=told)
    assert stranger.status_code == 403
    assert (await here.http.get(f"/v1/calls/{ours}")).json()["call"]["state"].endswith("DIALLING")
    assert (await here.http.post(status, json=told)).status_code == 204
    call = (await here.http.get(f"/v1/calls/{ours}")).json()["call"]
    assert (call["state"], call["end_reason"]) == ("CALL_STATE_ENDED", "busy")


async def test_a_bot_transfers_by_the_carriers_api(tmp_path: Path) -> None:
    teler = Teler(TELER_KEY)
    with serving(teler) as api:
        async with site(tmp_path, CARRIERS % api.url) as here:
            method, request = asking("teler")
            path = with_token("/carriers/teler/answer")
            answer = await here.http.request(method, path, **request)
            async with here.open("teler", socket_in("teler", answer.content)) as call:
                await perform(call, [AwaitReply()])
                teler.calls[call_name(call)] = {"state": "answered"}
                [live] = await calls(here)
                moved = await here.http.post(
                    f"/v1/calls/{live['call_id']}:transfer",
                    json={"idempotency_key": "t", "target": "+15550100"},
                )
                assert moved.status_code == 200, moved.text
                await call.wait_ended(15)
            assert call.close_code == 1000
        [(_, what, wanted)] = teler.changes
        assert (what, wanted["target"]) == ("transfer", {"kind": "pstn", "number": "+15550100"})


def call_name(call: CarrierCall) -> str:
    return call.carrier.began.call_id
