"""Keeps one process running: starts it, lets it be used, starts it again, drains it.

STARTING -> SERVING -> DRAINING -> STOPPED, and after a crash BACKOFF -> STARTING, until patience
ends in FAILED. A process that has never served is not started again: its first crash is the
answer to whoever waits for it.
"""

from __future__ import annotations

import asyncio
import math
import time
from contextlib import suppress
from enum import StrEnum
from signal import SIGKILL
from typing import TYPE_CHECKING, Protocol

from mesh.local import priority
from mesh.local.backoff import Crashes
from mesh.local.process import tail
from voicemesh.errors import Misconfigured, VoicemeshError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine
    from pathlib import Path

    from mesh.local.process import Command, Process


class State(StrEnum):
    """Where a kept process is in its life."""

    STARTING = "starting"
    SERVING = "serving"
    DRAINING = "draining"
    BACKOFF = "backoff"
    FAILED = "failed"
    STOPPED = "stopped"


END_STATES = frozenset({State.FAILED, State.STOPPED})


class Part(Protocol):
    """What is kept running; see ``parts`` for what each method means."""

    name: str
    address: str
    log: Path

    def command(self) -> Command: ...
    async def serving(self) -> None: ...
    async def enter(self) -> None: ...
    def leave(self) -> None: ...
    async def left(self) -> None: ...
    async def close(self) -> None: ...


class Keeper:
    """Owner of one part's process."""

    def __init__(
        self,
        part: Part,
        changed: Callable[[str, State], None],
        start: Callable[[Command], Awaitable[Process]],
        *,
        start_seconds: float,
        crashes: Crashes | None = None,
        gently: Callable[[], bool] = lambda: False,
    ) -> None:
        """``gently``: whether it is to start behind others, which do its work until it serves."""
        self.part = part
        self.state = State.STARTING
        self.process: Process | None = None
        self.problem = ""
        """Why it ended last."""
        self._crashes = crashes or Crashes()
        self._changed = changed
        self._start = start
        self._start_seconds = start_seconds
        self._gently = gently
        self._stop_asked = asyncio.Event()
        self._out = asyncio.Event()
        self._first: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._run(), name=f"keep {part.name}")

    @property
    def restarts(self) -> int:
        """How often it crashed and was started again."""
        return self._crashes.total

    @property
    def leaving(self) -> bool:
        """Whether it was told to stop, or was given up."""
        return self._stop_asked.is_set() or self.state in END_STATES

    async def serving(self) -> None:
        """Return when it served for the first time; raise Misconfigured where it never will."""
        await asyncio.shield(self._first)

    async def out_of_use(self) -> None:
        """Return when a stopping process gets nothing new any more."""
        await self._out.wait()

    async def stop(self, seconds: float) -> None:
        """Take it out of use, let it drain, end it; returns when it is gone."""
        self._stop_asked.set()
        in_use = self.state is State.SERVING
        if self.state not in END_STATES:
            self._set(State.DRAINING)
        self.part.leave()
        if in_use:
            await self.part.left()
        self._out.set()
        if self.process:
            await self.process.stop(seconds)
        await self._finish()

    async def abort(self) -> None:
        """End it now."""
        self._stop_asked.set()
        self._out.set()
        if self.process:
            self.process.kill()
            await self.process.wait()
        await self._finish()

    async def _finish(self) -> None:
        self._task.cancel()
        with suppress(asyncio.CancelledError, Exception):
            await self._task
        if self._first.done() and not self._first.cancelled():
            self._first.exception()  # of no interest any more
        self._first.cancel()
        self.part.leave()
        await self.part.close()
        if self.state is not State.FAILED:
            self._set(State.STOPPED)

    async def _run(self) -> None:
        while True:
            try:
                served = await self._live_once()
            except (VoicemeshError, OSError) as error:  # no port, no program, no such model set
                served, self.problem = 0.0, str(error)
            if self._stop_asked.is_set():
                return
            if not self._first.done():
                self._set(State.FAILED)
                self._first.set_exception(Misconfigured(self._why(), process=self.part.name))
                return
            delay = self._crashes.crashed(math.inf if served and self._was_killed else served)
            if delay is None:
                self._set(State.FAILED)
                return
            self._set(State.BACKOFF)
            await asyncio.sleep(delay)

    async def _live_once(self) -> float:
        """Run it to its end; return how many seconds it served."""
        self._set(State.STARTING)
        try:
            process = self.process = await self._start(self.part.command())
            with priority.behind(process.pid, wanted=self._gently()):
                if not await self._comes_up(process):
                    return 0.0
            since = time.monotonic()
            if await self._lasts(process, self.part.enter()) and not self._stop_asked.is_set():
                self._set(State.SERVING)
                if not self._first.done():
                    self._first.set_result(None)
            await process.wait()
            self.problem = self._ending(process)
            return time.monotonic() - since
        finally:
            self.part.leave()

    async def _comes_up(self, process: Process) -> bool:
        try:
            async with asyncio.timeout(self._start_seconds):
                if await self._lasts(process, self.part.serving()):
                    return True
            self.problem = self._ending(process)
        except TimeoutError:
            self.problem = f"did not serve within {self._start_seconds:g} s"
            process.kill()
            await process.wait()
        return False

    async def _lasts(self, process: Process, work: Coroutine[None, None, None]) -> bool:
        """Do something with a process; return False where it ended before that was done."""
        tasks = [asyncio.create_task(work), asyncio.create_task(process.wait())]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        return process.running

    @property
    def _was_killed(self) -> bool:
        # Nobody does that to itself: nothing speaks against the next one.
        return self.process is not None and self.process.exit_code == -SIGKILL

    def _ending(self, process: Process) -> str:
        code = process.exit_code or 0
        return f"ended by signal {-code}" if code < 0 else f"ended with exit code {code}"

    def _why(self) -> str:
        if self.process is None:
            return self.problem
        log = self.part.log
        return f"{self.part.name} {self.problem}; its log {log} ends:\n{tail(log)}"

    def _set(self, state: State) -> None:
        if state is not self.state:
            self.state = state
            self._changed(self.part.name, state)
