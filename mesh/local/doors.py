"""The Envoys of the region: their ports, their files, their admin sockets."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from mesh.envoy import files, render, secrets, validate, write
from mesh.local.admin import Admin
from mesh.local.parts import EnvoyPart
from mesh.local.ports import Port
from mesh.local.rotation import Rotation

if TYPE_CHECKING:
    from mesh.envoy import Layout
    from mesh.local.home import Home
    from mesh.services import DoorName, Envoy
    from mesh.topology import Region, Topology
    from mesh.trust import Issuing


class Doors:
    """Configured Envoys; their processes are kept elsewhere."""

    def __init__(
        self, topology: Topology, region: Region, home: Home, certificates: Issuing
    ) -> None:
        """Reserve ports and write files; raise Misconfigured where either is impossible."""
        self._region = region
        self._home = home
        self._certificates = certificates
        self.envoys = region.envoys()
        self.admins = {envoy: Admin(self._layout(envoy).admin) for envoy in self.envoys}
        self._ports: dict[Envoy, Port] = {}
        try:
            for envoy in self.envoys:
                self._configure(topology, envoy)
        except BaseException:
            self._give_back()
            raise
        layouts = {envoy: self._layout(envoy) for envoy in self.envoys}
        self.show()
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
            self._layout(envoy),
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

    def show(self) -> None:
        """Have the Envoys show the certificates that were made for them last."""
        if self._certificates.made_here:
            for envoy in self.envoys:
                for path, document in secrets(self._layout(envoy), inline=True).items():
                    files.replace(path, files.text(document), mode=0o600)

    def _layout(self, envoy: Envoy) -> Layout:
        certificates = self._certificates.folder(self._region.name, envoy.door)
        return replace(self._home.layout(envoy.name), certificates=certificates)

    def _configure(self, topology: Topology, envoy: Envoy) -> None:
        region, door = self._region, self._region.door(envoy.door)
        setting = f"regions.{region.name}.{envoy.door}.port in {topology.path}"
        port = Port(region.host, door.port_of(envoy.number), setting=setting)
        self._ports[envoy] = port
        layout = self._layout(envoy)
        rendered = render(topology, region, envoy, layout, port=port.number)
        if not envoy.number:  # the others are the same
            validate(rendered)
        write(rendered)
