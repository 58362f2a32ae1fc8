"""Several regions on this machine, each a mesh of its own, joined by their front doors only."""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self

from mesh.envoy.files import replace
from mesh.local.control import Control
from mesh.local.home import Home
from mesh.local.status import WorldStatus
from mesh.local.supervisor import Beside, LocalMesh
from voicemesh import telemetry
from voicemesh.access import book_text
from voicemesh.errors import VoicemeshError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import TracebackType

    from mesh.local.keeper import State
    from mesh.topology import Topology

_log = telemetry.get_logger("world")


def chosen(topology: Topology, region: str = "", **settings: Any) -> LocalMesh | LocalWorld:  # noqa: ANN401
    """Return what runs a topology here: all of its regions, or the one that is named.

    A topology of one region is that region, in the run directory itself.
    """
    if region or len(topology.regions) == 1:
        return LocalMesh(topology, region=region, **settings)
    return LocalWorld(topology, **settings)


class LocalWorld:
    """Runs every region of a topology; each has a folder of its own in the run directory."""

    def __init__(
        self,
        topology: Topology,
        *,
        home: Path | None = None,
        progress: Callable[[str, State], None] | None = None,
        **settings: Any,  # noqa: ANN401 - LocalMesh's own
    ) -> None:
        """Describe a world; ``settings`` are those of each region's LocalMesh."""
        self.topology = topology
        self.home = Home(home)
        self.stop_requested = asyncio.Event()
        """Set when somebody asked over the control socket that the world stop."""
        self.started = False
        """Whether everything served once."""
        self.problem = ""
        self.meshes: dict[str, LocalMesh] = {}
        """Running regions by name."""
        self._settings = settings
        self._progress = progress
        self._started_at = datetime.now(UTC).isoformat(timespec="milliseconds")
        self._changing = asyncio.Lock()
        self._moves: set[asyncio.Task[None]] = set()
        self._control = Control(self.home.control, {"status": self._status, "stop": self._stop})

    def _book(self) -> str:
        return book_text([way for one in self.meshes.values() for way in one.ways])

    async def __aenter__(self) -> Self:
        self.home.take()
        try:
            for region in self.topology.regions:
                self._reserve(self.topology, region.name)
            await self._control.open()
            replace(self.home.access, self._book(), 0o600)
            self._write_state()
            await asyncio.gather(*map(self._enter, self.meshes.values()))
            self.started = True
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
        await self._end(now=kind is not None)

    async def change(self, topology: Topology) -> None:
        """Follow another topology while calls run.

        Returns when every region follows it; added regions start and removed ones drain meanwhile.
        Raises Misconfigured, and changes nothing, where a region cannot follow.
        """
        async with self._changing:
            names = [region.name for region in topology.regions]
            added = [name for name in names if name not in self.meshes]
            leaving = {
                name: self.meshes.pop(name) for name in list(self.meshes) if name not in names
            }
            staying = dict(self.meshes)
            try:
                for name in added:
                    self._reserve(topology, name)
                await asyncio.gather(
                    *(mesh.change(topology, self._beside()) for mesh in staying.values())
                )
            except BaseException:
                for name in added:
                    await self._give_up(name)
                self.meshes |= leaving
                raise
            self.topology = topology
            self._write_state()
            for name in added:
                self._meanwhile(self._start(name))
            for mesh in leaving.values():
                # Nobody sends it anything by now; its own calls may end.
                self._meanwhile(mesh.__aexit__(None, None, None))

    async def settled(self) -> None:
        """Return when added regions serve and removed ones are gone."""
        await asyncio.gather(*self._moves)

    async def status(self) -> WorldStatus:
        """Look at every process of every region."""
        found = await asyncio.gather(*(mesh.status() for mesh in self.meshes.values()))
        return WorldStatus(
            topology=str(self.topology.path),
            home=str(self.home.folder),
            supervisor_pid=os.getpid(),
            started=self._started_at,
            problem=self.problem,
            regions=tuple(found),
        )

    async def abort(self) -> None:
        """End everything now, live calls included."""
        await asyncio.gather(*(mesh.abort() for mesh in self.meshes.values()))

    def _write_state(self) -> None:
        self.home.write_state(
            {
                "supervisor_pid": os.getpid(),
                "topology": str(self.topology.path),
                "regions": list(self.meshes),
            }
        )

    def _reserve(self, topology: Topology, name: str) -> None:
        mesh = LocalMesh(
            topology,
            region=name,
            home=self.home.folder / name,
            certificates=self.home.certificates,
            progress=self._telling(name),
            **self._settings,
        )
        mesh.reserve()
        self.meshes[name] = mesh

    async def _enter(self, mesh: LocalMesh) -> None:
        mesh.beside = self._beside()
        await mesh.__aenter__()

    async def _start(self, name: str) -> None:
        try:
            await self._enter(self.meshes[name])
        except VoicemeshError as error:
            self.meshes.pop(name, None)
            self.problem = f"{name} did not start: {error.message}"
            _log.error("region did not start", region=name, problem=error.message)

    async def _give_up(self, name: str) -> None:
        mesh = self.meshes.pop(name, None)
        if mesh:
            await mesh.doors.close()
            mesh.home.leave()

    def _beside(self) -> Beside:
        doors = {name: mesh.doors for name, mesh in self.meshes.items()}
        return Beside(
            fronts={name: one.front_addresses for name, one in doors.items()},
            edges={name: one.addresses("edge") for name, one in doors.items()},
        )

    def _telling(self, region: str) -> Callable[[str, State], None] | None:
        told = self._progress
        return None if told is None else lambda name, state: told(f"{region}/{name}", state)

    def _meanwhile(self, work: Any) -> None:  # noqa: ANN401 - any coroutine
        task = asyncio.create_task(work)
        self._moves.add(task)
        task.add_done_callback(self._moves.discard)

    async def _end(self, *, now: bool) -> None:
        for move in list(self._moves):
            if now:
                move.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await move
        problem = RuntimeError if now else None
        entered = [mesh for mesh in self.meshes.values() if mesh.home.held]
        try:
            await asyncio.gather(*(mesh.__aexit__(problem, None, None) for mesh in entered))
        finally:
            await self._control.close()
            self.home.leave()

    async def _status(self, _: dict[str, Any]) -> object:
        return (await self.status()).model_dump()

    async def _stop(self, request: dict[str, Any]) -> object:
        if request.get("now"):
            await self.abort()
        self.stop_requested.set()
        return None
