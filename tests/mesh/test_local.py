"""A real mesh of stand-in services behind real Envoys: started, scaled, hurt, stopped."""

from __future__ import annotations

import signal
import socket
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from mesh.local import Home, State
from mesh.local.process import alive
from tests.mesh.support import SMALL, Caller, echo_mesh, opening, restarted, until
from voicemesh.errors import InvalidInput, Misconfigured, NotFound

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow


async def test_everything_serves_and_nothing_is_left(tmp_path: Path) -> None:
    seen: list[tuple[str, State]] = []
    async with echo_mesh(tmp_path, progress=lambda name, state: seen.append((name, state))) as mesh:
        status = await mesh.status()
        names = [one.name for one in status.processes]
        assert names == [
            "edge-0", "edge-1", "mesh-0", "mesh-1",
            "gateway-0", "orchestrator-0", "orchestrator-1",
        ]  # fmt: skip
        assert {one.state for one in status.processes} == {"serving"}
        assert {one.health for one in status.processes} == {"healthy"}
        assert all(one.memory_mib > 10 and one.calls == 0 for one in status.processes)
        state = mesh.home.read_state()
        assert state["edge_address"] == state["edge_addresses"][0] == mesh.edge_address
        assert state["mesh_addresses"] == mesh.mesh_addresses
        assert mesh.mesh_target == "ipv4:" + ",".join(status.mesh_addresses)
        assert mesh.home.control.stat().st_mode & 0o777 == 0o600
        assert mesh.home.layout("mesh-1").admin.stat().st_mode & 0o777 == 0o600
        pids = [one.pid for one in status.processes]
    assert not any(pid and alive(pid) for pid in pids)
    assert not mesh.home.taken
    assert not mesh.home.state.exists()
    assert {name for name, state in seen if state is State.SERVING} == set(names)


async def test_streams_spread_over_the_replicas_and_are_counted(tmp_path: Path) -> None:
    async with echo_mesh(tmp_path) as mesh, Caller(mesh.mesh_address) as caller:
        streams = await caller.open_many(20)
        spread = Counter(stream.replica for stream in streams)
        assert set(spread) == {"orchestrator-0", "orchestrator-1"}
        assert min(spread.values()) >= 5
        status = await mesh.status()
        assert {one.name: one.calls for one in status.of("orchestrator")} == spread
        assert status.process("mesh-0").calls == 20
        assert status.process("orchestrator-0").loop_lag_p95_ms is not None
        for stream in streams:
            await stream.end()


async def test_the_edge_serves_callers_and_drops_their_internal_headers(tmp_path: Path) -> None:
    forged = [("x-voicemesh-fence", "eu"), ("x-envoy-max-retries", "99")]
    async with echo_mesh(tmp_path) as mesh:
        async with Caller(mesh.edge_address, "gateway") as outsider:
            stream = await outsider.open(forged)
            name, *headers = (await stream.ask()).split()
            assert name == "gateway-0"
            assert not set(headers) & {header for header, _ in forged}
            await stream.end()
        async with Caller(mesh.mesh_address) as insider:
            stream = await insider.open(forged)
            assert "x-voicemesh-fence" in await stream.ask()
            await stream.end()


async def test_scaling_up_and_down_breaks_no_live_stream(tmp_path: Path) -> None:
    async with (
        echo_mesh(tmp_path, SMALL.replace("replicas: 2", "replicas: 1")) as mesh,
        Caller(mesh.mesh_address) as caller,
        opening(caller) as opens,
    ):
        held = await caller.open_many(5)
        assert await mesh.scale("orchestrator", 3) == [f"orchestrator-{n}" for n in range(3)]
        held += await caller.open_many(15)
        assert {stream.replica for stream in held} == {f"orchestrator-{n}" for n in range(3)}

        assert await mesh.scale("orchestrator", 1) == ["orchestrator-0"]
        fresh = await caller.open_many(10)
        assert {stream.replica for stream in fresh} == {"orchestrator-0"}
        for stream in held:  # also those on replicas that are on their way out
            before = stream.replica
            await stream.ask("still there?")
            assert stream.replica == before

        for stream in held:
            await stream.end()
        await until(mesh, lambda status: len(status.of("orchestrator")) == 1)
        await opens.more(5)
        assert opens.failed == []
        for stream in fresh:
            await stream.end()


async def test_a_removed_replica_is_ended_when_its_drain_is_over(tmp_path: Path) -> None:
    async with echo_mesh(tmp_path, drain_seconds=0.2) as mesh, Caller(mesh.mesh_address) as caller:
        held = {stream.replica: stream for stream in await caller.open_many(20)}
        pid = mesh.process("orchestrator-1").pid
        await mesh.scale("orchestrator", 1, wait=True)
        assert not alive(pid)
        await held["orchestrator-1"].code()
        await held["orchestrator-0"].ask("and you?")
        await held["orchestrator-0"].end()


