"""A whole mesh on this machine, as a context manager.

``async with LocalMesh(load(LOCAL), models="scripted") as mesh:`` starts the Envoys and every
service, waits until calls can be placed at ``mesh.edge_address``, starts again what crashes, and
leaves no process behind, however the block or this process ends.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from signal import SIGCONT, SIGSTOP
from typing import TYPE_CHECKING, Any, Self

from mesh.envoy.files import replace
from mesh.local.control import Control, RegionControl
from mesh.local.doors import Doors
from mesh.local.fleet import Fleet
from mesh.local.home import Home
from mesh.local.keeper import State
from mesh.local.parts import Circumstances, ReplicaPart
from mesh.local.renewal import Renewal
from mesh.local.status import MeshStatus, observe
from mesh.local.templates import Templates
from mesh.services import START_ORDER, ServiceName
from mesh.topology import engines, one_region, region_named
from mesh.topology.told import describe
from mesh.trust import Issuing
from voicemesh.access import book_text, forget, know
from voicemesh.errors import InvalidInput, NotFound

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path
    from signal import Signals
    from types import TracebackType

    from mesh.local.process import Process
    from mesh.local.renewal import Replaced
    from mesh.topology import Topology
    from voicemesh.access import Access

MOST_REPLICAS = 64
_REAP_SECONDS = 10.0
"""Beyond the drain: a process that is still there then is killed."""


@dataclass(frozen=True)
class Beside:
    """Regions that run on this machine, too, by name: what the topology leaves to free ports."""

    fronts: Mapping[str, Sequence[str]] = field(default_factory=dict)
    edges: Mapping[str, Sequence[str]] = field(default_factory=dict)


class LocalMesh:
    """One region on this machine."""

    def __init__(  # noqa: PLR0913 - each is one independent choice, by keyword
        self,
        topology: Topology,
        *,
        region: str = "",
        models: str = "embedded",
        home: Path | None = None,
        certificates: Path | None = None,
        commands: Mapping[ServiceName, Sequence[str]] | None = None,
        environment: Mapping[str, str] | None = None,
        drain_seconds: float | None = None,
        start_seconds: float = 180.0,
        progress: Callable[[str, State], None] | None = None,
    ) -> None:
        """Describe a mesh; nothing runs until the block is entered.

        ``region`` is which, where the topology has several; ``models`` is a model set of the
        topology; ``certificates`` is the folder that regions share whose authority is made here;
        ``commands`` replaces ``python -m <service>`` per service; ``environment`` wins over
        everything else; ``progress`` is called with a process's name and its new state. Each
        process has ``start_seconds`` to serve.
        """
        self.topology = topology
        self.region = region_named(topology, region) if region else one_region(topology)
        self.beside = Beside()
        self.problem = ""
        """Why the topology's file, as it is now, is not what runs."""
        self.home = Home(home)
        self.stop_requested = asyncio.Event()
        """Set when somebody asked over the control socket that the mesh stop."""
        self._models = models
        self._drain_seconds = topology.drain_seconds if drain_seconds is None else drain_seconds
        self._commands = {} if commands is None else commands
        self._environment = {} if environment is None else environment
        self._progress = progress
        self.started = False
        """Whether everything served once."""
        self._started_at = ""
        self._doors: Doors | None = None
        self._templates = Templates()
        self.certificates = Issuing(
            topology, certificates or self.home.certificates, self.region.name
        )
        """Who this mesh's processes are; ``issue`` gives each a fresh certificate."""
        self._around = AsyncExitStack()
        self._fleet = Fleet(
            self._replica,
            self._changed,
            self._templates.start,
            start_seconds=start_seconds,
            stop_seconds=self._drain_seconds + _REAP_SECONDS,
        )
        self.renewal = Renewal(self._fleet, self._drain_seconds)
        """Replaces processes under live calls."""
        self._control = Control(self.home.control, RegionControl(self).operations)
        for service, settings in self.region.services.items():
            if settings.engines:
                engines(topology, self.region, service, models)  # refuse before anything starts

    @property
    def edge_address(self) -> str:
        """Where callers come in, ``host:port``: the first of ``edge_addresses``."""
        return self.edge_addresses[0]

    @property
    def edge_addresses(self) -> list[str]:
        """Where callers come in; each serves as well as the other."""
        return self.doors.addresses("edge")

    @property
    def edge_target(self) -> str:
        """Target of the whole edge, for gRPC: a client of it survives the death of one Envoy."""
        return self.doors.target("edge")

    @property
    def mesh_address(self) -> str:
        """Where our services reach each other: the first of ``mesh_addresses``."""
        return self.mesh_addresses[0]

    @property
    def mesh_addresses(self) -> list[str]:
        """Where our services reach each other; each serves as well as the other."""
        return self.doors.addresses("mesh")

    @property
    def mesh_target(self) -> str:
        """Target that our services are given, for gRPC."""
        return self.doors.target("mesh")

    def reserve(self) -> None:
        """Take its folder and its ports, before the block is entered."""
        self.home.take()
        self._started_at = datetime.now(UTC).isoformat(timespec="milliseconds")
        try:
            self.certificates.issue()
            self._doors = Doors(self.topology, self.region, self.home, self.certificates)
            self._write_book()
        except BaseException:
            self.home.leave()
            raise

    async def __aenter__(self) -> Self:
        if self._doors is None:
            self.reserve()
        try:
            self.doors.configure(self.beside.fronts)
            self._tell_gateways()
            await self._start()
        except BaseException:
            await self._end(now=True)
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # A failing block wants its machine back at once; there is nobody to drain for.
        await self._end(now=kind is not None)

    @property
    def doors(self) -> Doors:
        """Its Envoys' ports and files; the block must have been entered."""
        if self._doors is None:
            raise AssertionError("the mesh was not started")
        return self._doors

    async def change(self, topology: Topology, beside: Beside | None = None) -> None:
        """Follow another topology while calls run, and no live call is touched.

        Who may serve whom is live at once; then replicas come and go. What it says of the Envoys'
        own listeners, and of processes that run already, counts from their next start.
        Raises Misconfigured, and changes nothing, where it cannot be.
        """
        fresh = region_named(topology, self.region.name)
        beside = beside or self.beside
        same = self.doors.change(topology, fresh, beside.fronts)
        self.beside = beside
        before, self.topology, self.region = self.region, topology, fresh
        self._tell_gateways()
        needs = f"{self.region.name}'s Envoys must be restarted for what changed of their listeners"
        self.problem = "" if same else needs
        for service, settings in fresh.services.items():
            old = before.services.get(service)
            if (old.started if old else 0) != settings.started:
                await self.scale(service, settings.started)
        for service in before.services.keys() - fresh.services.keys():
            for keeper in self._fleet.staying(service):
                await self._fleet.retire(keeper)

    def _tell_gateways(self) -> None:
        world = describe(self.topology, self.region, self.beside.edges)
        replace(self.home.world, world.model_dump_json(indent=1) + "\n")

    def process(self, name: str) -> Process:
        """Return a running process by name; raise NotFound where there is none."""
        process = self._fleet.get(name).process
        if process is None or not process.running:
            raise NotFound(f"{name} does not run now", process=name)
        return process

    def signal(self, name: str, number: Signals) -> int:
        """Send a signal to a process, to hurt it on purpose; return its process id."""
        process = self.process(name)
        process.signal(number)
        return process.pid

    def cut(self, name: str) -> None:
        """Have a process's connections swallow everything until ``mend``; the process lives on.

        An Envoy has no relay in front of it: it is frozen, which to all others is the same.
        """
        self.relay(name).signal(SIGSTOP)

    def mend(self, name: str) -> None:
        """Undo ``cut``: what was on its way arrives now."""
        self.relay(name).signal(SIGCONT)

    def reset(self, name: str) -> None:
        """Break off a process's connections, all at once."""
        self.relay(name).kill()

    def relay(self, name: str) -> Process:
        """Return the process that stands for a process's connections; an Envoy is its own."""
        part, process = self._fleet.get(name).part, self.process(name)
        if not isinstance(part, ReplicaPart):
            return process
        if part.wire is None:
            raise InvalidInput("chaos", f"{name} has no relay: its topology must say chaos: true")
        return part.wire.process

    async def status(self) -> MeshStatus:
        """Look at every process."""
        return MeshStatus(
            topology=str(self.topology.path),
            region=self.region.name,
            models=self._models,
            problem=self.problem,
            home=str(self.home.folder),
            supervisor_pid=os.getpid(),
            started=self._started_at,
            edge_address=self.edge_address,
            mesh_address=self.mesh_address,
            edge_target=self.edge_target,
            mesh_target=self.mesh_target,
            edge_addresses=tuple(self.edge_addresses),
            mesh_addresses=tuple(self.mesh_addresses),
            processes=await observe(self._fleet, self.doors.admins, self.region.name),
        )

    async def envoy_stats(self, name: str) -> dict[str, int]:
        """Return every counter and gauge of one Envoy, or the sums over those of a door."""
        chosen = [one for one in self.doors.envoys if name in (one.name, one.door)]
        if not chosen:
            known = ", ".join(one.name for one in self.doors.envoys)
            raise NotFound(f"there is no Envoy {name!r}; there are {known}", process=name)
        stats = await asyncio.gather(*(self.doors.admins[one].stats() for one in chosen))
        total: Counter[str] = Counter()
        for one_of_them in stats:
            total.update(one_of_them)
        return dict(total)

    async def busy(self, service: ServiceName) -> dict[str, int]:
        """Return how many streams the Envoys have with each replica, whatever it is doing."""
        views = await asyncio.gather(*(admin.busy() for admin in self.doors.admins.values()))
        places = {keeper.part.address: keeper.part.name for keeper in self._fleet.staying(service)}
        found: Counter[str] = Counter()
        for address, count in (one for view in views for one in view.get(service, {}).items()):
            found[places.get(address, "")] += count
        return dict(found)

    async def scale(
        self, service: ServiceName, replicas: int, *, wait: bool = False
    ) -> Sequence[str]:
        """Change how many replicas a service has, while calls run; return their names.

        New ones serve when this returns. Removed ones get no new streams when this returns; their
        live streams go on until they end or the drain is over (``wait`` waits for that too).
        """
        if service not in self.region.services:
            raise NotFound(f"the region {self.region.name} has no {service}", service=service)
        if not 0 <= replicas <= MOST_REPLICAS:
            raise InvalidInput("replicas", f"must be 0 to {MOST_REPLICAS}, not {replicas}")
        async with self.renewal.one_change:
            have = self._fleet.staying(service)
            await self._fleet.grow(service, replicas - len(have))
            retired = [await self._fleet.retire(keeper) for keeper in have[replicas:]]
        if wait:
            await asyncio.gather(*retired)
        return [keeper.part.name for keeper in self._fleet.staying(service)]

    async def restart(self, name: str, *, wait: bool = False) -> str:
        """Replace a process by a fresh one; return the fresh one's name.

        A replica's replacement serves before the old one drains, so no call is refused. An Envoy
        is emptied first, if there is another: what it still has after the drain's time ends.
        """
        await self._templates.renew()
        return (await self.renewal.restart(name, wait=wait)).replacement

    async def deploy(
        self, services: Sequence[str] = (), progress: Callable[[Replaced], None] | None = None
    ) -> Sequence[Replaced]:
        """Replace every process of the services and doors named (all, by default) under live calls.

        One after another: adapters, orchestrators, gateways, mesh Envoys, edge Envoys.
        """
        await self._templates.renew()
        return await self.renewal.deploy(services, progress or (lambda _: None))

    def renew_certificates(self) -> None:
        """Give every process a fresh certificate; connections that stand are not touched."""
        self.certificates.issue()
        self.doors.show()

    async def abort(self) -> None:
        """End everything now, live calls included."""
        await self._fleet.abort()

    async def _start(self) -> None:
        await self._control.open()
        await self._around.enter_async_context(self.certificates.renewing(self.renew_certificates))
        for envoy in self.doors.envoys:
            self._fleet.keep(self.doors.part(envoy))
        for service in START_ORDER:
            if service in self.region.services:
                for _ in range(self.region.services[service].started):
                    self._fleet.add(service)
        await self._fleet.serving()
        self.started = True

    async def _end(self, *, now: bool) -> None:
        try:
            if not now:
                await self._fleet.stop()
        finally:
            await self._fleet.abort()
            await self._templates.renew()
            forget(self.home.access)
            await self._around.aclose()
            await self._control.close()
            if self._doors:
                await self._doors.close()
            self.home.leave()

    @property
    def ways(self) -> list[Access]:
        """How a person on this machine gets in: as a caller, and at its mesh Envoys."""
        inside = self.certificates.operating(self.region.name, self.mesh_addresses)
        return [self.certificates.calling(self.edge_addresses), inside]

    def _write_book(self) -> None:
        """Tell clients on this machine, and in this process, how to get in."""
        replace(self.home.access, book_text(self.ways), mode=0o600)
        know(self.home.access)

    def _replica(self, service: ServiceName, name: str) -> ReplicaPart:
        around = Circumstances(
            topology=self.topology,
            region=self.region,
            world=self.home.world,
            models=self._models,
            mesh_target=self.mesh_target,
            edge_target=self.edge_target,
            drain_seconds=self._drain_seconds,
            certificates=self.certificates,
            commands=self._commands,
            environment=self._environment,
        )
        return ReplicaPart(service, name, around, self.doors.rotation, self.home.log(name))

    def _changed(self, name: str, state: State) -> None:
        self.home.write_state(self._state())
        if self._progress:
            self._progress(name, state)

    def _state(self) -> dict[str, Any]:
        return {
            "supervisor_pid": os.getpid(),
            "started": self._started_at,
            "topology": str(self.topology.path),
            "models": self._models,
            "edge_address": self.edge_address,
            "mesh_address": self.mesh_address,
            "edge_target": self.edge_target,
            "mesh_target": self.mesh_target,
            "edge_addresses": self.edge_addresses,
            "mesh_addresses": self.mesh_addresses,
            "processes": [
                {
                    "name": keeper.part.name,
                    "state": keeper.state.value,
                    "address": keeper.part.address,
                    "pid": keeper.process.pid if keeper.process else None,
                    "log": str(keeper.part.log),
                }
                for keeper in self._fleet
                if keeper.state is not State.STOPPED
            ],
        }
