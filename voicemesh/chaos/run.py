"""One run: a mesh, callers, and what goes wrong meanwhile."""

from __future__ import annotations

import asyncio
import gc
import os
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from voicemesh.bench.machine import machine
from voicemesh.chaos.aim import Aim
from voicemesh.chaos.caller import Caller, Held
from voicemesh.chaos.faults import Injector
from voicemesh.chaos.mesh import TOPOLOGY, Mesh, started
from voicemesh.chaos.outcome import TICK_SECONDS, Outcome, OwnClock
from voicemesh.chaos.plan import Kind, Target, plan
from voicemesh.chaos.provider import (
    MOST_SILENCE_SECONDS,
    TOPOLOGY as PROVIDERS,
    Patient,
    ProviderService,
)
from voicemesh.chaos.rehearsal import rehearsed
from voicemesh.chaos.sickness import Sickness
from voicemesh.chaos.talk import ScriptedTalk
from voicemesh.chaos.tools import NoteService

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from voicemesh.chaos.plan import Fault
    from voicemesh.chaos.talk import Talk
    from voicemesh.chaos.tools import Notes

CALM_SECONDS = 8.0
"""Before the first fault: how long answers take while nothing goes wrong."""
RAMP_SECONDS = 3.0
"""Callers begin within so long; all at once would be a burst that only a test makes."""


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What is asked for."""

    seed: int
    calls: int = 10
    seconds: float = 60.0
    every: float = 2.0
    kinds: Sequence[Kind] = (Kind.KILL, Kind.HANG)
    targets: Sequence[Target] = tuple(Target)
    models: str = "scripted"
    topology: Path = TOPOLOGY
    logs: Path | None = None
    """Where to copy the logs of all processes."""


async def run(wish: Wish, say: Callable[[str], None]) -> Outcome:
    """Hold calls, break things, and return what that did; `say` is told what is going on."""
    faults = plan(wish.seed, wish.seconds, wish.every, wish.kinds, wish.targets)
    patient = Patient(Sickness(wish.seed)) if Kind.PROVIDER in wish.kinds else None
    with ExitStack() as services:
        tool = services.enter_context(NoteService())
        environment = {"VOICEMESH_CHAOS_TOOL": tool.url}
        topology, models = wish.topology, wish.models
        if patient:
            provider = services.enter_context(ProviderService(patient))
            environment |= provider.environment
            # Its engines are those of the bots' own files; whoever wants others names them there.
            topology, models = (PROVIDERS if topology == TOPOLOGY else topology), "embedded"
        say("starting a mesh")
        async with started(topology, models, environment, cuts=Kind.CUT in wish.kinds) as mesh:
            _ahead_of_the_mesh()
            talk = _scripted(wish.seed)
            if wish.models != "scripted" and not patient:
                say("rehearsing a call")
                talk = await rehearsed(mesh)
            injector = Injector(mesh)
            if Kind.TOOL in wish.kinds:
                tool.kill_whoever_calls(Aim(wish.seed, mesh.members, injector.struck))
            try:
                parts = _Run(wish, mesh, injector, talk, tool.notes, patient)
                return await _run(parts, faults, say)
            finally:
                if wish.logs:
                    mesh.keep_logs(wish.logs)


@dataclass(frozen=True)
class _Run:
    wish: Wish
    mesh: Mesh
    injector: Injector
    talk: Callable[[int, int], Talk]
    notes: Notes
    patient: Patient | None = None


def _scripted(seed: int) -> Callable[[int, int], Talk]:
    def talk(row: int, number: int) -> Talk:
        return ScriptedTalk(seed, row * 1000 + number)

    return talk


async def _run(parts: _Run, faults: Sequence[Fault], say: Callable[[str], None]) -> Outcome:
    wish, held, clock = parts.wish, list[Held](), OwnClock()
    gc.collect()
    gc.disable()  # a collection would stop every caller at once, and nothing here grows much
    stolen = machine().stolen_seconds
    began = time.monotonic() + CALM_SECONDS + RAMP_SECONDS
    until = began + wish.seconds
    if parts.patient:
        parts.patient.began, parts.patient.struck = began, parts.injector.struck
    watch = asyncio.create_task(_watch_clock(clock))
    say(f"{wish.calls} calls, {len(faults)} faults from seed {wish.seed}")
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(parts.injector.run(faults, began))
            for row in range(wish.calls):
                tasks.create_task(_calling(parts, row, held, until))
    finally:
        watch.cancel()
    return Outcome(
        seed=wish.seed,
        seconds=wish.seconds,
        callers=wish.calls,
        began=began,
        held=held,
        struck=parts.injector.struck,
        skipped=parts.injector.skipped,
        results=parts.notes.results(),
        effects=parts.notes.effects(),
        tool_requests=parts.notes.requests,
        most_silence=MOST_SILENCE_SECONDS if parts.patient else None,
        stolen_share=_stolen_share(stolen, began - CALM_SECONDS),
        clock=clock,
    )


async def _calling(parts: _Run, row: int, held: list[Held], until: float) -> None:
    await asyncio.sleep(RAMP_SECONDS * row / parts.wish.calls)
    caller = Caller(row, parts.mesh.edge, parts.talk, held.append)
    await caller.run(until)


def _stolen_share(before: float, since: float) -> float:
    cores = os.cpu_count() or 1
    return (machine().stolen_seconds - before) / (time.monotonic() - since) / cores


def _ahead_of_the_mesh() -> None:
    """Have this process run first, where that is allowed: callers live elsewhere."""
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, -10)


async def _watch_clock(clock: OwnClock) -> None:
    """Measure how late this process itself is: what it delays is no gap of the mesh's."""
    while True:
        due = time.monotonic() + TICK_SECONDS
        await asyncio.sleep(TICK_SECONDS)
        clock.tick(due, time.monotonic())
