"""One measurement: so many calls for so long, and what everything used meanwhile."""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from voicemesh.bench import machine
from voicemesh.bench.caller import Manner
from voicemesh.bench.clip import recorded
from voicemesh.bench.crew import assembled, jobs
from voicemesh.bench.figures import Outcome, shortcomings
from voicemesh.bench.search import Search
from voicemesh.bench.watch import Watch
from voicemesh.bench.worker import Plan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from voicemesh.bench.mesh import LocalMesh, Members

CALLS_PER_PROCESS = 120
CALLS_PER_SECOND = 20
"""New calls, where no ramp is given."""
WARM_SECONDS = 4.0
"""From the last call's start to the measurement: time for greetings and first words."""
BASELINE_CALLS = 2
BASELINE_SECONDS = 20.0
_LEAD_SECONDS = 0.3


@dataclass(frozen=True, kw_only=True)
class Load:
    """What is asked of a mesh."""

    target: str
    """Where calls come in."""
    bot: str = "echo"
    """Whom they call."""
    leg: str = "grpc"
    """How they come: a name in `voicemesh.bench.lines`."""
    calls: int = 50
    """How many at once."""
    seconds: float = 30.0
    """How long is measured, after the ramp."""
    ramp: float | None = None
    """Seconds in which all calls are placed; None: 20 calls a second."""
    procs: int | None = None
    """Processes of the load generator; None: one for each 120 calls."""
    interrupting: float = 0.2
    """Share of the answers that callers interrupt."""
    pin: bool = False
    """Whether mesh and load generator are kept on different cores."""
    churn: float | None = None
    """Calls that end each second, and others that begin in their place; None: all last."""
    warm: float = WARM_SECONDS
    """Seconds from the last call's start to the measurement."""
    from_start: bool = False
    """Whether the ramp is measured, too: what it costs to set calls up."""

    def manner(self) -> Manner:
        """Return how its callers behave."""
        clip = recorded()
        return Manner(len(clip.frames), clip.seconds, self.interrupting)

    @property
    def call_seconds(self) -> float | None:
        """How long each call lasts; None: to the end."""
        return self.calls / self.churn if self.churn else None

    def processes(self) -> int:
        """Return how many processes generate it."""
        return self.procs or -(-self.calls // CALLS_PER_PROCESS)

    def plan(self, now: float) -> Plan:
        """Return when everything happens if it begins now."""
        ramp = self.calls / CALLS_PER_SECOND if self.ramp is None else self.ramp
        start = now + _LEAD_SECONDS
        if self.from_start:
            return Plan(start, ramp, start, start + ramp + self.seconds)
        begin = start + ramp + self.warm
        return Plan(start, ramp, begin, begin + self.seconds)


async def measure(load: Load, mesh: LocalMesh | None = None) -> Outcome:
    """Hold the calls and return what was measured; `mesh` tells what its processes used."""
    before = await mesh.members() if mesh else None
    manner = load.manner()
    shares = jobs(load.target, load.bot, load.calls, load.processes(), manner, load.leg)
    wanted = [replace(share, call_seconds=load.call_seconds) for share in shares]
    async with assembled(wanted) as crew:
        watch = Watch(before, crew.pids)
        with _pinned(before, crew.pids, wanted=load.pin):
            plan = load.plan(time.monotonic())
            crew.begin(plan)
            await _until(plan.begin)
            watch.begin()
            await _until((plan.begin + plan.end) / 2)
            watch.halfway()
            await _until(plan.end)
            watch.end()
            after = await mesh.members() if mesh else None
            tally = await crew.tally(manner.patience)
    seconds = plan.end - plan.begin
    return Outcome(
        load.calls,
        seconds,
        tally,
        watch.costs(after),
        watch.own_costs(),
        watch.surroundings(seconds, after),
    )


async def find_max(
    load: Load, mesh: LocalMesh | None, most: int, note: Callable[[Outcome, list[str]], None]
) -> int:
    """Return the most calls that are sustained.

    `note` is told of every step and of what it fell short of, the unloaded baseline first. A step
    that fails on a noisy machine is tried again once.
    """
    unloaded = max(load.seconds, BASELINE_SECONDS)
    baseline = await measure(replace(load, calls=BASELINE_CALLS, seconds=unloaded), mesh)
    note(baseline, [])
    search = Search(most=most)
    while (calls := search.next()) is not None:
        outcome = await measure(replace(load, calls=calls), mesh)
        found = shortcomings(outcome, baseline)
        if found and outcome.noise():
            note(outcome, [*found, "noisy: tried again"])
            outcome = await measure(replace(load, calls=calls), mesh)
            found = shortcomings(outcome, baseline)
        note(outcome, found)
        search.note(calls, sustained=not found)
    return search.sustained


async def _until(when: float) -> None:
    await asyncio.sleep(max(when - time.monotonic(), 0))


@contextmanager
def _pinned(members: Members | None, generators: Sequence[int], *, wanted: bool) -> Iterator[None]:
    """Keep the mesh off the cores of the load generator while the block runs."""
    if not wanted:
        yield
        return
    cores = os.sched_getaffinity(0)
    theirs, ours = machine.halves(cores)
    mesh = [member.pid for member in members.members] if members else []
    machine.pin(mesh, theirs)
    machine.pin(generators, ours)
    try:
        yield
    finally:
        machine.pin(mesh, cores)
