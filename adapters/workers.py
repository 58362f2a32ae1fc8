"""A few threads for model work, and a line before them that can be counted."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

P = ParamSpec("P")
T = TypeVar("T")


class Workers:
    """Runs blocking work in `count` threads; whoever finds them busy waits in order.

    Work whose task is cancelled leaves the line at once. What runs already cannot be stopped: its
    result is dropped when it is there.
    """

    def __init__(self, name: str, count: int) -> None:
        self.waiting = 0
        """How many stand in line."""
        self._free = asyncio.Semaphore(count)
        self._threads = ThreadPoolExecutor(count, thread_name_prefix=name)

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """Wait in line; hold a thread's place while the block runs."""
        self.waiting += 1
        try:
            await self._free.acquire()
        finally:
            self.waiting -= 1
        try:
            yield
        finally:
            self._free.release()

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run the work in a thread; within `place` it starts at once."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, lambda: work(*args, **kwargs))

    def stop(self) -> None:
        """Drop what waits and end the threads when they are done."""
        self._threads.shutdown(wait=False, cancel_futures=True)
