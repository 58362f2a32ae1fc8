"""The two Envoys of the region: their ports, their files, their admin sockets."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from mesh.envoy import render, validate, write
from mesh.local.admin import Admin
from mesh.local.parts import EnvoyPart
from mesh.local.ports import Port
from mesh.local.rotation import Rotation
from mesh.services import DOORS, DoorName

if TYPE_CHECKING:
    from mesh.local.home import Home
    from mesh.topology import Region, Topology


class Doors:
    """Configured Envoys; their processes are kept elsewhere."""

    def __init__(self, topology: Topology, region: Region, home: Home) -> None:
        """Reserve ports and write files; raise Misconfigured where either is impossible."""
        self._region = region
        self._home = home
        self.admins = {door: Admin(home.layout(door).admin) for door in DOORS}
        self._ports: dict[DoorName, Port] = {}
        for door in DOORS:
            self._configure(topology, door)
        self.rotation = Rotation({door: home.layout(door) for door in DOORS}, self.admins)

    def address(self, door: DoorName) -> str:
        """Where an Envoy listens."""
        return self._ports[door].address

    def part(self, door: DoorName) -> EnvoyPart:
        """Return the process of one Envoy."""
        return EnvoyPart(
            door,
            self._region.door(door),
            self._home.layout(door),
            self.address(door),
            self.admins[door],
            self._home.log(door),
        )

    async def close(self) -> None:
        """Give the ports back."""
        for port in self._ports.values():
            port.close()
        await asyncio.gather(*(admin.close() for admin in self.admins.values()))

    def _configure(self, topology: Topology, door: DoorName) -> None:
        region = self._region
        setting = f"regions.{region.name}.{door}.port in {topology.path}"
        port = Port(region.host, region.door(door).port, setting=setting)
        self._ports[door] = port
        layout = self._home.layout(door)
        rendered = render(topology, region, door, layout, port=port.number)
        validate(rendered)
        write(rendered)
