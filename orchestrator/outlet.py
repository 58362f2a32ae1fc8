"""Messages on their way into a stream; gRPC takes them when the peer can."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Generic, TypeVar

Message = TypeVar("Message")


class Outlet(Generic[Message]):
    """An async iterator that a stream drains, so that a stalled peer never holds up a call."""

    def __init__(self, limit: int) -> None:
        self._waiting: deque[Message] = deque()
        self._limit = limit
        self._closed = False
        self._changed = asyncio.Event()

    def put(self, message: Message) -> bool:
        """Append a message; return False if the peer is so far behind that it counts as gone."""
        if self._closed or len(self._waiting) >= self._limit:
            return False
        self._waiting.append(message)
        self._changed.set()
        return True

    def close(self) -> None:
        """End the iteration behind what was put."""
        self._closed = True
        self._changed.set()

    def __aiter__(self) -> Outlet[Message]:
        return self

    async def __anext__(self) -> Message:
        while not self._waiting:
            if self._closed:
                raise StopAsyncIteration
            self._changed.clear()
            await self._changed.wait()
        return self._waiting.popleft()
