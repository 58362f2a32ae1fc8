"""One stream to an orchestrator: one task reads, one writes, and neither read nor write is timed.

(`wait_for` around a read or write of grpc.aio would cancel the whole RPC; what is timed is the
data, by the link.)
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

import grpc.aio

from gateway import convert
from voicemesh import errors
from voicemesh.api.session.v1 import session_pb2

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from gateway.pool import Shared
    from voicemesh.channel import Pulse

    Lease = AbstractContextManager[Shared]

MAX_QUEUED = 1024
"""Messages that may wait to be written. With at most 500 ms of audio on the way there are never
so many, unless the stream takes nothing any more."""

MAX_BATCH = 32


class StreamUser(Protocol):
    """Who hears what a stream brings."""

    def came(self, stream: int, response: session_pb2.RunResponse) -> None:
        """Take a message."""

    def ended(self, stream: int, error: grpc.aio.AioRpcError | None) -> None:
        """Take note that the stream is over; `error` is its status if that is not OK."""


class Stream:
    """Opens at once; ends by itself, or is cancelled."""

    def __init__(
        self,
        number: int,
        lease: Lease,
        metadata: tuple[tuple[str, str], ...],
        first: session_pb2.RunRequest,
        user: StreamUser,
    ) -> None:
        self.number = number
        self._user = user
        self._queue: deque[session_pb2.RunRequest | None] = deque()
        self._wake = asyncio.Event()
        self._metadata = metadata
        self._call: _Call | None = None
        self._cancelled = False
        self._batches = False
        self.task = asyncio.create_task(self._run(lease, first))

    def send(self, request: session_pb2.RunRequest) -> bool:
        """Have a message written; return False if too many wait."""
        if len(self._queue) >= MAX_QUEUED:
            return False
        self._queue.append(request)
        self._wake.set()
        return True

    def half_close(self) -> None:
        """Say that nothing more will come, behind what waits to be written."""
        self._queue.append(None)
        self._wake.set()

    def cancel(self) -> None:
        """Let go at once; nothing is told any more."""
        self._cancelled = True
        if self._call is not None:
            self._call.cancel()
        self.task.cancel()

    async def _run(self, lease: Lease, first: session_pb2.RunRequest) -> None:
        with lease as shared:
            call = self._call = shared.stub.Run(metadata=self._metadata)
            writer = asyncio.create_task(self._write(call, first, shared.pulse))
            error = None
            try:
                await self._read(call)
            except grpc.aio.AioRpcError as caught:
                error = caught
            finally:
                writer.cancel()
                call.cancel()
        if not self._cancelled:
            self._user.ended(self.number, error)

    async def _read(self, call: _Call) -> None:
        while not self._cancelled:
            response = await call.read()
            if not isinstance(response, session_pb2.RunResponse):
                return
            if response.HasField("ready"):
                self._batches = response.ready.takes_batches
            if not self._cancelled:
                self._user.came(self.number, response)

    def _next(self) -> session_pb2.RunRequest | None:
        """Take what waits off the queue as one message, as far as that can be one."""
        first = self._queue.popleft()
        if first is None or not (self._queue and self._batches):
            return first
        some = [first]
        while self._queue and len(some) < MAX_BATCH and (following := self._queue[0]) is not None:
            some.append(following)
            self._queue.popleft()
        return convert.batch_from(some) if len(some) > 1 else first

    async def _write(self, call: _Call, first: session_pb2.RunRequest, pulse: Pulse) -> None:
        # Why a write failed is told to whoever reads.
        with suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError, grpc.aio.InternalError):
            await call.write(first)
            while True:
                while self._queue:
                    request = self._next()
                    if request is None:
                        await call.done_writing()
                        return
                    # The public `write` answers a failure by overwriting the stream's status,
                    # with which the other side may just have said why it ended.
                    pulse.sent += 1
                    data = request.SerializeToString()
                    await call._cython_call.send_serialized_message(data)  # type: ignore[attr-defined]
                self._wake.clear()
                await self._wake.wait()


_NEVER_AGAIN = frozenset(
    {
        grpc.StatusCode.UNAUTHENTICATED,
        grpc.StatusCode.PERMISSION_DENIED,
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.FAILED_PRECONDITION,
        grpc.StatusCode.NOT_FOUND,
    }
)
"""After these a session is not opened again: another replica would say the same."""


def fatal(error: grpc.aio.AioRpcError | None) -> errors.VoicemeshError | None:
    """Return what the caller is told if the stream's status says never to open again."""
    if error is None or error.code() not in _NEVER_AGAIN:
        return None
    reason, details = errors.error_info(error)
    message = error.details() or error.code().name
    told = {key: value for key, value in details.items() if key.isidentifier()}
    told.pop("message", None)
    match error.code():
        case grpc.StatusCode.NOT_FOUND:
            return errors.NotFound(message, reason=reason, **told)
        case grpc.StatusCode.PERMISSION_DENIED:
            return errors.Denied(message, reason=reason, **told)
    # The others say that gateway and orchestrator disagree, which is no fault of the caller's.
    return errors.VoicemeshError(f"orchestrator: {message}", reason=reason, **told)


def full(error: grpc.aio.AioRpcError | None) -> bool:
    """Whether the stream's status says that another replica may have room."""
    return error is not None and error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


if TYPE_CHECKING:
    _Call = grpc.aio.StreamStreamCall[session_pb2.RunRequest, session_pb2.RunResponse]
