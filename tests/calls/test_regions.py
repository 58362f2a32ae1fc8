"""Whole calls in three regions: answered where they came in, and never beyond their zone."""

from __future__ import annotations

import asyncio
import json
import tempfile
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mesh.local import LocalWorld
from mesh.topology import on_free_ports, parse
from tests.mesh.support import settles
from tests.mesh.test_world import sees_all
from tests.support.mesh import WORLD_FITS, WORLD_NEEDS, held
from voicemesh import audit
from voicemesh.audio import AudioFormat, Encoding
from voicemesh.audio.tonetext import encode
from voicemesh.client import AwaitReply, Call, Say, Step, perform
from voicemesh.errors import Denied, Unavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from mesh.local import LocalMesh
    from voicemesh.audit import Record

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not WORLD_FITS, reason=WORLD_NEEDS)]

WIDE = AudioFormat(Encoding.LINEAR16, 16000)
THREE = Path(__file__).parents[2] / "mesh" / "topologies" / "three-regions.yaml"
ACME, INITECH, GLOBEX = "+35315550100", "+12025550100", "+442055501000"


SLOW = "tuning: {health_interval_ms: 2000, health_timeout_ms: 1900, keepalive_ms: 1000}\n"
"""For a busy machine: nobody is taken for dead who is merely late."""


def lean() -> str:
    """Return the three regions with one process of each kind."""
    text = THREE.read_text(encoding="utf-8").replace("replicas: 2", "replicas: 1")
    text = text.replace("edge: {", "edge: {replicas: 1, ").replace(
        "mesh: {", "mesh: {replicas: 1, "
    )
    # Here callers are known by the number they dial.
    return f"{text}\naccess: {{tokens: false}}\n"


async def running_world() -> AsyncIterator[LocalWorld]:
    with tempfile.TemporaryDirectory(prefix="vm") as folder:
        home = Path(folder)
        topology = on_free_ports(parse(lean(), home / "world.yaml"))
        async with LocalWorld(
            topology, home=home / "w", models="scripted", drain_seconds=3.0
        ) as world:
            for mesh in world.meshes.values():
                await settles(partial(_stats, mesh), sees_all)
            yield world


@pytest.fixture(scope="module")
def world(runner: asyncio.Runner) -> Iterator[LocalWorld]:
    yield from held(runner, asynccontextmanager(running_world)())


async def _stats(mesh: LocalMesh) -> dict[str, int]:
    """Return an Envoy's figures; none that could hold where it is too busy to answer."""
    try:
        return await mesh.envoy_stats("mesh")
    except Unavailable:
        return {"membership_total": 1, "membership_healthy": 0}


def say(text: str) -> Say:
    return Say(text, encode(text, 16000))


async def _records(world: LocalWorld, call_id: str) -> list[Path]:
    return list(world.home.folder.glob(f"*/records/{call_id}.json"))


async def called(world: LocalWorld, region: str, callee: str) -> Record:
    """Talk to a bot in a region; return the record of it."""
    mesh = world.meshes[region]
    talk: list[Step] = [
        AwaitReply(),
        say("first of all"),
        AwaitReply(),
        say("goodbye"),
        AwaitReply(),
    ]
    async with Call.place(mesh.edge_target, bot="echo", caller_format=WIDE, callee=callee) as call:
        await perform(call, talk)
    assert call.started is not None
    found = await settles(partial(_records, world, call.started.call_id), bool)
    assert len(found) == 1
    assert "first of all" in json.dumps(json.loads(found[0].read_text(encoding="utf-8")))
    return audit.read(str(found[0]), found[0].parent)


async def test_calls_are_answered_where_they_came_in(world: LocalWorld) -> None:
    for region, callee, tenant, zone in (
        ("eu-west", ACME, "acme", "eu"),
        ("eu-central", GLOBEX, "globex", "any"),
        ("us-east", INITECH, "initech", "us"),
    ):
        record = await called(world, region, callee)
        assert (record.tenant, record.residency) == (tenant, zone)
        first = {hop.service: hop.region for hop in reversed(record.hops)}
        assert {"edge", "gateway", "orchestrator", "stt", "tts"} <= first.keys()
        # Where it began; a machine that is too busy may have moved it on since, but not beyond.
        assert (first["edge"], first["gateway"]) == (region, region)
        allowed = {one.name for one in world.topology.regions if zone in one.zones}
        assert audit.check(record, allowed).kept


@pytest.mark.parametrize(
    ("region", "callee"), [("us-east", ACME), ("eu-west", ""), ("eu-west", "+1555")]
)
async def test_calls_of_another_zone_or_of_nobody_are_refused(
    world: LocalWorld, region: str, callee: str
) -> None:
    with pytest.raises(Denied):
        await called(world, region, callee)
