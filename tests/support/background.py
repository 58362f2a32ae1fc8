"""Keeps something asynchronous running for the tests of a file, each of which has its own loop."""

from __future__ import annotations

import asyncio
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractAsyncContextManager

Value = TypeVar("Value")

WAIT_SECONDS = 120.0


class _Held(Generic[Value]):
    def __init__(self, manager: AbstractAsyncContextManager[Value]) -> None:
        self._manager = manager
        self._stop = asyncio.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="background")
        self.started = threading.Event()
        self.value: list[Value] = []
        self.problem: BaseException | None = None

    def start(self) -> None:
        self._thread.start()
        assert self.started.wait(WAIT_SECONDS), "it did not start in time"
        self.check()

    def stop(self) -> None:
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(WAIT_SECONDS)
        self._loop.close()

    def check(self) -> None:
        if self.problem is not None:
            raise self.problem

    def _run(self) -> None:
        self._loop.run_until_complete(self._hold())

    async def _hold(self) -> None:
        try:
            async with self._manager as value:
                self.value.append(value)
                self.started.set()
                await self._stop.wait()
        except BaseException as error:
            self.problem = error
        finally:
            self.started.set()


@contextmanager
def in_background(manager: AbstractAsyncContextManager[Value]) -> Iterator[Value]:
    """Enter a context in a thread's own event loop; leave it when the block ends."""
    held = _Held(manager)
    try:
        held.start()
        yield held.value[0]
    finally:
        held.stop()
    held.check()
