"""A replica's connections are cut, mended and broken off, and the replica lives on."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING

import grpc
import pytest

from mesh.local import ask
from mesh.local.process import alive
from tests.mesh.support import SMALL, Caller, echo_mesh, opening, settles, until
from voicemesh.errors import InvalidInput, NotFound

if TYPE_CHECKING:
    from pathlib import Path

    from mesh.local import LocalMesh

pytestmark = pytest.mark.slow

CHAOS = SMALL + "chaos: true\n"


async def all_healthy(mesh: LocalMesh) -> None:
    await until(mesh, lambda status: {one.health for one in status.processes} == {"healthy"})


async def test_a_cut_replica_loses_its_streams_gets_none_and_comes_back(tmp_path: Path) -> None:
    async with echo_mesh(tmp_path, CHAOS) as mesh, Caller(mesh.mesh_address) as caller:
        held = {stream.replica: stream for stream in await caller.open_many(20)}
        pid = mesh.process("orchestrator-0").pid
        mesh.cut("orchestrator-0")
        # By Envoy's keepalive: nobody hung up.
        assert await held["orchestrator-0"].code() is grpc.StatusCode.INTERNAL
        async with opening(caller) as opens:
            await opens.more(20)
        assert opens.failed == []
        assert set(opens.replicas) == {"orchestrator-1"}
        await held["orchestrator-1"].ask("and you?")
        await held["orchestrator-1"].end()

        mesh.mend("orchestrator-0")
        await all_healthy(mesh)
        assert mesh.process("orchestrator-0").pid == pid
        assert (await mesh.status()).process("orchestrator-0").restarts == 0
        streams = await caller.open_many(20)
        assert set(Counter(stream.replica for stream in streams)) == set(held)
        for stream in streams:
            await stream.end()


@pytest.mark.parametrize("name", ["orchestrator-0", "mesh-0"])
async def test_a_cut_over_the_control_socket_ends_by_itself(tmp_path: Path, name: str) -> None:
    """An Envoy is frozen: it has no relay."""
    async with echo_mesh(tmp_path, CHAOS) as mesh:
        cut = asyncio.to_thread(ask, mesh.home, do="cut", process=name, seconds=3)
        task = asyncio.create_task(cut)
        await until(mesh, lambda status: status.process(name).health != "healthy")
        await task
        await all_healthy(mesh)


async def test_connections_are_broken_off_at_once_and_made_again(tmp_path: Path) -> None:
    async with echo_mesh(tmp_path, CHAOS) as mesh, Caller(mesh.mesh_address) as caller:
        held = {stream.replica: stream for stream in await caller.open_many(20)}
        relay = mesh.relay("orchestrator-0").pid
        async with opening(caller) as opens:
            mesh.reset("orchestrator-0")
            await held["orchestrator-0"].code()
            await opens.more(20)

            async def fresh() -> int:
                return mesh.relay("orchestrator-0").pid

            await settles(fresh, lambda pid: pid != relay)
            await all_healthy(mesh)
        assert opens.failed == []
        await held["orchestrator-1"].end()


async def test_relays_come_and_go_with_their_replicas(tmp_path: Path) -> None:
    async with echo_mesh(tmp_path, CHAOS) as mesh, Caller(mesh.mesh_address) as caller:
        old = mesh.relay("orchestrator-0").pid
        mesh.process("orchestrator-0").kill()
        await until(mesh, lambda status: status.process("orchestrator-0").restarts == 1)
        await all_healthy(mesh)
        assert not alive(old)
        await mesh.restart("orchestrator-1", wait=True)
        relays = [mesh.relay(one.name).pid for one in (await mesh.status()).of("orchestrator")]
        await (await caller.open()).end()
    assert not any(alive(pid) for pid in relays)


async def test_without_chaos_there_is_nothing_to_cut(tmp_path: Path) -> None:
    async with echo_mesh(tmp_path) as mesh:
        with pytest.raises(InvalidInput, match="must say chaos: true"):
            mesh.cut("orchestrator-0")
        with pytest.raises(NotFound, match="no process 'orchestrator-9'"):
            mesh.cut("orchestrator-9")
