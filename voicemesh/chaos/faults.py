"""Does to a running mesh what the plan says. Everything is undone when the run is over."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from voicemesh.chaos.gaps import Struck
from voicemesh.chaos.plan import Fault, Kind
from voicemesh.errors import VoicemeshError

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence

    from voicemesh.chaos.mesh import Member, Mesh

RECOVERY_SECONDS = 10.0
"""How long a process may take to be in use again after it hung; then it is killed."""
_REPLACE_SECONDS = 120.0
_PAUSE = 0.05


@dataclass(frozen=True, slots=True)
class Skipped:
    """A fault that could not strike."""

    name: str
    why: str


class Injector:
    """Carries a plan out."""

    def __init__(self, mesh: Mesh) -> None:
        self.struck: list[Struck] = []
        self.skipped: list[Skipped] = []
        self._mesh = mesh
        self._lasting: set[asyncio.Task[None]] = set()
        self._hurt: dict[str, float] = {}

    async def run(self, plan: Sequence[Fault], began: float) -> None:
        """Strike when it is time to."""
        try:
            for fault in plan:
                await asyncio.sleep(max(began + fault.at - time.monotonic(), 0))
                try:
                    self._strike(fault)
                except (VoicemeshError, ProcessLookupError) as error:
                    self.skipped.append(Skipped(fault.name, str(error)))
            await asyncio.gather(*self._lasting)
        finally:
            for task in self._lasting:
                task.cancel()  # which wakes up what was stopped
            await asyncio.gather(*self._lasting, return_exceptions=True)

    def _strike(self, fault: Fault) -> None:
        victim, others = self._choose(fault)
        if victim is None and fault.kind is not Kind.DEPLOY:
            self.skipped.append(Skipped(fault.name, "no replica serves"))
            return
        now = time.monotonic()
        name = victim.name if victim else "all"
        service = victim.service if victim else ""
        alone = victim is not None and not others
        self.struck.append(Struck(fault.name, name, now, now + fault.seconds, service, alone))
        if victim:
            self._hurt[victim.name] = now + fault.seconds
        self._begin(fault, victim)

    def _choose(self, fault: Fault) -> tuple[Member | None, int]:
        """Return a replica that serves, and how many others of its kind are unhurt."""
        now = time.monotonic()
        able = [
            member
            for member in self._mesh.members()
            if member.serving
            and member.service == fault.target
            and self._hurt.get(member.name, 0.0) <= now
        ]
        if not able:
            return None, 0
        return able[int(fault.pick * len(able))], len(able) - 1

    def _begin(self, fault: Fault, victim: Member | None) -> None:
        pid = victim.pid if victim and victim.pid else 0
        name = victim.name if victim else ""
        match fault.kind:
            case Kind.KILL:
                os.kill(pid, signal.SIGKILL)
            case Kind.HANG:
                os.kill(pid, signal.SIGSTOP)
                self._last(self._wake(pid, name, fault.seconds))
            case Kind.LOOP:
                os.kill(pid, signal.SIGUSR2)
            case Kind.CUT:
                self._last(
                    self._ask(self.struck[-1], do="cut", process=name, seconds=fault.seconds)
                )
            case Kind.DRAIN:
                self._last(self._ask(self.struck[-1], do="restart", process=name))
            case Kind.DEPLOY:
                self._last(self._ask(self.struck[-1], do="deploy"))

    async def _wake(self, pid: int, name: str, seconds: float) -> None:
        """Let a stopped process go on, as a ghost; end it if it is of no use any more."""
        try:
            await asyncio.sleep(seconds)
        finally:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        if not await self._serves_again(pid, name):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    async def _serves_again(self, pid: int, name: str) -> bool:
        """Return whether it is in use again, or another process in its place."""
        deadline = time.monotonic() + RECOVERY_SECONDS
        while time.monotonic() < deadline:
            with suppress(VoicemeshError):
                status = await self._mesh.ask(do="status")
                one = next((each for each in status["processes"] if each["name"] == name), None)
                if one is None or one["pid"] != pid or one["health"] == "healthy":
                    return True
            await asyncio.sleep(0.5)
        return False

    async def _ask(self, struck: Struck, **request: object) -> None:
        """Have the supervisor do it; the fault lasts until that is done."""
        try:
            await self._mesh.ask(_REPLACE_SECONDS, **request)
        except VoicemeshError as error:
            self.struck.remove(struck)
            self.skipped.append(Skipped(struck.name, str(error)))
        else:
            place = self.struck.index(struck)
            self.struck[place] = replace(struck, until=time.monotonic())

    def _last(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._lasting.add(task)
        task.add_done_callback(self._lasting.discard)
