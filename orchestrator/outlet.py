"""Messages on their way into a stream, written when the peer can take them."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

import grpc.aio

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable


MessageT = TypeVar("MessageT")


class Writable(Protocol):
    """A stream that is written to, such as grpc.aio's calls."""

    def write(self, message: Any, /) -> Awaitable[None]:  # noqa: ANN401
        """Write a message; the first one waits for the stream to be there."""

    def done_writing(self) -> Awaitable[None]:
        """Half-close it."""


class Outlet(Generic[MessageT]):
    """What a stalled peer has not taken yet never holds up a call."""

    def __init__(self, limit: int) -> None:
        self._waiting: deque[MessageT] = deque()
        self._limit = limit
        self._closed = False
        self._changed = asyncio.Event()

    def put(self, message: MessageT) -> bool:
        """Append a message; return False if the peer is so far behind that it counts as gone."""
        if self._closed or len(self._waiting) >= self._limit:
            return False
        self._waiting.append(message)
        self._changed.set()
        return True

    def close(self) -> None:
        """Half-close the stream behind what was put."""
        self._closed = True
        self._changed.set()

    async def messages(self) -> AsyncIterator[MessageT]:
        """Give everything until `close`, to whoever is no stream."""
        while await self._something():
            yield self._waiting.popleft()

    async def drain(self, stream: Writable) -> None:
        """Write everything until `close`; why a write failed is told to whoever reads."""
        with suppress(grpc.aio.AioRpcError, grpc.aio.InternalError, asyncio.InvalidStateError):
            while await self._something():
                await stream.write(self._waiting.popleft())
            await stream.done_writing()

    async def _something(self) -> bool:
        """Wait for a message; return whether there is one."""
        while not self._waiting and not self._closed:
            self._changed.clear()
            await self._changed.wait()
        return bool(self._waiting)
