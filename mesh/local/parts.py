"""The two kinds of process that a mesh keeps running: an Envoy, and a replica of a service.

Both say what to run (``command``), when it serves (``serving``), how it comes into use
(``enter``), how it goes out of use at once (``leave``), when that has taken effect (``left``),
and give back what they hold (``close``).
"""

from __future__ import annotations

import asyncio
import base64
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mesh.envoy import binary
from mesh.envoy.files import replace
from mesh.envoy.model import CALM, Endpoint
from mesh.local import probe
from mesh.local.ports import Port
from mesh.local.process import Command
from mesh.local.wire import Wire
from mesh.services import SERVICES
from mesh.topology import engines

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mesh.envoy.model import Layout
    from mesh.local.admin import Admin
    from mesh.local.rotation import Rotation
    from mesh.services import Envoy, ServiceName
    from mesh.topology import Door, Region, Topology
    from mesh.trust import Issuing

_ROOT = str(Path(__file__).resolve().parents[2])
"""Our packages, found from whatever folder the mesh was started in."""
_PAUSE = 0.02
_RESUME_KEY = base64.b64encode(os.urandom(32)).decode()
"""Opens what callers hold of their calls; all gateways that are started here have it."""


def _records(world: Path) -> str:
    """Return the folder of records: the user's, or one in the run directory."""
    return os.environ.get("VOICEMESH_RECORDS") or str(world.with_name("records"))


class EnvoyPart:
    """One Envoy process."""

    def __init__(
        self, envoy: Envoy, settings: Door, layout: Layout, address: str, admin: Admin, log: Path
    ) -> None:
        self.envoy = envoy
        self.name = envoy.name
        self.address = address
        self.log = log
        self.layout = layout
        self.admin = admin
        self._settings = settings

    def command(self) -> Command:
        """Return Envoy's command line; hot restart is off, since its parent's calls would die."""
        replace(self.layout.pressure, CALM)
        arguments = [str(binary()), "-c", str(self.layout.bootstrap), "--disable-hot-restart"]
        arguments += ["--concurrency", str(self._settings.concurrency)]
        arguments += ["--log-level", self._settings.log_level]
        arguments += ["--file-flush-interval-msec", "1000"]
        return Command(arguments, os.environ, self.log)

    async def serving(self) -> None:
        while True:
            if await self.admin.ready():
                return
            await asyncio.sleep(_PAUSE)

    async def enter(self) -> None:
        """Do nothing: its address never changes."""

    def leave(self) -> None:
        """Do nothing: there is no other."""

    async def left(self) -> None:
        """Do nothing."""

    async def close(self) -> None:
        """Do nothing: its port outlives it."""


@dataclass(frozen=True)
class Circumstances:
    """What all replicas of one mesh share."""

    topology: Topology
    region: Region
    world: Path
    """File that tells gateways of regions and tenants."""
    models: str
    mesh_target: str
    """gRPC target of the mesh Envoys."""
    edge_target: str
    """gRPC target of the edge Envoys."""
    drain_seconds: float
    certificates: Issuing
    commands: Mapping[ServiceName, Sequence[str]]
    environment: Mapping[str, str]


