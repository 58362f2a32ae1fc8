"""Two Envoys of each kind: one is killed, frozen or replaced under live streams."""

from __future__ import annotations

import asyncio
import signal
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

import pytest

from mesh.local.process import alive
from tests.mesh.support import echo_mesh, settles, talking, until
from voicemesh.channel import addresses, open_channel
from voicemesh.errors import InvalidInput, Unavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    import grpc.aio

    from mesh.local import LocalMesh, MeshStatus
    from mesh.local.renewal import Replaced
    from mesh.services import DoorName, ServiceName
    from tests.mesh.support import Moving

    Channels = Sequence[grpc.aio.Channel]

pytestmark = pytest.mark.slow

BEHIND: dict[DoorName, ServiceName] = {"edge": "gateway", "mesh": "orchestrator"}
CALLS = 12
SLACK = 1.0
"""Seconds for a busy machine; bounds below are of the mechanism, the figures are in its report."""


@asynccontextmanager
async def channels(mesh: LocalMesh, door: DoorName, count: int = 1) -> AsyncIterator[Channels]:
    """Open channels to both Envoys; they are connected to both, or all would go by the first."""
    target = mesh.edge_target if door == "edge" else mesh.mesh_target
    async with AsyncExitStack() as stack:
        opened = [
            await stack.enter_async_context(open_channel(target, own_connection=True))
            for _ in range(count)
        ]
        for number in (0, 1):
            await settles(
                partial(mesh.envoy_stats, f"{door}-{number}"),
                lambda stats: stats[f"http.{door}.downstream_cx_active"] >= count,
            )
        yield opened


async def by_envoy(mesh: LocalMesh, door: DoorName) -> dict[str, int]:
    status = await mesh.status()
    found = [one for one in status.of("envoy") if one.name.startswith(door)]
    return {one.name: one.calls or 0 for one in found}


async def spread(mesh: LocalMesh, door: DoorName, calls: int) -> None:
    """Return when that many streams are live, some by each Envoy."""

    async def look() -> dict[str, int]:
        return await by_envoy(mesh, door)

    await settles(look, lambda live: sum(live.values()) == calls and min(live.values()) > 0)


@pytest.mark.parametrize("door", ["edge", "mesh"])
@pytest.mark.parametrize("fault", [signal.SIGKILL, signal.SIGSTOP])
async def test_the_streams_of_a_dead_envoy_go_on_by_the_other(
    tmp_path: Path, door: DoorName, fault: signal.Signals
) -> None:
    async with echo_mesh(tmp_path) as mesh:
        async with channels(mesh, door) as opened, talking(CALLS, opened, BEHIND[door]) as calls:
            await spread(mesh, door, CALLS)
            hurt = (await by_envoy(mesh, door))[f"{door}-1"]
            mesh.signal(f"{door}-1", fault)
            await asyncio.gather(*(more(call, 10) for call in calls))
            if fault == signal.SIGSTOP:
                mesh.signal(f"{door}-1", signal.SIGCONT)
            await until(mesh, lambda status: _serves(status, f"{door}-1"))
            await asyncio.gather(*(more(call, 10) for call in calls))
        # The other's were left alone. One that broke may be offered the dead Envoy once more: the
        # channel learns of it a moment after the stream does.
        assert sum(not call.broken for call in calls) == CALLS - hurt
        assert max(len(call.broken) for call in calls) <= 2
        assert max(max(call.gaps) for call in calls) < 0.55 + SLACK


def _serves(status: MeshStatus, name: str) -> bool:
    one = status.process(name)
    return (one.state, one.health) == ("serving", "healthy")


async def more(call: Moving, answers: int) -> None:
    due = len(call.gaps) + answers

    async def look() -> int:
        return len(call.gaps)

    await settles(look, lambda seen: seen >= due)


async def test_a_deploy_replaces_every_process_and_breaks_no_stream(tmp_path: Path) -> None:
    seen: list[Replaced] = []
    async with (
        echo_mesh(tmp_path) as mesh,
        channels(mesh, "mesh", 2) as inner,
        channels(mesh, "edge") as outer,
        talking(CALLS, inner) as sessions,
        talking(CALLS, outer, "gateway") as callers,
    ):
        await spread(mesh, "mesh", CALLS)
        before = {one.pid for one in (await mesh.status()).processes}
        done = await mesh.deploy(progress=seen.append)
        status = await mesh.status()
        assert {one.pid for one in status.processes}.isdisjoint(before)
        assert {one.health for one in status.processes} == {"healthy"}
        assert not any(pid and alive(pid) for pid in before)
        assert len(status.processes) == len(before) == len(done)
        assert {one.old_pid for one in done} == before
        assert {one.pid for one in done} == {one.pid for one in status.processes}
        assert [one.streams_cut for one in done] == [0] * len(done)
        assert seen == done
        assert [one.process.rpartition("-")[0] for one in done] == [
            "orchestrator", "orchestrator", "gateway", "mesh", "mesh", "edge", "edge",
        ]  # fmt: skip
        await asyncio.gather(*(more(call, 3) for call in sessions + callers))
    assert [call.broken for call in sessions + callers] == [[]] * 2 * CALLS
    assert all(call.moves for call in sessions + callers)


async def test_an_envoy_whose_streams_do_not_leave_cuts_them_in_the_end(tmp_path: Path) -> None:
    async with (
        echo_mesh(tmp_path, drain_seconds=0.5) as mesh,
        channels(mesh, "mesh") as (channel,),
    ):
        stubborn = [await _opened(channel) for _ in range(4)]
        one = (await mesh.deploy(["mesh"]))[0]
        assert (one.process, one.streams_cut) == ("mesh-0", 2)
        for call in stubborn:
            call.cancel()


async def _opened(channel: grpc.aio.Channel) -> grpc.aio.StreamStreamCall[bytes, bytes]:
    call: grpc.aio.StreamStreamCall[bytes, bytes] = channel.stream_stream(
        "/voicemesh.api.session.v1.SessionService/Run"
    )()
    await call.write(b"open")
    assert await call.read()
    return call


async def test_a_hung_envoy_is_replaced_without_being_asked_first(tmp_path: Path) -> None:
    async with echo_mesh(tmp_path, drain_seconds=60) as mesh:
        mesh.signal("mesh-0", signal.SIGSTOP)
        assert (await mesh.renewal.restart("mesh-0")).streams_cut == 0
        await until(mesh, lambda status: {one.health for one in status.processes} == {"healthy"})


async def test_one_deploy_at_a_time_and_only_of_what_there_is(tmp_path: Path) -> None:
    async with echo_mesh(tmp_path) as mesh:
        with pytest.raises(InvalidInput, match="there is no 'vad'; use stt, llm"):
            await mesh.deploy(["vad"])
        first = asyncio.create_task(mesh.deploy(["gateway"]))
        await asyncio.sleep(0)
        with pytest.raises(Unavailable, match="goes on already"):
            await mesh.deploy()
        assert [one.process for one in await first] == ["gateway-0"]


async def test_replicas_change_while_an_envoy_hangs(tmp_path: Path) -> None:
    async with echo_mesh(tmp_path) as mesh:
        mesh.signal("mesh-1", signal.SIGSTOP)
        await mesh.scale("orchestrator", 3)
        mesh.signal("mesh-1", signal.SIGCONT)
        status = await until(
            mesh, lambda status: {one.health for one in status.of("orchestrator")} == {"healthy"}
        )
        assert len(status.of("orchestrator")) == 3
        async with open_channel(addresses(mesh.mesh_target)[1]) as second:
            await (await _opened(second)).done_writing()
