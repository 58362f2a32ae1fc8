"""Two gateways before one echo, and a caller who can go from one to the other."""

from __future__ import annotations

import base64
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import TYPE_CHECKING

import grpc.aio

from gateway.config import GatewaySettings
from gateway.service import MAX_MESSAGE_BYTES, Gateway
from tests.gateway.caller import LINEAR8, Caller, Hall
from tests.gateway.echo import echoing
from tests.gateway.rig import Loudness
from voicemesh.api.call.v1 import call_pb2
from voicemesh.channel import open_channel
from voicemesh.server import serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

KEY = base64.b64encode(bytes(32)).decode()


@asynccontextmanager
async def pair(bots: Path, *keys: str) -> AsyncIterator[list[Hall]]:
    """Serve two gateways, each with its own keys (one and the same by default)."""
    (bots / "desk.yaml").write_text("greeting: Hello.\n")
    async with echoing() as (echo, mesh), AsyncExitStack() as stack:
        halls = []
        for number in range(2):
            given = keys[number] if keys else KEY
            configured = GatewaySettings(
                mesh=mesh,
                bots=bots,
                replica=f"gateway-{number}",
                resume_keys=given,  # type: ignore[arg-type] # a secret is made of it
            )
            vad = Loudness()
            gateway = Gateway(configured, vad)
            served = serving(gateway, configured, MAX_MESSAGE_BYTES)
            address = await stack.enter_async_context(served)
            channel = await stack.enter_async_context(open_channel(address))
            halls.append(Hall(gateway, echo, vad, address, channel))
        yield halls


class Holder(Caller):
    """A caller who keeps what it is given of its call."""

    def __init__(self, hall: Hall, before: Holder | None = None) -> None:
        super().__init__(hall)
        self.call_id: str = before.call_id if before else ""
        self.segments: list[bytes] = list(before.segments) if before else []
        self.committed: int = before.committed if before else 0
        self.attempt: int = before.attempt if before else 0
        self._offset = before._offset if before else 0
        self._begun: dict[str, object] = dict(before._begun) if before else {}

    async def start(self, **start: object) -> call_pb2.Started:
        self._begun |= start
        started = await super().start(resumable=True, **self._begun)
        self.call_id = started.call_id
        return started

    async def resume(self, heard: int = 0, **claim: object) -> call_pb2.Started:
        """Go on with the call of the caller before."""
        self.attempt += 1
        filled = {
            "call_id": self.call_id,
            "segments": self.segments,
            "attempt": self.attempt,
            "caller_offset": self._offset,
            "held_offset": min(self.committed, self._offset),
            "heard_offset": heard,
        } | claim
        proto = call_pb2.Resumption(**filled)  # type: ignore[arg-type]
        started = await self.start(resume=proto)
        del self._begun["resume"]
        # What follows is said from there on.
        self._offset = started.wanted_offset
        return started

    async def until(
        self, kind: str, found: Callable[[call_pb2.ConverseResponse], bool] | None = None
    ) -> call_pb2.ConverseResponse:
        got = len(self.got)
        try:
            return await super().until(kind, found)
        finally:
            for message in self.got[got:]:
                if message.HasField("resume"):
                    self._keep(message.resume)

    async def over(self) -> grpc.StatusCode:
        """Read to the end; return the status."""
        with suppress(grpc.aio.AioRpcError):
            while await self._stream.read() is not grpc.aio.EOF:
                pass
        return await self._stream.code()

    def _keep(self, resume: call_pb2.Resume) -> None:
        if resume.restarts:
            self.segments.clear()
        if resume.segment:
            self.segments.append(resume.segment)
        self.committed = max(self.committed, resume.committed_offset)


__all__ = ["KEY", "LINEAR8", "Holder", "pair"]
