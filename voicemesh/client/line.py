"""One gRPC stream to a gateway; a call that is resumed holds one after another."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import grpc.aio

from voicemesh.api.call.v1 import call_pb2, call_pb2_grpc
from voicemesh.channel import FAR, open_channel
from voicemesh.client.faults import from_rpc
from voicemesh.errors import DeadlineMissed, Unavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

START_SECONDS = 20.0
"""How long a gateway may take until the call stands, retries of every hop included."""


class Line:
    """Sends and receives messages; every gRPC error leaves it as one of ours."""

    def __init__(self, target: str, stream: _Stream) -> None:
        self._target = target
        self._stream = stream

    async def start(self, start: call_pb2.Start) -> call_pb2.Started:
        """Begin the call, before anything is sent; raise DeadlineMissed if nobody answers."""
        try:
            # Not `wait_for`: it drops a cancellation that comes together with the answer.
            async with asyncio.timeout(START_SECONDS):
                first = await self._open(start)
        except TimeoutError as error:
            raise DeadlineMissed(
                f"{self._target}: no answer within {START_SECONDS:g} s", limit=START_SECONDS
            ) from error
        if first is None or first.WhichOneof("message") != "started":
            raise Unavailable(f"{self._target}: the call was not started", reason="NOT_STARTED")
        return first.started

    async def _open(self, start: call_pb2.Start) -> call_pb2.ConverseResponse | None:
        # What the public `write` waits for, too; see `send` for why it is not called.
        await self._stream._metadata_sent.wait()  # type: ignore[attr-defined]
        await self.send(call_pb2.ConverseRequest(start=start))
        return await self.receive()

    async def send(self, message: call_pb2.ConverseRequest) -> None:
        """Send one message; only one task may send.

        A stream that is over swallows it: whoever receives learns why, a sender cannot add to it.
        """
        if self._stream.done():
            return
        # The public `write` answers a send that failed by overwriting the status with which the
        # gateway had just ended the stream, and the caller would never learn it.
        call = self._stream._cython_call  # type: ignore[attr-defined]
        with suppress(grpc.aio.InternalError, asyncio.InvalidStateError):
            await call.send_serialized_message(message.SerializeToString())

    async def half_close(self) -> None:
        """Say that nothing more will be sent."""
        if not self._stream.done():
            with suppress(grpc.aio.InternalError, asyncio.InvalidStateError, grpc.aio.AioRpcError):
                await self._stream.done_writing()

    async def receive(self) -> call_pb2.ConverseResponse | None:
        """Return the next message, or None at the end; raise what ended the stream early."""
        try:
            message = await self._stream.read()
        except grpc.aio.AioRpcError as error:
            raise from_rpc(error, self._target) from error
        return message if isinstance(message, call_pb2.ConverseResponse) else None

    def cancel(self) -> None:
        """Let go of the stream at once."""
        self._stream.cancel()


if TYPE_CHECKING:
    _Stream = grpc.aio.StreamStreamCall[call_pb2.ConverseRequest, call_pb2.ConverseResponse]


@asynccontextmanager
async def open_line(target: str, channel: grpc.aio.Channel | None = None) -> AsyncIterator[Line]:
    """Open a stream, over a connection of its own unless a channel is given."""
    # Callers may be far away; a gateway that hangs is missed by its heartbeats.
    own = channel or open_channel(target, own_connection=True, watch=FAR)
    stub = call_pb2_grpc.CallServiceStub(own)
    line = Line(target, stub.Converse())
    try:
        yield line
    finally:
        line.cancel()
        if channel is None:
            await own.close()
