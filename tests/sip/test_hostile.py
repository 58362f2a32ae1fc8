"""What a SIP process gets that is no call: torture messages, junk, giant datagrams, its death."""

from __future__ import annotations

import asyncio
import random
import signal
import socket
from pathlib import Path

import pytest

from tests.sip.scenarios import Scenario
from tests.sip.support import needs_sipp, phone_mesh, sipp, softphone, until
from voicemesh.audio import AudioFormat, Encoding
from voicemesh.client import AwaitReply, Call, perform

pytestmark = pytest.mark.slow

TORTURE = sorted((Path(__file__).parents[1] / "data" / "rfc4475").glob("*.dat"))
LARGEST = 60_000


@needs_sipp
async def test_torture_junk_and_giants_stop_nothing(tmp_path: Path) -> None:
    chance = random.Random(4475)  # noqa: S311 - the same junk each time
    assert len(TORTURE) >= 25
    junk = [chance.randbytes(chance.randrange(1, 1400)) for _ in range(200)]
    giants = [b"OPTIONS sip:x SIP/2.0\r\nVia: " + b"x" * (LARGEST - 40), chance.randbytes(LARGEST)]
    cut = [message.read_bytes()[: chance.randrange(1, 400)] for message in TORTURE]
    async with phone_mesh() as phones:
        pid = phones.mesh.process("sip-0").pid
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for message in [*(m.read_bytes() for m in TORTURE), *junk, *giants, *cut]:
                sender.sendto(message, ("127.0.0.1", phones.port))
        for message in [*(m.read_bytes() for m in TORTURE), *giants]:
            _, writer = await asyncio.open_connection("127.0.0.1", phones.port)
            writer.write(message)
            writer.close()
        asked = await sipp(tmp_path, phones.port, Scenario().options().xml(), seconds=10)
        assert asked.code == 0, asked.output
        scenario = Scenario().call().wait(0.5).hang_up().xml()
        called = await sipp(tmp_path, phones.port, scenario, "-s", "1001", seconds=10)
        assert called.code == 0, called.output
        assert phones.mesh.process("sip-0").pid == pid


async def test_a_gateway_dies_under_a_phone(tmp_path: Path) -> None:
    async with phone_mesh() as phones:
        await phones.mesh.scale("gateway", 2)
        async with softphone(tmp_path) as phone:
            phone.do("dial", to=f"sip:1001@127.0.0.1:{phones.port}")
            await phone.event("established")
            await phone.hears("Hello, this is the echo.")
            load = {p.name: p.calls for p in (await phones.mesh.status()).of("gateway")}
            phones.mesh.signal(max(load, key=lambda name: load[name] or 0), signal.SIGKILL)
            await phone.say("still there")
            await phone.hears("You said: still there.")
        assert "another gateway holds the call" in phones.log


async def test_its_death_costs_its_own_calls_only(tmp_path: Path) -> None:
    fmt = AudioFormat(Encoding.MULAW, 8000)
    async with phone_mesh() as phones:
        await phones.mesh.scale("sip", 2)
        others = {p.name: p.pid for p in (await phones.mesh.status()).processes}
        async with (
            softphone(tmp_path) as lost,
            softphone(tmp_path) as kept,
            Call.place(phones.mesh.edge_address, bot="echo", caller_format=fmt) as grpc_call,
        ):
            lost.do("dial", to=f"sip:1001@127.0.0.1:{phones.port}")
            await lost.event("established")
            kept.do("dial", to=f"sip:1001@127.0.0.1:{phones.port + 10}")
            await kept.event("established")
            phones.mesh.signal("sip-0", signal.SIGKILL)
            await kept.say("first of all")
            await kept.hears("You said: first of all.")
            await perform(grpc_call, (AwaitReply(),))
            status = await phones.mesh.status()
            alive = {p.name: p.pid for p in status.processes if p.name != "sip-0"}
            assert alive == {name: pid for name, pid in others.items() if name != "sip-0"}
            await until(lambda: phones.log.count('"event": "serving"') == 2)
            async with softphone(tmp_path) as again:
                again.do("dial", to=f"sip:1001@127.0.0.1:{phones.port}")
                await again.event("established")
                await again.hears("Hello, this is the echo.")
