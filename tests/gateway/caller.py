"""A gateway over gRPC with an echo behind it, and a caller."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import grpc.aio

from gateway.config import GatewaySettings
from gateway.service import MAX_MESSAGE_BYTES, Gateway
from tests.gateway.echo import EchoOrchestrator, echoing
from tests.gateway.rig import Loudness, silence, speech
from voicemesh.api.audio.v1 import audio_pb2
from voicemesh.api.call.v1 import call_pb2, call_pb2_grpc
from voicemesh.channel import open_channel
from voicemesh.server import serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from voicemesh.audio import Samples

Request = call_pb2.ConverseRequest
LINEAR8 = audio_pb2.AudioFormat(encoding=audio_pb2.ENCODING_LINEAR16, sample_rate_hertz=8000)


@dataclass
class Hall:
    """What a test talks to."""

    gateway: Gateway
    echo: EchoOrchestrator
    vad: Loudness
    address: str
    channel: grpc.aio.Channel

    def call(self) -> grpc.aio.StreamStreamCall[Request, call_pb2.ConverseResponse]:
        return call_pb2_grpc.CallServiceStub(self.channel).Converse()


@asynccontextmanager
async def hall(bots: Path, **settings: object) -> AsyncIterator[Hall]:
    """Serve an echo and a gateway; `bots` is an empty folder."""
    (bots / "desk.yaml").write_text("greeting: Hello.\n")
    vad = Loudness()
    async with echoing() as (echo, mesh):
        configured = GatewaySettings(mesh=mesh, bots=bots, **settings)  # type: ignore[arg-type]
        gateway = Gateway(configured, vad)
        async with (
            serving(gateway, configured, MAX_MESSAGE_BYTES) as address,
            open_channel(address) as channel,
        ):
            yield Hall(gateway, echo, vad, address, channel)


class Caller:
    """One call as a client of CallService sees it."""

    def __init__(self, hall: Hall) -> None:
        self._stream = hall.call()
        self._offset = 0
        self.got: list[call_pb2.ConverseResponse] = []

    async def start(self, **start: object) -> call_pb2.Started:
        filled = {"bot": "desk", "caller_format": LINEAR8} | start
        await self.send(start=call_pb2.Start(**filled))  # type: ignore[arg-type]
        return (await self.until("started")).started

    async def send(self, **message: object) -> None:
        await self._stream.write(Request(**message))  # type: ignore[arg-type]

    async def press(self, digit: str) -> None:
        await self.send(dtmf=call_pb2.Dtmf(digit=digit))

    async def say(self, samples: Samples) -> None:
        """Send audio as fast as it goes."""
        for begin in range(0, samples.size, 4000):
            piece = samples[begin : begin + 4000]
            chunk = audio_pb2.AudioChunk(offset=self._offset, data=piece.astype("<i2").tobytes())
            self._offset += piece.size
            await self.send(audio=chunk)

    async def utter(self, seconds: float = 0.5) -> None:
        await self.say(speech(seconds, self._offset))
        await self.say(silence(0.5))

    async def hang_up(self) -> call_pb2.Ended:
        await self.send(hang_up=call_pb2.HangUp())
        return (await self.until("ended")).ended

    async def half_close(self) -> None:
        await self._stream.done_writing()

    def vanish(self) -> None:
        self._stream.cancel()

    async def until(
        self, kind: str, found: Callable[[call_pb2.ConverseResponse], bool] | None = None
    ) -> call_pb2.ConverseResponse:
        """Read up to a message of a kind."""
        while True:
            message = await self._stream.read()
            assert isinstance(message, call_pb2.ConverseResponse), f"ended before {kind}"
            self.got.append(message)
            if message.WhichOneof("message") == kind and (found is None or found(message)):
                return message

    async def status(self) -> tuple[grpc.StatusCode, str]:
        """Read to the end; return the status."""
        async for message in self._stream:
            self.got.append(message)
        return await self._stream.code(), await self._stream.details() or ""

    async def end(self) -> None:
        """Read to the end, which has to be a good one."""
        message = await self._stream.read()
        assert not isinstance(message, call_pb2.ConverseResponse)
        assert await self._stream.code() is grpc.StatusCode.OK
