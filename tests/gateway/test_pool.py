from __future__ import annotations

from contextlib import AsyncExitStack

from gateway.pool import ChannelPool
from tests.gateway.echo import echoing
from voicemesh.api.audio.v1 import audio_pb2
from voicemesh.api.session.v1 import session_pb2

FORMAT = audio_pb2.AudioFormat(encoding=audio_pb2.ENCODING_LINEAR16, sample_rate_hertz=8000)


async def opened(pool: ChannelPool, lane: int) -> None:
    """Open a session by a lane, up to its first answer."""
    opening = session_pb2.Open(call_id=f"call-{lane}", epoch=1, attempt=1, bot="b", format=FORMAT)
    with pool.lend(lane) as shared:
        call = shared.stub.Run()
        await call.write(session_pb2.RunRequest(open=opening))
        answer = await call.read()
        assert isinstance(answer, session_pb2.RunResponse)
        assert answer.HasField("ready")
        call.cancel()


async def test_lanes_go_round_the_addresses() -> None:
    async with AsyncExitStack() as stack:
        echoes = [await stack.enter_async_context(echoing()) for _ in range(2)]
        pool = ChannelPool("ipv4:" + ",".join(address for _, address in echoes))
        stack.push_async_callback(pool.close)
        pool.warm_up()
        for lane in range(7, 11):
            counts = [len(echo.opens) for echo, _ in echoes]
            await opened(pool, lane)
            counts[lane % 2] += 1
            assert [len(echo.opens) for echo, _ in echoes] == counts


async def test_one_address_has_two_lanes() -> None:
    async with echoing() as (echo, address):
        pool = ChannelPool(address)
        pool.warm_up()
        for lane in range(4):
            await opened(pool, lane)
        assert len(echo.opens) == 4
        assert [len(lane) for lane in pool._lanes] == [1, 1]
        await pool.close()
