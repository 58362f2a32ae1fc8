from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeVar

import grpc
import grpc.aio
import pytest

from voicemesh.api.call.v1 import call_pb2, call_pb2_grpc
from voicemesh.client import lines as client_lines
from voicemesh.client.lines import Lines
from voicemesh.client.resuming import LineStood, MoveAsked, Resuming
from voicemesh.errors import Unavailable, VoicemeshError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ServicerT = TypeVar("ServicerT", bound=call_pb2_grpc.CallServiceServicer)


class Nobody:
    """A call that is not there."""

    def came(self, message: call_pb2.ConverseResponse) -> None: ...

    def resumed(self, started: call_pb2.Started) -> None: ...

    def lost(self, error: VoicemeshError) -> None: ...

    def standing(self) -> tuple[int, int, int]:
        return 0, 0, 0


async def test_what_a_line_was_promised_is_kept_until_it_stands() -> None:
    lines = Lines("127.0.0.1:1", call_pb2.Start(), Nobody(), 8000, lambda: 0.0)
    lines._state = moving = Resuming(0.0)
    for frame in range(10):
        lines.kept.audio(160 * frame, 160, call_pb2.ConverseRequest())
    lines._remember(call_pb2.Resume(segment=b"s", committed_offset=320))
    assert lines.kept.held_offset == 320
    moving.handle(MoveAsked(10), 0.0)
    # Whoever is being dialled may want what it was told can be sent again: from 320 on.
    lines._remember(call_pb2.Resume(committed_offset=640))
    assert lines.kept.held_offset == 320
    moving.handle(LineStood(1), 0.1)
    lines._remember(call_pb2.Resume(committed_offset=640))
    assert lines.kept.held_offset == 640


class Reluctant(call_pb2_grpc.CallServiceServicer):
    """Breaks the first streams before their calls stand."""

    def __init__(self, breaks: int) -> None:
        self.breaks, self.opened = breaks, 0

    async def Converse(  # noqa: N802 - gRPC's name
        self,
        _requests: AsyncIterator[call_pb2.ConverseRequest],
        context: grpc.aio.ServicerContext,  # type: ignore[type-arg]
    ) -> AsyncIterator[call_pb2.ConverseResponse]:
        self.opened += 1
        if self.opened <= self.breaks:
            # As a dead gateway looks, and as an Envoy that resets a stream does.
            code = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.INTERNAL)[self.opened % 2]
            await context.abort(code, "broken")
        yield call_pb2.ConverseResponse(started=call_pb2.Started(call_id=str(self.opened)))


@asynccontextmanager
async def served(servicer: ServicerT) -> AsyncIterator[tuple[ServicerT, str]]:
    server = grpc.aio.server()
    call_pb2_grpc.add_CallServiceServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield servicer, f"127.0.0.1:{port}"
    finally:
        await server.stop(None)


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_lines, "OPEN_BACKOFF_SECONDS", (0.0, 0.0, 0.0))


async def test_a_call_that_nobody_took_is_begun_again(at_once: None) -> None:
    async with served(Reluctant(breaks=3)) as (gateway, target):
        lines = Lines(target, call_pb2.Start(), Nobody(), 8000, lambda: 0.0)
        started = await lines.open(None)
        await lines.close()
    assert started.call_id == "4"
    assert gateway.opened == 4


async def test_a_call_that_is_never_taken_says_so(at_once: None) -> None:
    async with served(Reluctant(breaks=9)) as (gateway, target):
        lines = Lines(target, call_pb2.Start(), Nobody(), 8000, lambda: 0.0)
        with pytest.raises(Unavailable):
            await lines.open(None)
        await lines.close()
    assert gateway.opened == 4


class Fickle(call_pb2_grpc.CallServiceServicer):
    """Breaks the first stream when its call stands and can be resumed."""

    def __init__(self) -> None:
        self.peers: list[str] = []

    async def Converse(  # noqa: N802 - gRPC's name
        self,
        requests: AsyncIterator[call_pb2.ConverseRequest],
        context: grpc.aio.ServicerContext,  # type: ignore[type-arg]
    ) -> AsyncIterator[call_pb2.ConverseResponse]:
        self.peers.append(context.peer())
        yield call_pb2.ConverseResponse(started=call_pb2.Started(call_id="one"))
        if len(self.peers) == 1:
            yield call_pb2.ConverseResponse(resume=call_pb2.Resume(segment=b"s"))
            await context.abort(grpc.StatusCode.INTERNAL, "broken")
        async for _ in requests:
            pass


async def test_who_follows_a_broken_line_has_not_to_connect_first() -> None:
    resumed = asyncio.Event()

    class Somebody(Nobody):
        def resumed(self, started: call_pb2.Started) -> None:
            resumed.set()

    async with served(Fickle()) as (servicer, target):
        lines = Lines(target, call_pb2.Start(), Somebody(), 8000, time.monotonic)
        await lines.open(None)
        await asyncio.wait_for(resumed.wait(), 10)
        await lines.close()
    first, second = servicer.peers
    assert first == second
