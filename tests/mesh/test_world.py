"""Three regions here: streams stay near, overflow inside their fence, and never beyond."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import grpc
import grpc.aio
import pytest

from mesh.envoy.files import replace
from mesh.local import LocalWorld
from mesh.local.following import follow
from mesh.services import SERVICES, Envoy
from mesh.topology import parse
from tests.mesh.support import Caller, echo, gone, settles
from tests.support.mesh import WORLD_FITS, WORLD_NEEDS
from voicemesh.residency import ATTEMPT_HEADER, RESIDENCY_HEADER, TENANT_HEADER

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from mesh.local import LocalMesh

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not WORLD_FITS, reason=WORLD_NEEDS)]

NORTHERN = "front.eu-north.orchestrator"
SLACK = 4.0
"""Seconds for a busy machine."""
LEAN = "edge: {replicas: 1}\n    mesh: {replicas: 1}\n"
WORLD = f"""\
name: world
regions:
  - name: eu-west
    zones: [eu, any]
    neighbours: [eu-central, us-east]
    {LEAN}\
    services: {{gateway: {{replicas: 1}}, orchestrator: {{replicas: 2}}}}
  - name: eu-central
    zones: [eu, any]
    neighbours: [eu-west, us-east]
    {LEAN}\
    services: {{gateway: {{replicas: 1}}, orchestrator: {{replicas: 1}}}}
  - name: us-east
    zones: [us, any]
    {LEAN}\
    services: {{gateway: {{replicas: 1}}, orchestrator: {{replicas: 1}}}}
tenants:
  acme: {{residency: eu}}
  initech: {{residency: us}}
tuning: {{health_interval_ms: 500, health_timeout_ms: 450, keepalive_ms: 1000}}
drain_seconds: 60
trust: {{mtls: false}}
access: {{tokens: false}}
"""
NORTH = f"""\
  - name: eu-north
    zones: [eu]
    {LEAN}\
    services: {{gateway: {{replicas: 1}}, orchestrator: {{replicas: 1}}}}
tenants:
"""


@pytest.fixture
def home() -> Iterator[Path]:
    """Return a folder whose sockets have short names."""
    with TemporaryDirectory(prefix="world-") as folder:
        yield Path(folder)


@asynccontextmanager
async def world_of(home: Path, text: str = WORLD) -> AsyncIterator[LocalWorld]:
    path = home / "world.yaml"
    path.write_text(text, encoding="utf-8")
    commands = {name: echo(name) for name in SERVICES}
    world = LocalWorld(
        parse(text, path),
        home=home / "run",
        commands=commands,
        environment={"ECHO_GONE": str(home)},
        start_seconds=60,
    )
    async with world:
        for mesh in world.meshes.values():
            await settles(partial(mesh.envoy_stats, "mesh"), sees_all)
            await settles(partial(mesh.envoy_stats, "edge"), sees_all)
        following = asyncio.create_task(follow(world, path))
        try:
            yield world
        finally:
            following.cancel()


def sees_all(stats: dict[str, int]) -> bool:
    """Whether an Envoy holds all there is for healthy, neighbours' front doors included."""
    there = {name: value for name, value in stats.items() if name.endswith("membership_total")}
    return all(stats[name.replace("_total", "_healthy")] == value for name, value in there.items())


async def answered(caller: Caller, zone: str, attempt: int = 1) -> str:
    """Open a stream and end it; return the region/replica that answered."""
    stream = await caller.open([(RESIDENCY_HEADER, zone), (ATTEMPT_HEADER, str(attempt))])
    await stream.end()
    return stream.replica


async def regions(caller: Caller, zone: str, count: int = 10) -> set[str]:
    return {(await answered(caller, zone)).partition("/")[0] for _ in range(count)}


def kill(mesh: LocalMesh, *names: str) -> None:
    for name in names:
        mesh.process(name).kill()


def end(mesh: LocalMesh, home: Path, *names: str) -> None:
    """Kill replicas, and have none of their region come up again."""
    (home / mesh.region.name).touch()
    kill(mesh, *names)