async def test_a_killed_replica_comes_back_and_no_open_fails(tmp_path: Path) -> None:
    async with (
        echo_mesh(tmp_path) as mesh,
        Caller(mesh.mesh_address) as caller,
        opening(caller) as opens,
    ):
        await opens.more(10)
        held = {stream.replica: stream for stream in await caller.open_many(20)}
        old = mesh.process("orchestrator-0")
        old.kill()
        await held["orchestrator-0"].code()  # a live stream cannot be moved: it ends, at once
        await held["orchestrator-1"].ask("and you?")

        one = await restarted(mesh, "orchestrator-0")
        assert one.problem == "ended by signal 9"
        assert one.pid != old.pid
        opens.replicas.clear()
        await opens.more(30)
        assert "orchestrator-0" in opens.replicas
        assert opens.failed == []
        await held["orchestrator-1"].end()


async def test_a_hung_replica_loses_its_streams_and_gets_no_new_ones(tmp_path: Path) -> None:
    async with (
        echo_mesh(tmp_path) as mesh,
        Caller(mesh.mesh_address) as caller,
    ):
        held = {stream.replica: stream for stream in await caller.open_many(20)}
        mesh.process("orchestrator-0").signal(signal.SIGSTOP)
        await held["orchestrator-0"].code()  # by keepalive: nothing else would end it
        async with opening(caller) as opens:
            await opens.more(20)
        assert opens.failed == []
        assert set(opens.replicas) == {"orchestrator-1"}
        await held["orchestrator-1"].end()


async def test_restarting_a_replica_refuses_nobody(tmp_path: Path) -> None:
    text = SMALL.replace("replicas: 2", "replicas: 1")
    async with (
        echo_mesh(tmp_path, text) as mesh,
        Caller(mesh.mesh_address) as caller,
        opening(caller) as opens,
    ):
        held = await caller.open()
        assert await mesh.restart("orchestrator-0") == "orchestrator-1"
        fresh = await caller.open()
        assert (held.replica, fresh.replica) == ("orchestrator-0", "orchestrator-1")
        await held.ask("still there?")
        await held.end()
        await until(mesh, lambda status: len(status.of("orchestrator")) == 1)
        assert opens.failed == []
        await fresh.end()


async def test_an_envoy_comes_back_on_its_own_address(tmp_path: Path) -> None:
    async with echo_mesh(tmp_path) as mesh:
        address = mesh.mesh_address
        mesh.process("mesh-0").kill()
        await restarted(mesh, "mesh-0")
        assert await mesh.restart("edge-0") == "edge-0"
        await until(mesh, lambda status: {one.health for one in status.processes} == {"healthy"})
        async with Caller(address) as caller:
            await (await caller.open()).end()


async def test_an_occupied_port_names_itself_its_holder_and_the_setting(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        text = SMALL.replace("    services:", f"    edge: {{port: {port}}}\n    services:")
        with pytest.raises(Misconfigured) as caught:
            async with echo_mesh(tmp_path, text):
                raise AssertionError("it started")
    assert f"port {port} is in use by " in str(caught.value)
    assert "change regions.local.edge.port in trial.yaml" in str(caught.value)
    assert not Home(tmp_path).taken


async def test_a_service_that_cannot_start_says_what_its_log_says(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match=r"exit code 1.*\n.*the echo was told to crash"):
        async with echo_mesh(tmp_path, environment={"ECHO_CRASH": "1"}):
            raise AssertionError("it started")


async def test_a_replica_that_cannot_be_added_leaves_the_others_alone(tmp_path: Path) -> None:
    crash: dict[str, str] = {}
    async with echo_mesh(tmp_path, environment=crash) as mesh:
        crash["ECHO_CRASH"] = "1"
        with pytest.raises(Misconfigured, match="orchestrator-2 ended with exit code 1"):
            await mesh.scale("orchestrator", 3)
        names = [one.name for one in (await mesh.status()).of("orchestrator")]
        assert names == ["orchestrator-0", "orchestrator-1"]


async def test_a_command_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="cannot run no-such-program"):
        async with echo_mesh(tmp_path, commands={"gateway": ["no-such-program"]}):
            raise AssertionError("it started")


async def test_two_meshes_do_not_share_a_home(tmp_path: Path) -> None:
    async with echo_mesh(tmp_path):
        with pytest.raises(Misconfigured, match="already runs in"):
            async with echo_mesh(tmp_path):
                raise AssertionError("it started")


async def test_unknown_names_and_counts_are_refused(tmp_path: Path) -> None:
    async with echo_mesh(tmp_path) as mesh:
        with pytest.raises(NotFound, match="there are edge-0, edge-1, mesh-0, mesh-1, gateway-0"):
            mesh.process("gateway-7")
        with pytest.raises(NotFound, match="has no stt"):
            await mesh.scale("stt", 1)
        with pytest.raises(InvalidInput, match="0 to 64"):
            await mesh.scale("gateway", 65)


async def test_a_failing_block_ends_everything_at_once(tmp_path: Path) -> None:
    pids: list[int] = []

    async def fail() -> None:
        mesh = echo_mesh(tmp_path, drain_seconds=60)
        async with mesh, Caller(mesh.mesh_address) as caller:
            await caller.open()
            pids.extend(one.pid or 0 for one in (await mesh.status()).processes)
            raise RuntimeError("the test failed")

    with pytest.raises(RuntimeError, match="the test failed"):
        await fail()
    assert not any(alive(pid) for pid in pids)
