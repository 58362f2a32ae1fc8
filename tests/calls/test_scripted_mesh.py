"""Whole calls through real Envoys and real processes, with scripted engines."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.support.mesh import held, running_mesh
from voicemesh.audio import AudioFormat, Encoding
from voicemesh.client import AwaitReply, Call, HangUp, Pause, Say, Speaker, Step, perform, voiced
from voicemesh.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mesh.local import LocalMesh

pytestmark = pytest.mark.slow

PHONE = AudioFormat(Encoding.MULAW, 8000)
WIDE = AudioFormat(Encoding.LINEAR16, 16000)
TALK = (AwaitReply(), Say("first of all"), AwaitReply(), Say("goodbye"), AwaitReply())
TURN: tuple[Step, ...] = (Say("one more turn"), AwaitReply())
LONG_TALK = (AwaitReply(), *TURN, *TURN, *TURN, *TURN, Say("goodbye"), AwaitReply())


@pytest.fixture(scope="module")
def mesh(runner: asyncio.Runner) -> Iterator[LocalMesh]:
    yield from held(runner, running_mesh())


async def _spoken(mesh: LocalMesh, steps: Sequence[Step], fmt: AudioFormat) -> list[Step]:
    async with Speaker.at(mesh.mesh_target, engine="scripted") as speaker:
        return await voiced(steps, speaker, fmt)


async def _hold(mesh: LocalMesh, steps: Sequence[Step], fmt: AudioFormat = PHONE) -> Call:
    async with Call.place(mesh.edge_target, bot="echo", caller_format=fmt) as call:
        await perform(call, steps)
        await call.wait_ended(10) if call.over else None
    return call


def _words(call: Call, speaker: str) -> str:
    said = [words.text for words in call.transcripts if words.speaker == speaker]
    return " ".join(said)


@pytest.mark.parametrize("fmt", [PHONE, WIDE], ids=["mulaw-8k", "linear-16k"])
async def test_a_call_crosses_both_envoys(mesh: LocalMesh, fmt: AudioFormat) -> None:
    call = await _hold(mesh, await _spoken(mesh, TALK, fmt), fmt)

    assert _words(call, "caller") == "first of all goodbye"
    assert "You said: first of all." in _words(call, "bot")
    assert call.ended is not None
    assert call.ended.reason == "bot_hung_up"
    for turn in call.turns:
        stages = sum(stage.seconds for stage in turn.report.stages)
        assert abs(stages - turn.report.total) < 0.001

    heard = call.playback.heard_samples * PHONE.bytes_per_sample
    edge, inner = await mesh.envoy_stats("edge"), await mesh.envoy_stats("mesh")
    assert edge["cluster.gateway.upstream_cx_rx_bytes_total"] > heard
    assert inner["cluster.orchestrator.upstream_cx_rx_bytes_total"] > heard
    assert inner["cluster.tts.upstream_cx_rx_bytes_total"] > heard
    assert inner["cluster.stt.upstream_cx_tx_bytes_total"] > 0


async def test_a_silent_caller_sends_no_audio_through_the_mesh(mesh: LocalMesh) -> None:
    greeting = (AwaitReply(),)
    async with Call.place(mesh.edge_target, bot="echo", caller_format=PHONE) as call:
        await perform(call, greeting)
        before = (await mesh.envoy_stats("mesh"))["cluster.orchestrator.upstream_cx_tx_bytes_total"]
        await perform(call, (Pause(3.0),))
        after = (await mesh.envoy_stats("mesh"))["cluster.orchestrator.upstream_cx_tx_bytes_total"]
    # Three seconds of audio would be 48,000 bytes; health checks and pings are a few hundred.
    assert after - before < 4000


async def test_scaling_orchestrators_breaks_no_call_and_spreads_new_ones() -> None:
    async with running_mesh(orchestrators=1, drain_seconds=10) as mesh:
        steps = await _spoken(mesh, LONG_TALK, PHONE)
        first = [asyncio.create_task(_hold(mesh, steps)) for _ in range(6)]
        await mesh.scale("orchestrator", 3)
        second = [asyncio.create_task(_hold(mesh, steps)) for _ in range(9)]
        await _until_live(mesh, 15)
        spread = {
            process.name: process.calls
            for process in (await mesh.status()).processes
            if process.service == "orchestrator"
        }
        await mesh.scale("orchestrator", 1)
        calls = await asyncio.gather(*first, *second)

    assert len(spread) == 3
    assert all(spread.values()), spread
    for call in calls:
        assert call.ended is not None
        assert call.ended.reason == "bot_hung_up"
        assert _words(call, "caller") == " ".join(["one more turn"] * 4 + ["goodbye"])


async def _until_live(mesh: LocalMesh, count: int) -> None:
    """Return once so many sessions are live."""
    deadline = asyncio.get_running_loop().time() + 10
    while asyncio.get_running_loop().time() < deadline:
        status = await mesh.status()
        live = sum(p.calls or 0 for p in status.processes if p.service == "orchestrator")
        if live >= count:
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"never were {count} sessions live")


async def test_an_unknown_bot_is_refused_at_the_edge(mesh: LocalMesh) -> None:
    with pytest.raises(NotFound, match="no bot 'nobody'"):
        async with Call.place(mesh.edge_target, bot="nobody", caller_format=PHONE):
            pass


async def test_hang_up_is_journalled(mesh: LocalMesh) -> None:
    call = await _hold(mesh, (AwaitReply(), HangUp()))
    assert call.ended is not None
    assert call.ended.reason == "caller_hung_up"
    assert "call_ended" in call.ended.journal[-1]