async def test_streams_stay_near_and_overflow_inside_their_fence_only(home: Path) -> None:
    async with world_of(home) as world, AsyncExitStack() as stack:
        callers = {
            name: await stack.enter_async_context(Caller(mesh.mesh_address))
            for name, mesh in world.meshes.items()
        }
        west = callers["eu-west"]
        # Near, for each zone that a region serves.
        assert await regions(west, "eu") == await regions(west, "any") == {"eu-west"}
        assert await regions(callers["us-east"], "us") == {"us-east"}
        # The third attempt goes to the neighbour first.
        assert (await answered(west, "eu", attempt=3)).startswith("eu-central/")
        # What says no zone, or one that is not served here, is refused.
        for said in ([], [(RESIDENCY_HEADER, "us")], [(RESIDENCY_HEADER, "mars")]):
            assert await west.refused(said) is grpc.StatusCode.PERMISSION_DENIED

        # One of two dead: nothing leaves the region, from the first stream on.
        kill(world.meshes["eu-west"], "orchestrator-0")
        assert await regions(west, "eu", 40) == {"eu-west"}

        # All of them dead: at once in the next region of the fence; nothing fails.
        await settles(
            world.meshes["eu-west"].status,
            lambda seen: all(one.state == "serving" for one in seen.of("orchestrator")),
        )
        end(world.meshes["eu-west"], home, "orchestrator-0", "orchestrator-1")
        assert await regions(west, "eu", 20) == await regions(west, "any", 20) == {"eu-central"}

        # The whole zone gone: eu is refused, any goes to us-east.
        end(world.meshes["eu-central"], home, "orchestrator-0")
        assert await west.refused([(RESIDENCY_HEADER, "eu")]) is grpc.StatusCode.UNAVAILABLE
        assert await regions(west, "any", 10) == {"us-east"}
        # Whom us-east was ever asked for through its front door, it was not for the zone eu.
        stats = await world.meshes["us-east"].envoy_stats("mesh")
        assert stats["http.front.downstream_rq_4xx"] == 0


async def test_the_edge_takes_the_zone_from_the_tenant_and_from_nothing_else(
    home: Path,
) -> None:
    async with (
        world_of(home) as world,
        Caller(world.meshes["eu-west"].edge_address, "gateway") as caller,
    ):
        # A caller cannot name a tenant or a zone: both are dropped, and the gateway decides.
        stream = await caller.open([(RESIDENCY_HEADER, "us"), (TENANT_HEADER, "initech")])
        said = await stream.ask("what came through?")
        await stream.end()
        assert RESIDENCY_HEADER not in said
        assert TENANT_HEADER not in said


async def test_a_region_is_added_and_removed_while_streams_run(home: Path) -> None:
    async with world_of(home) as world, AsyncExitStack() as stack:
        west = world.meshes["eu-west"]
        caller = await stack.enter_async_context(Caller(west.mesh_address))
        live = await caller.open([(RESIDENCY_HEADER, "eu")])

        since = time.monotonic()
        save(world, WORLD.replace("tenants:\n", NORTH).replace("[eu-central, us", "[eu-north, us"))
        stats = partial(west.envoy_stats, "mesh")
        clusters = west.doors.admins[Envoy("mesh")].health
        await settles(clusters, lambda seen: NORTHERN in seen)
        took = time.monotonic() - since
        await world.settled()
        await settles(stats, sees_all)
        assert (await answered(caller, "eu", attempt=3)).startswith("eu-north/")
        await live.ask("still there?")

        north = world.meshes["eu-north"]
        far = await caller.open([(RESIDENCY_HEADER, "eu"), (ATTEMPT_HEADER, "3")])
        assert far.replica.startswith("eu-north/")
        pids = [one.pid for one in (await north.status()).processes]
        save(world, WORLD)
        await settles(clusters, lambda seen: NORTHERN not in seen)
        assert (await answered(caller, "eu", attempt=3)).startswith("eu-central/")
        await far.ask("still there?")  # what it has may end first
        await far.end()
        await world.settled()
        await gone(*pids)
        await live.ask("and now?")
        await live.end()
        assert took < 1.0 + SLACK


async def test_what_the_file_says_is_followed_if_it_can_be(home: Path) -> None:
    async with world_of(home) as world, Caller(world.meshes["eu-west"].mesh_address) as caller:
        # A file that cannot be changes nothing, and it is said why.
        save(world, WORLD.replace("zones: [us, any]", "zones: [mars]"))
        await settles(world.status, lambda seen: "no region serves the zone 'us'" in seen.problem)
        assert await regions(caller, "eu", 3) == {"eu-west"}

        # One more replica, by the file alone.
        save(world, WORLD.replace("orchestrator: {replicas: 2}", "orchestrator: {replicas: 3}"))
        stats = partial(world.meshes["eu-west"].envoy_stats, "mesh")
        await settles(stats, lambda seen: seen["cluster.orchestrator.membership_healthy"] == 3)


def save(world: LocalWorld, text: str) -> None:
    replace(world.topology.path, text)