class ReplicaPart:
    """One replica of a service.

    Every start has a new port, as if it ran on another machine: what Envoy remembers of the
    crashed one does not count against it.
    """

    def __init__(
        self, service: ServiceName, name: str, around: Circumstances, rotation: Rotation, log: Path
    ) -> None:
        self.service = service
        self.name = name
        self.address = ""
        """Where Envoy reaches it."""
        self.metrics_port = 0
        self.log = log
        self._around = around
        self._rotation = rotation
        self.wire: Wire | None = None
        """The network in front of it, where the topology says chaos."""
        self._ports: list[Port] = []
        self._endpoint: Endpoint | None = None

    def command(self) -> Command:
        self._let_go()
        region = self._around.region
        listen, metrics, sockets, answers = self._ports = [
            Port(region.host),
            Port("127.0.0.1"),
            Port(region.host),
            Port(region.host),
        ]
        if self._around.topology.chaos:
            self.wire = Wire(region.host, listen.number, self.log.with_suffix(".relay.log"))
        front = self.wire or listen
        self.address, self.metrics_port = front.address, metrics.number
        self._endpoint = Endpoint(
            self.service,
            region.host,
            front.number,
            region.name,
            self.name,
            sockets=sockets.number if self._takes_sockets else 0,
            answers=answers.number if self._answers else 0,
        )
        environment = self._environment(listen, sockets, answers)
        module = "" if self._given else SERVICES[self.service].module
        return Command(self._arguments(), environment, self.log, module)

    async def serving(self) -> None:
        around = self._around
        known = around.certificates.probing(around.region.name, self.service)
        await probe.serving(self.address, SERVICES[self.service].rpc_service, known)

    async def enter(self) -> None:
        if self._endpoint:
            self._rotation.add(self._endpoint)
            await self._rotation.settled(self._endpoint)

    def leave(self) -> None:
        if self._endpoint:
            self._rotation.remove(self._endpoint)

    async def left(self) -> None:
        if self._endpoint:
            await self._rotation.settled(self._endpoint)

    async def close(self) -> None:
        self._let_go()
        if self.wire:
            await self.wire.process.wait()

    def _let_go(self) -> None:
        if self.wire:
            self.wire.close()
        for port in self._ports:
            port.close()

    @property
    def _takes_sockets(self) -> bool:
        return self.service == "gateway" and not self._given

    @property
    def _answers(self) -> bool:
        """Whether it answers carriers, who must be told where to come back to."""
        return self._takes_sockets and bool(self._environs.get("VOICEMESH_PUBLIC_URL"))

    @property
    def _environs(self) -> Mapping[str, str]:
        """Return what is set from outside; later ones win."""
        around = self._around
        return {
            **os.environ,
            **around.topology.environment,
            **around.region.services[self.service].environment,
            **around.environment,
        }

    @property
    def _given(self) -> Sequence[str]:
        """Return the command that replaces ours, if one does."""
        given = self._around.commands.get(self.service)
        return given or self._around.region.services[self.service].command

    def _arguments(self) -> Sequence[str]:
        return self._given or (sys.executable, "-m", SERVICES[self.service].module)

    def _environment(self, listen: Port, sockets: Port, answers: Port) -> dict[str, str]:
        """Later ones win: ours over what the user's shell has, the topology's over ours."""
        around = self._around
        return {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(filter(None, (_ROOT, os.environ.get("PYTHONPATH")))),
            **{
                f"VOICEMESH_{name}": value
                for name, value in self._settings(listen, sockets, answers).items()
            },
            **around.topology.environment,
            **around.region.services[self.service].environment,
            **around.environment,
        }

    def _settings(self, listen: Port, sockets: Port, answers: Port) -> dict[str, str]:
        around, sense = self._around, SERVICES[self.service].sense
        level = around.region.services[self.service].log_level or around.topology.log_level
        common = {
            "LISTEN": listen.address,
            "METRICS_PORT": str(self.metrics_port),
            "REPLICA": self.name,
            "REGION": around.region.name,
            "MESH": around.mesh_target,
            "MODELS": around.models,
            "DRAIN_SECONDS": f"{around.drain_seconds:g}",
            "LOG_LEVEL": level,
        }
        if around.certificates.inner:
            folder = around.certificates.folder(around.region.name, self.service)
            common["IDENTITY"] = str(folder)
        else:
            common["PLAINTEXT"] = "true"
        if self.service == "sip":
            return {
                **common,
                "EDGE": around.edge_target,
                **around.certificates.telephoning(),
            }
        if self.service == "gateway":
            # A mesh keeps its key for as long as it runs: calls outlive their gateways.
            keys = os.environ.get("VOICEMESH_RESUME_KEYS") or _RESUME_KEY
            asked = {"ANSWERS": answers.address} if self._answers else {}
            told = {
                "WORLD": str(around.world),
                "RECORDS": _records(around.world),
                "SOCKETS": sockets.address,
            }
            return {**common, "RESUME_KEYS": keys, **told, **asked}
        if not sense:
            return common
        chosen = engines(around.topology, around.region, self.service, around.models)
        return {**common, "SENSE": sense, "ENGINES": ",".join(chosen)}
