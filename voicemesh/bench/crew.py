"""The processes of the load generator, seen from the command that starts them."""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from voicemesh.bench.tally import Tally
from voicemesh.bench.worker import Job, Plan
from voicemesh.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from voicemesh.bench.caller import Manner

_READY_SECONDS = 30.0
_TELL_SECONDS = 40.0
"""Beyond the end of the plan: patience for the last answer, goodbyes, and the report."""
_LINE_BYTES = 256 * 1024 * 1024


def jobs(
    target: str, bot: str, calls: int, procs: int, manner: Manner, leg: str = "grpc"
) -> list[Job]:
    """Share calls out, neighbours to different processes."""
    return [
        Job(target, bot, tuple(range(number, calls, procs)), calls, manner, leg)
        for number in range(min(procs, calls))
    ]


class Crew:
    """Connected processes that wait for a plan."""

    def __init__(self, processes: list[asyncio.subprocess.Process]) -> None:
        self._processes = processes

    @property
    def pids(self) -> list[int]:
        """Their process ids."""
        return [process.pid for process in self._processes]

    def begin(self, plan: Plan) -> None:
        """Let all of them follow a plan."""
        for process in self._processes:
            _say(process, asdict(plan))

    async def tally(self, seconds: float) -> Tally:
        """Return what all of them measured; raise Unavailable if one does not tell in time."""
        try:
            told = await asyncio.wait_for(
                asyncio.gather(*map(_hear, self._processes)), seconds + _TELL_SECONDS
            )
        except TimeoutError as error:
            raise Unavailable(
                "the load generator did not finish", reason="LOAD_GENERATOR"
            ) from error
        return Tally.joined(one["tally"] for one in told)


@asynccontextmanager
async def assembled(wanted: list[Job]) -> AsyncIterator[Crew]:
    """Start a process for each job and connect it; none is left when the block ends."""
    processes: list[asyncio.subprocess.Process] = []
    try:
        for job in wanted:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "voicemesh.bench.worker",
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                process_group=0,  # Ctrl-C is for whoever started it
                limit=_LINE_BYTES,
            )
            processes.append(process)
            _say(process, job.to_json())
        ready = asyncio.gather(*map(_hear, processes))
        await asyncio.wait_for(ready, _READY_SECONDS)
        yield Crew(processes)
    finally:
        for process in processes:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()


def _say(process: asyncio.subprocess.Process, told: dict[str, Any]) -> None:
    if process.stdin is None:
        raise AssertionError("its input is a pipe")
    process.stdin.write(json.dumps(told).encode() + b"\n")


async def _hear(process: asyncio.subprocess.Process) -> dict[str, Any]:
    if process.stdout is None:
        raise AssertionError("its output is a pipe")
    line = await process.stdout.readline()
    told: dict[str, Any] = json.loads(line) if line else {"error": "the load generator ended early"}
    if "error" in told:
        raise Unavailable(told["error"], reason="LOAD_GENERATOR")
    return told
