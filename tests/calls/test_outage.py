"""Calls whose orchestrators are all gone: for a while, and for good."""

from __future__ import annotations

import asyncio
import json
import signal
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.support.mesh import running_mesh
from voicemesh.audio import AudioFormat, Encoding, tonetext
from voicemesh.client import AwaitReply, Call, Pause, Say, Speaker, perform, voiced
from voicemesh.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from mesh.local import LocalMesh

pytestmark = pytest.mark.slow

PHONE = AudioFormat(Encoding.LINEAR16, 8000)
GREETING = "Hello, this is the echo."
HOLDING = "One moment, please."
APOLOGY = "I'm very sorry, something is wrong on our side. Please call again soon."
HELD_WITHIN_SECONDS = 2.0


async def orchestrators(mesh: LocalMesh) -> list[str]:
    status = await mesh.status()
    return [each.name for each in status.processes if each.service == "orchestrator"]


def each(mesh: LocalMesh, names: list[str], number: signal.Signals) -> None:
    for name in names:
        with suppress(NotFound):
            mesh.signal(name, number)


@asynccontextmanager
async def frozen(mesh: LocalMesh) -> AsyncIterator[None]:
    """Freeze every orchestrator while in the block."""
    names = await orchestrators(mesh)
    each(mesh, names, signal.SIGSTOP)
    try:
        yield
    finally:
        each(mesh, names, signal.SIGCONT)


@asynccontextmanager
async def killed(mesh: LocalMesh) -> AsyncIterator[None]:
    """Kill every orchestrator, and again as soon as it has come back, while in the block."""
    names = await orchestrators(mesh)

    async def hunt() -> None:
        while True:
            each(mesh, names, signal.SIGKILL)
            await asyncio.sleep(0.02)

    hunting = asyncio.create_task(hunt())
    try:
        yield
    finally:
        hunting.cancel()


def heard(call: Call) -> list[str]:
    """Return what was said to the caller, by its sound; late or not."""
    pieces = [piece.samples for piece in call.playback.pieces if piece.samples is not None]
    return tonetext.texts(np.concatenate(pieces), PHONE.rate)


def answer(text: str, turn: int) -> list[str]:
    return [f"You said: {text}.", f"That was turn {turn}."]


async def test_a_call_without_orchestrators_is_held_and_goes_on_when_they_return() -> None:
    async with running_mesh() as mesh:
        async with Speaker.at(mesh.mesh_target, engine="scripted") as speaker:
            before = await voiced((AwaitReply(), Say("first"), AwaitReply()), speaker, PHONE)
            within = await voiced((Say("in the dark"), Pause(1.0)), speaker, PHONE)
            behind = await voiced((Say("at last"), AwaitReply()), speaker, PHONE)
        async with Call.place(mesh.edge_target, bot="echo", caller_format=PHONE) as call:
            await perform(call, before)
            gone = call.clock()
            async with frozen(mesh):
                await perform(call, (Pause(2.6),))
                told = call.playback.first_heard_after(gone)
                await perform(call, within)
            await perform(call, (AwaitReply(quiet_seconds=2.5),))
            await perform(call, behind)
            call.hang_up()
            ended = await call.wait_ended(10)
    assert told is not None
    assert told - gone <= HELD_WITHIN_SECONDS
    assert heard(call) == [
        GREETING,
        *answer("first", 1),
        HOLDING,
        *answer("in the dark", 2),
        *answer("at last", 3),
    ]
    assert ended.reason == "caller_hung_up"
    said = [entry["caller_said"]["text"] for entry in ended.journal if "caller_said" in entry]
    assert said == ["first", "in the dark", "at last"]


async def test_a_call_without_orchestrators_for_good_ends_with_an_apology(tmp_path: Path) -> None:
    async with (
        running_mesh(environment={"VOICEMESH_RECORDS": str(tmp_path)}) as mesh,
        Call.place(mesh.edge_target, bot="echo", caller_format=PHONE) as call,
    ):
        await perform(call, (AwaitReply(),))
        gone = call.clock()
        async with killed(mesh):
            ended = await call.wait_ended(20)
        over = call.clock()
    assert heard(call) == [GREETING, HOLDING, APOLOGY]
    assert 10 < over - gone < 10.5 + tonetext.duration(APOLOGY)
    assert ended.reason == "failed"
    assert ended.journal[-1]["call_ended"]["reason"] == "failed"
    record = json.loads((tmp_path / f"{call.started.call_id}.json").read_text())
    assert len(record["journal"]) == len(ended.journal)
