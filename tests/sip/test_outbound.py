"""Calls to phones: digest, refusals, transfer, digits; and a trunk that wants us to register."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from tests.sip.scenarios import Scenario
from tests.sip.support import (
    PhoneMesh,
    caller_words,
    entries,
    needs_sipp,
    pcap,
    phone_mesh,
    sipp_listens,
    softphone,
    until,
    voice,
)
from voicemesh.api.sip.v1 import sip_pb2, sip_pb2_grpc
from voicemesh.channel import open_channel

if TYPE_CHECKING:
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


@pytest.mark.parametrize("challenge", ["401 Unauthorized", "407 Proxy Authentication Required"])
async def test_a_call_with_digest(tmp_path: Path, challenge: str) -> None:
    goodbye = pcap(tmp_path / "goodbye.pcap", voice("Goodbye."))
    scenario = Scenario().called(challenge).wait(2.5).play(goodbye, 0).hung_up()
    async with (
        sipp_listens(tmp_path, scenario.xml()) as far,
        phone_mesh(trunks=[trunk(far.port)]) as phones,
    ):
        news = await dial(phones, "+4930123456", caller="+4930999")
        ran = await far.ran()
        assert ran.code == 0, ran.output
        record = await phones.record()
    assert kinds(news) == ["ringing", "answered", "ended"]
    assert news[-1].ended.outcome == sip_pb2.DIAL_OUTCOME_COMPLETED
    assert caller_words(record) == ["Goodbye."]
    assert next(entries(record, "call_started"))["callee"].startswith("sip:+4930123456@")
    seen = (tmp_path / "called.log").read_text()
    assert response(seen) == re.findall(r'response="(\w+)"', seen)[0]
    assert f"P-Asserted-Identity: <sip:+4930999@127.0.0.1:{far.port}>" in seen


async def test_a_wrong_password_and_a_busy_phone(tmp_path: Path) -> None:
    async with (
        sipp_listens(tmp_path, Scenario().called().xml()) as far,
        phone_mesh(trunks=[trunk(far.port, password="wrong")]) as phones,  # noqa: S106
    ):
        refused = await dial(phones, "100")
    (tmp_path / "busy").mkdir()
    async with (
        sipp_listens(tmp_path / "busy", Scenario().busy().xml()) as far,
        phone_mesh(trunks=[trunk(far.port)]) as phones,
    ):
        busy = await dial(phones, "100")
        with pytest.raises(grpc.RpcError, match="there is no trunk"):
            await dial(phones, "100", trunk="other")
        with pytest.raises(grpc.RpcError, match="neither a number"):
            await dial(phones, "sip:a b@c")
    assert refused[-1].ended.outcome == sip_pb2.DIAL_OUTCOME_FAILED
    assert refused[-1].ended.sip_status in (403, 407)
    assert busy[-1].ended.outcome == sip_pb2.DIAL_OUTCOME_BUSY


async def test_registration_with_digest(tmp_path: Path) -> None:
    async with (
        sipp_listens(tmp_path, Scenario().registered().xml()) as far,
        phone_mesh(trunks=[trunk(far.port, register_seconds=600)]) as phones,
    ):
        await until(lambda: '"event": "registered"' in phones.log)


async def test_a_transfer_is_asked_of_the_far_end(tmp_path: Path) -> None:
    lines = [f"sip_listen 127.0.0.1:{(port := 24990)}"]
    async with (
        softphone(tmp_path, lines=lines) as phone,
        phone_mesh(trunks=[trunk(port)]) as phones,
        open_channel(phones.mesh.mesh_address) as channel,
    ):
        stub = sip_pb2_grpc.SipServiceStub(channel)
        call = stub.Dial(sip_pb2.DialRequest(to="anna", bot="echo"), timeout=40)
        with pytest.raises(grpc.RpcError, match="neither a number"):
            await call.read()
        request = sip_pb2.DialRequest(to=f"sip:anna@127.0.0.1:{port}", bot="echo")
        call = stub.Dial(request, timeout=40)
        await phone.event("incoming")
        phone.do("answer")
        await phone.event("established")
        await phone.hears("Hello, this is the echo.")
        await phone.say("Transfer me.")
        asked = await phone.event("transfer")
        assert asked["text"] == f"sip:+15550100@127.0.0.1:{port}"
        phone.do("hang_up")
        assert (await phones.record())["reason"] == "transferred"
        call.cancel()
