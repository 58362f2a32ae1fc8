"""Calls to phones: digest, refusals, transfer, digits; and a trunk that wants us to register."""

from __future__ import annotations

import asyncio
import hashlib
import re
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import grpc
import pytest
import yaml

from tests.sip.scenarios import Scenario
from tests.sip.support import (
    PhoneMesh,
    caller_words,
    entries,
    free_port,
    needs_sipp,
    pcap,
    phone_mesh,
    sipp_listens,
    softphone,
    until,
    voice,
)
from tests.support.mesh import held, http_client
from voicemesh.api.sip.v1 import sip_pb2, sip_pb2_grpc
from voicemesh.channel import open_channel

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

pytestmark = [pytest.mark.slow, needs_sipp]


def trunk(port: int, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - fields of the SIP file
    told = {"name": "trunk", "domain": f"127.0.0.1:{port}", "user": "bot", "password": "secret"}
    return {**told, **more}


async def dial(phones: PhoneMesh, to: str, **more: Any) -> list[sip_pb2.DialResponse]:  # noqa: ANN401
    async with open_channel(phones.mesh.mesh_address) as channel:
        stub = sip_pb2_grpc.SipServiceStub(channel)
        request = sip_pb2.DialRequest(to=to, bot="echo", **more)
        return [news async for news in stub.Dial(request, timeout=40)]


def response(seen: str) -> str:
    """Return the response to the first challenge, as RFC 2617 wants it without `qop`."""
    uri = re.findall(r'Digest .*uri="([^"]+)"', seen)[0]
    parts = (_md5("bot:trunk:secret"), "4711", _md5(f"INVITE:{uri}"))
    return _md5(":".join(parts))


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def kinds(news: list[sip_pb2.DialResponse]) -> list[str]:
    return [one.WhichOneof("message") or "" for one in news]


@dataclass
class Far:
    """A mesh with one trunk to each of several far ends."""

    phones: PhoneMesh
    ports: dict[str, int]

    async def create(self, carrier: str, **more: Any) -> Any:  # noqa: ANN401 - JSON
        """Place a call by call control; return it."""
        body = {"callee": "+4930123456", "bot": "echo", "carrier": carrier, **more}
        async with http_client(self.phones.mesh) as http:
            answer = await http.post("/v1/calls", json={"idempotency_key": carrier, **body})
        assert answer.status_code == 200, answer.text
        return answer.json()["call"]

    async def get(self, call_id: str) -> Any:  # noqa: ANN401 - JSON
        async with http_client(self.phones.mesh) as http:
            return (await http.get(f"/v1/calls/{call_id}")).json()["call"]


NAMES = ("asks", "proxy", "wrong", "busy", "slow", "registers", "softphone")


@asynccontextmanager
async def _far(folder: Path) -> AsyncIterator[Far]:
    ports = {name: free_port() for name in NAMES}
    more: dict[str, dict[str, Any]] = {
        "wrong": {"password": "wrong"},
        "registers": {"register_seconds": 600},
    }
    trunks = [trunk(port, name=name, **more.get(name, {})) for name, port in ports.items()]
    carriers = folder / "carriers.yaml"
    rows = [{"name": name, "carrier": "sip", "application": name} for name in NAMES]
    carriers.write_text(yaml.safe_dump({"carriers": rows}))
    environment = {"VOICEMESH_CARRIERS": str(carriers)}
    async with (
        sipp_listens(folder, Scenario().registered().xml(), ports["registers"]),
        phone_mesh(environment=environment, trunks=trunks) as phones,
    ):
        yield Far(phones, ports)


@pytest.fixture(scope="module")
def far(runner: asyncio.Runner, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Far]:
    yield from held(runner, _far(tmp_path_factory.mktemp("far")))


async def test_a_call_with_digest(tmp_path: Path, far: Far) -> None:
    goodbye = pcap(tmp_path / "goodbye.pcap", voice("Goodbye."))
    scenario = Scenario().called("401 Unauthorized").wait(2.5).play(goodbye, 0).hung_up()
    async with sipp_listens(tmp_path, scenario.xml(), far.ports["asks"]) as there:
        news = await dial(far.phones, "+49301", trunk="asks", caller="+4930999")
        ran = await there.ran()
    assert ran.code == 0, ran.output
    record = await far.phones.record("+49301")
    assert kinds(news) == ["ringing", "answered", "ended"]
    assert news[-1].ended.outcome == sip_pb2.DIAL_OUTCOME_COMPLETED
    assert caller_words(record) == ["Goodbye."]
    seen = (tmp_path / "called.log").read_text()
    assert response(seen) == re.findall(r'response="(\w+)"', seen)[0]
    assert f"P-Asserted-Identity: <sip:+4930999@127.0.0.1:{there.port}>" in seen


async def test_an_application_places_a_call_by_a_trunk(tmp_path: Path, far: Far) -> None:
    goodbye = pcap(tmp_path / "goodbye.pcap", voice("Goodbye."))
    scenario = Scenario().called("407 Proxy Authentication Required").wait(2.5)
    scenario.play(goodbye, 0).hung_up()
    async with sipp_listens(tmp_path, scenario.xml(), far.ports["proxy"]) as there:
        call = await far.create("proxy", callee="+49302", variables={"name": "Ada"})
        ran = await there.ran()
    assert ran.code == 0, ran.output
    record = await far.phones.record("+49302")
    assert record["call_id"] == call["call_id"]
    started = next(entries(record, "call_started"))
    # The ticket that led the call back is nobody's business.
    assert started["variables"] == {"name": "Ada"}
    assert (await far.get(call["call_id"]))["direction"] == "DIRECTION_OUTBOUND"


async def test_what_becomes_of_calls_that_nobody_takes(tmp_path: Path, far: Far) -> None:
    for name in ("busy", "slow"):
        (tmp_path / name).mkdir()
    async with (
        sipp_listens(tmp_path / "busy", Scenario().busy().xml(), far.ports["busy"]),
        sipp_listens(tmp_path / "slow", Scenario().rung().xml(), far.ports["slow"]) as slow,
    ):
        busy, rung = await far.create("busy"), await far.create("slow")
        assert rung["state"] == "CALL_STATE_DIALLING"
        async with http_client(far.phones.mesh) as http:
            path = f"/v1/calls/{rung['call_id']}:hangUp"
            ended = await http.post(path, json={"idempotency_key": "enough"})
        assert ended.json()["call"]["end_reason"] == "cancelled"
        ran = await slow.ran()
        assert ran.code == 0, ran.output
        told = await far.get(busy["call_id"])
    assert (told["state"], told["end_reason"]) == ("CALL_STATE_ENDED", "busy")


async def test_a_wrong_password_and_no_trunk(tmp_path: Path, far: Far) -> None:
    async with sipp_listens(tmp_path, Scenario().called().xml(), far.ports["wrong"]):
        refused = await dial(far.phones, "100", trunk="wrong")
    with pytest.raises(grpc.RpcError, match="there is no trunk"):
        await dial(far.phones, "100", trunk="other")
    with pytest.raises(grpc.RpcError, match="neither a number"):
        await dial(far.phones, "sip:a b@c")
    assert refused[-1].ended.outcome == sip_pb2.DIAL_OUTCOME_FAILED
    assert refused[-1].ended.sip_status in (403, 407)


async def test_registration_with_digest(far: Far) -> None:
    await until(lambda: '"event": "registered"' in far.phones.log)


async def test_a_transfer_is_asked_of_the_far_end(tmp_path: Path, far: Far) -> None:
    port = far.ports["softphone"]
    async with (
        softphone(tmp_path, lines=[f"sip_listen 127.0.0.1:{port}"]) as phone,
        open_channel(far.phones.mesh.mesh_address) as channel,
    ):
        stub = sip_pb2_grpc.SipServiceStub(channel)
        call = stub.Dial(sip_pb2.DialRequest(to="anna", bot="echo"), timeout=40)
        with pytest.raises(grpc.RpcError, match="neither a number"):
            await call.read()
        to = f"sip:anna@127.0.0.1:{port}"
        call = stub.Dial(sip_pb2.DialRequest(to=to, bot="echo", trunk="softphone"), timeout=40)
        await phone.event("incoming")
        phone.do("answer")
        await phone.event("established")
        await phone.hears("Hello, this is the echo.")
        await phone.say("Transfer me.")
        asked = await phone.event("transfer")
        assert asked["text"] == f"sip:+15550100@127.0.0.1:{port}"
        phone.do("hang_up")
        assert (await far.phones.record("anna"))["reason"] == "transferred"
        call.cancel()
