"""Calls that survive the death of what lies between the caller and the orchestrators."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.clients.from_node import missing, node_call
from tests.support.mesh import held, running_mesh, whole
from voicemesh.api.call.v1 import call_pb2
from voicemesh.audio import AudioFormat, Encoding, tonetext, write_wav
from voicemesh.client import (
    AwaitReply,
    Call,
    HangUp,
    Say,
    Speaker,
    Step,
    perform,
    voiced,
)
from voicemesh.client.line import open_line
from voicemesh.errors import Denied, Superseded

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    from mesh.local import LocalMesh

pytestmark = pytest.mark.slow

PHONE = AudioFormat(Encoding.MULAW, 8000)
WIDE = AudioFormat(Encoding.LINEAR16, 16000)
LINES = ("first of all this is a long line", "and now another one", "at last the end")
LONGEST_GAP_SECONDS = 0.5


def answers() -> list[str]:
    """Return every sentence of the bot, in order."""
    said = ["Hello, this is the echo."]
    for turn, line in enumerate(LINES, 1):
        said += [f"You said: {line}.", f"That was turn {turn}."]
    return said


@pytest.fixture(scope="module")
def mesh(runner: asyncio.Runner) -> Iterator[LocalMesh]:
    yield from held(runner, gateways())


@asynccontextmanager
async def gateways(count: int = 2, orchestrators: int = 2) -> AsyncIterator[LocalMesh]:
    async with running_mesh(drain_seconds=6, orchestrators=orchestrators) as mesh:
        await mesh.scale("gateway", count)
        yield mesh


async def script(mesh: LocalMesh, fmt: AudioFormat) -> list[Step]:
    steps = [AwaitReply(), *(step for line in LINES for step in (Say(line), AwaitReply()))]
    async with Speaker.at(mesh.mesh_target, engine="scripted") as speaker:
        return [*await voiced(steps, speaker, fmt), HangUp()]


async def process(mesh: LocalMesh, name: str) -> int:
    found = {each.name: each.pid for each in (await mesh.status()).processes}
    pid = found[name]
    assert pid is not None
    return pid


async def until(call: Call, holds: Callable[[Call], bool]) -> None:
    while not call.over and not holds(call):
        await call.change(0.02)
    assert holds(call)


async def resumed(call: Call, times: int) -> None:
    await until(call, lambda call: len(call.resumes) >= times)


def second_said(call: Call, seconds: float) -> bool:
    """Whether the caller is within its second utterance, `seconds` behind its beginning."""
    said = call.mouth.utterances[1:2]
    begin = said[0].speech_start if said else call.mouth.next_offset
    return call.mouth.next_offset - begin > seconds * call.mouth.rate


def bot_is_within_second_answer(call: Call) -> bool:
    starts = [each.start_offset for each in call.transcripts if each.text == answers()[3]]
    heard = call.playback.heard(call.clock())
    return bool(starts) and heard > starts[0] + call.playback.rate // 2


def is_waiting(call: Call) -> bool:
    said = call.mouth.utterances[1:2]
    return bool(said) and call.mouth.next_offset > said[0].end + 0.1 * call.mouth.rate


MOMENTS: dict[str, Callable[[Call], bool]] = {
    "while_the_caller_speaks": lambda call: second_said(call, 0.8),
    "while_the_caller_waits": is_waiting,
    "while_the_bot_speaks": bot_is_within_second_answer,
}


def assert_whole(call: Call) -> None:
    """Everything was said, understood, journalled and heard, and nothing twice."""
    ended = call.ended
    assert ended is not None
    assert ended.reason == "caller_hung_up"
    said = [entry["caller_said"]["text"] for entry in ended.journal if "caller_said" in entry]
    assert said == list(LINES)
    planned = [e["sentence_planned"]["text"] for e in ended.journal if "sentence_planned" in e]
    assert planned == answers()
    finished = [
        int(e["sentence_finished"].get("sentence", 0))
        for e in ended.journal
        if "sentence_finished" in e
    ]
    assert finished == list(range(len(planned)))
    assert "call_ended" in ended.journal[-1]
    shown = [words.text for words in call.transcripts]
    assert sorted(shown) == sorted([*LINES, *planned])
    sound = [piece.samples for piece in call.playback.pieces if piece.samples is not None]
    assert tonetext.texts(np.concatenate(sound), call.playback.rate) == planned


def longest_gap(call: Call) -> float:
    return max((hole.seconds for hole in call.playback.holes), default=0.0)


@pytest.mark.parametrize("moment", MOMENTS)
async def test_a_killed_gateway_is_not_noticed(mesh: LocalMesh, moment: str) -> None:
    fmt = WIDE if moment == "while_the_bot_speaks" else PHONE
    await whole(mesh)
    steps = await script(mesh, fmt)
    async with Call.place(mesh.edge_target, bot="echo", caller_format=fmt) as call:
        talk = asyncio.create_task(perform(call, steps))
        await until(call, MOMENTS[moment])
        struck = call.clock()
        os.kill(await process(mesh, call.started.replica), signal.SIGKILL)
        await talk
    assert_whole(call)
    (resumed,) = call.resumes
    assert resumed.replica != call.started.replica
    assert resumed.arrived - struck < LONGEST_GAP_SECONDS
    assert longest_gap(call) < LONGEST_GAP_SECONDS


async def test_one_gateway_after_another_may_die(mesh: LocalMesh) -> None:
    await whole(mesh)
    steps = await script(mesh, PHONE)
    async with Call.place(mesh.edge_target, bot="echo", caller_format=PHONE) as call:
        talk = asyncio.create_task(perform(call, steps))
        for turn in range(1, 4):
            await until(call, lambda call: len(call.turns) > len(call.resumes))
            holder = call.resumes[-1].replica if call.resumes else call.started.replica
            os.kill(await process(mesh, holder), signal.SIGKILL)
            await resumed(call, turn)
        await talk
    assert_whole(call)


async def test_a_frozen_gateway_is_left_and_fenced_when_it_wakes(mesh: LocalMesh) -> None:
    await whole(mesh)
    steps = await script(mesh, PHONE)
    async with Call.place(mesh.edge_target, bot="echo", caller_format=PHONE) as call:
        talk = asyncio.create_task(perform(call, steps))
        await until(call, MOMENTS["while_the_caller_speaks"])
        frozen = await process(mesh, call.started.replica)
        os.kill(frozen, signal.SIGSTOP)
        try:
            await until(call, lambda call: bool(call.resumes))
        finally:
            os.kill(frozen, signal.SIGCONT)
        await talk
    assert_whole(call)


async def test_a_gateway_that_drains_is_left_without_a_sound(mesh: LocalMesh) -> None:
    await whole(mesh)
    steps = await script(mesh, PHONE)
    async with Call.place(mesh.edge_target, bot="echo", caller_format=PHONE) as call:
        talk = asyncio.create_task(perform(call, steps))
        await until(call, MOMENTS["while_the_caller_speaks"])
        os.kill(await process(mesh, call.started.replica), signal.SIGTERM)
        await talk
    assert_whole(call)
    (resumed,) = call.resumes
    assert resumed.replica != call.started.replica
    # At a pause, so long before the deadline of the drain.
    assert longest_gap(call) < 0.06


async def test_a_killed_edge_is_survived_too() -> None:
    async with gateways(1) as mesh:
        steps = await script(mesh, PHONE)
        async with Call.place(mesh.edge_target, bot="echo", caller_format=PHONE) as call:
            talk = asyncio.create_task(perform(call, steps))
            await until(call, MOMENTS["while_the_caller_speaks"])
            # Whichever of the two holds the call.
            for edge in ("edge-0", "edge-1"):
                before = len(call.resumes)
                os.kill(await process(mesh, edge), signal.SIGKILL)
                await asyncio.wait({talk}, timeout=0.3)
                if len(call.resumes) > before:
                    break
            await talk
    assert_whole(call)
    assert len(call.resumes) == 1


async def test_a_second_holder_ends_the_first() -> None:
    # Wherever both are, they meet at the orchestrator, if not at a gateway.
    async with gateways(orchestrators=1) as mesh:
        with pytest.raises(Superseded):
            await held_twice(mesh)


async def held_twice(mesh: LocalMesh) -> None:
    async with Call.place(mesh.edge_target, bot="echo", caller_format=PHONE) as call:
        await perform(call, [AwaitReply()])
        start = call._lines._resumption(1)
        stranger = call_pb2.Start()
        stranger.CopyFrom(start)
        stranger.caller = "+15550100"
        async with open_line(mesh.edge_target) as line:
            with pytest.raises(Denied, match="cannot be resumed"):
                await line.start(stranger)
        async with open_line(mesh.edge_target) as line:
            assert (await line.start(start)).call_id == call.started.call_id
            await call.wait_ended(10)


@pytest.mark.skipif(missing(), reason="node and npm are not installed")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=["killed", "drained"])
async def test_a_caller_from_protos_alone_survives_it_too(
    mesh: LocalMesh, number: signal.Signals, tmp_path: Path
) -> None:
    clips = []
    for row, line in enumerate(LINES):
        clips.append(tmp_path / f"{row}.wav")
        write_wav(clips[-1], 8000, tonetext.encode(line, 8000))
    await whole(mesh)
    addresses = ",".join(mesh.edge_addresses)
    talk = asyncio.create_task(node_call(addresses, "echo", *clips))
    holder = await gateway_with_a_call(mesh)
    # Two and a half seconds into the call the caller is saying its first line.
    await asyncio.wait({talk}, timeout=2.5)
    os.kill(await process(mesh, holder), number)
    told = await talk
    assert told["ended"] == "END_REASON_CALLER_HUNG_UP"
    (resumed,) = told["resumes"]
    assert resumed["gateway"] != holder == told["gateway"]
    assert resumed["ms"] < 1000 * LONGEST_GAP_SECONDS
    shown = [words["text"] for words in told["transcripts"]]
    assert sorted(shown) == sorted([*LINES, *answers()])
    spoken = sum(tonetext.encode(text, 8000).size for text in answers())
    assert told["bot_audio_bytes"] == 2 * spoken


async def gateway_with_a_call(mesh: LocalMesh) -> str:
    while True:
        for each in (await mesh.status()).processes:
            if each.service == "gateway" and each.calls:
                return each.name
        await asyncio.sleep(0.05)
