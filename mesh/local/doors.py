"""The Envoys of the region: their ports, their files, their admin sockets."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from mesh.envoy import render, validate, write
from mesh.local.admin import Admin
from mesh.local.parts import EnvoyPart
from mesh.local.ports import Port
from mesh.local.rotation import Rotation

if TYPE_CHECKING:
    from mesh.local.home import Home
    from mesh.services import DoorName, Envoy
    from mesh.topology import Region, Topology


class Doors:
    """Configured Envoys; their processes are kept elsewhere."""

    def __init__(self, topology: Topology, region: Region, home: Home) -> None:
        """Reserve ports and write files; raise Misconfigured where either is impossible."""
        self._region = region
        self._home = home
        self.envoys = region.envoys()
        self.admins = {envoy: Admin(home.layout(envoy.name).admin) for envoy in self.envoys}
        self._ports: dict[Envoy, Port] = {}
        try:
            for envoy in self.envoys:
                self._configure(topology, envoy)
        except BaseException:
            self._give_back()
            raise
        layouts = {envoy: home.layout(envoy.name) for envoy in self.envoys}
        self.rotation = Rotation(layouts, self.admins)

    def addresses(self, door: DoorName) -> list[str]:
        """Where the Envoys of one kind listen."""
        return [self._ports[envoy].address for envoy in self.envoys if envoy.door == door]

    def target(self, door: DoorName) -> str:
        """Return the gRPC target that stands for all of them."""
        return "ipv4:" + ",".join(self.addresses(door))

    def part(self, envoy: Envoy) -> EnvoyPart:
        """Return the process of one Envoy."""
        return EnvoyPart(
            envoy,
            self._region.door(envoy.door),
            self._home.layout(envoy.name),
            self._ports[envoy].address,
            self.admins[envoy],
            self._home.log(envoy.name),
        )

    async def close(self) -> None:
        """Give the ports back."""
        self._give_back()
        await asyncio.gather(*(admin.close() for admin in self.admins.values()))

    def _give_back(self) -> None:
        for port in self._ports.values():
            port.close()

    def _configure(self, topology: Topology, envoy: Envoy) -> None:
        region, door = self._region, self._region.door(envoy.door)
        setting = f"regions.{region.name}.{envoy.door}.port in {topology.path}"
        port = Port(region.host, door.port_of(envoy.number), setting=setting)
        self._ports[envoy] = port
        layout = self._home.layout(envoy.name)
        rendered = render(topology, region, envoy, layout, port=port.number)
        if not envoy.number:  # the others are the same
            validate(rendered)
        write(rendered)
