"""What a running mesh looks like, as data: for the table, for JSON, for tests."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import httpx
from pydantic import BaseModel, ConfigDict

from mesh.local import metrics
from mesh.local.engines import EngineStatus, together
from mesh.local.parts import EnvoyPart, ReplicaPart
from mesh.services import SERVICES
from voicemesh.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mesh.local.admin import Admin, Health
    from mesh.local.keeper import Keeper
    from mesh.services import DoorName, Envoy


class ProcessStatus(BaseModel):
    """One process."""

    model_config = ConfigDict(frozen=True)

    name: str
    service: str
    """A service's name, or ``envoy``."""
    region: str
    address: str
    pid: int | None
    state: str
    health: str
    """The Envoys' view: ``healthy``, or why one of them sends no streams there."""
    calls: int | None
    """Live streams; of an Envoy, those that came in through it."""
    loop_lag_p95_ms: float | None
    uptime_seconds: float
    restarts: int
    memory_mib: float
    problem: str
    """Why it ended last; empty where it never did."""
    engines: tuple[EngineStatus, ...] = ()
    """How engines and providers do, as this process sees them."""


class MeshStatus(BaseModel):
    """A whole mesh."""

    model_config = ConfigDict(frozen=True)

    topology: str
    region: str
    models: str
    home: str
    supervisor_pid: int
    started: str
    """UTC, ISO 8601."""
    edge_address: str
    """The first of ``edge_addresses``."""
    mesh_address: str
    edge_target: str
    """For gRPC: all of ``edge_addresses`` in one."""
    mesh_target: str
    edge_addresses: tuple[str, ...]
    mesh_addresses: tuple[str, ...]
    processes: tuple[ProcessStatus, ...]
    problem: str = ""
    """Why the topology's file, as it is now, is not what runs; empty where it is."""

    @property
    def engines(self) -> tuple[EngineStatus, ...]:
        """Return how engines and providers do, by all processes."""
        return together(one for process in self.processes for one in process.engines)

    def process(self, name: str) -> ProcessStatus:
        """Return one process; KeyError where there is none of that name."""
        return {one.name: one for one in self.processes}[name]

    def of(self, service: str) -> list[ProcessStatus]:
        """Return the processes of one service."""
        return [one for one in self.processes if one.service == service]


class WorldStatus(BaseModel):
    """Several regions on this machine."""

    model_config = ConfigDict(frozen=True)

    topology: str
    home: str
    supervisor_pid: int
    started: str
    """UTC, ISO 8601."""
    problem: str
    """Why the topology's file, as it is now, is not what runs; empty where it is."""
    regions: tuple[MeshStatus, ...]


async def observe(
    keepers: Iterable[Keeper], admins: Mapping[Envoy, Admin], region: str
) -> tuple[ProcessStatus, ...]:
    """Look at every process; nothing here waits longer than its own time limit."""
    views = dict(zip(admins, await asyncio.gather(*map(_view, admins.values())), strict=True))
    async with httpx.AsyncClient(trust_env=False) as client:
        found = await asyncio.gather(*(_one(keeper, views, client, region) for keeper in keepers))
    return tuple(found)


class _View:
    """What one Envoy said; empty where it did not answer."""

    def __init__(self, health: dict[str, Health] | None, calls: int | None) -> None:
        self.answered = health is not None
        self._health = health or {}
        self.calls = calls

    def of(self, service: str, address: str) -> str:
        return self._health.get(service, {}).get(address, "out of use")


async def _view(admin: Admin) -> _View:
    try:
        health, stats = await asyncio.gather(admin.health(), admin.stats())
    except Unavailable:
        return _View(None, None)
    active = [
        value
        for name, value in stats.items()
        if name in ("http.edge.downstream_rq_active", "http.mesh.downstream_rq_active")
    ]
    return _View(health, sum(active))


async def _one(
    keeper: Keeper, views: Mapping[Envoy, _View], client: httpx.AsyncClient, region: str
) -> ProcessStatus:
    part, process = keeper.part, keeper.process
    running = process is not None and process.running
    if isinstance(part, ReplicaPart):
        service: str = part.service
        health = _verdict(views, SERVICES[part.service].door, part)
        load = await metrics.read(client, part.metrics_port) if running else metrics.Load()
    elif isinstance(part, EnvoyPart):
        view = views[part.envoy]
        service, health = "envoy", "healthy" if view.answered else "unknown"
        load = metrics.Load(calls=view.calls)
    else:
        raise AssertionError(f"{part.name} is neither a replica nor an Envoy")
    return ProcessStatus(
        name=part.name,
        service=service,
        region=region,
        address=part.address,
        pid=process.pid if process and running else None,
        state=keeper.state.value,
        health=health,
        calls=load.calls,
        loop_lag_p95_ms=load.lag_p95_ms,
        uptime_seconds=round(time.monotonic() - process.started, 1) if process and running else 0.0,
        restarts=keeper.restarts,
        memory_mib=round(process.memory_mib(), 1) if process and running else 0.0,
        problem=keeper.problem,
        engines=load.engines,
    )


def _verdict(views: Mapping[Envoy, _View], door: DoorName, part: ReplicaPart) -> str:
    """Return what the Envoys in front of a replica say of it; those that answer decide."""
    found = [view for envoy, view in views.items() if envoy.door == door and view.answered]
    verdicts = [view.of(part.service, part.address) for view in found] or ["unknown"]
    return next((verdict for verdict in verdicts if verdict != "healthy"), "healthy")
