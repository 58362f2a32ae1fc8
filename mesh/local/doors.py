"""The Envoys of the region: their ports, their files, their admin sockets."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from mesh.envoy import public_secret, render, secrets, validate, write
from mesh.envoy.files import replace as replace_file, text
from mesh.local.admin import Admin
from mesh.local.parts import EnvoyPart
from mesh.local.ports import Port
from mesh.local.rotation import Rotation
from mesh.topology import Front

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    from mesh.envoy import Endpoint, Layout, Rendered
    from mesh.local.home import Home
    from mesh.services import DoorName, Envoy
    from mesh.topology import Region, Topology
    from mesh.trust import Issuing


class Doors:
    """Configured Envoys; their processes are kept elsewhere."""

    def __init__(
        self, topology: Topology, region: Region, home: Home, certificates: Issuing
    ) -> None:
        """Reserve ports; raise Misconfigured where one is taken."""
        self._topology = topology
        self._region = region
        self._home = home
        self._certificates = certificates
        self._fronts: Mapping[str, Sequence[str]] = {}
        self._written: dict[Path, str] = {}
        self.envoys = region.envoys()
        self.admins = {envoy: Admin(self._layout(envoy).admin) for envoy in self.envoys}
        self._ports: dict[Envoy, Port] = {}
        self._front_ports: dict[Envoy, Port] = {}
        try:
            for envoy in self.envoys:
                self._reserve(envoy)
        except BaseException:
            self._give_back()
            raise
        self.rotation = Rotation(self.admins, self.publish)

    @property
    def front_addresses(self) -> tuple[str, ...]:
        """Where other regions reach this one."""
        front = self._region.front
        if front and front.addresses:
            return front.addresses
        return tuple(port.address for port in self._front_ports.values())

    def configure(self, fronts: Mapping[str, Sequence[str]]) -> None:
        """Write every file; raise Misconfigured where Envoy would refuse one.

        ``fronts`` are the front doors of other regions that run beside this one.
        """
        self._fronts = fronts
        for envoy in self.envoys:
            rendered = self._rendered(envoy, ())
            if not envoy.number:  # the others are the same
                validate(rendered)
            write(rendered)
            self._written |= {path: text(data) for path, data in rendered.files().items()}
        self.show()

    def change(
        self, topology: Topology, region: Region, fronts: Mapping[str, Sequence[str]]
    ) -> bool:
        """Follow another topology while calls run; return False where that needs fresh Envoys.

        Raises Misconfigured, and changes nothing, where Envoy would refuse it.
        """
        before = self._topology, self._region, self._fronts
        self._topology, self._region, self._fronts = topology, region, fronts
        try:
            for envoy in self.envoys:
                if not envoy.number:
                    validate(self._rendered(envoy, self.rotation.live))
        except BaseException:
            self._topology, self._region, self._fronts = before
            raise
        self.publish(self.rotation.live)
        boot = {self._layout(envoy).bootstrap for envoy in self.envoys}
        same = all(self._written[path] == path.read_text(encoding="utf-8") for path in boot)
        return same and region.envoys() == self.envoys

    def publish(self, live: Collection[Endpoint]) -> None:
        """Replace those files that say something else now; no live stream is touched by it."""
        for envoy in self.envoys:
            rendered = self._rendered(envoy, live)
            kept = {rendered.layout.bootstrap, *rendered.secrets}
            for path, document in rendered.files().items():
                said = text(document)
                if self._written.get(path) != said and path not in kept:
                    replace_file(path, said)
                self._written[path] = said

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
        for port in (*self._ports.values(), *self._front_ports.values()):
            port.close()

    def show(self) -> None:
        """Have the Envoys show the certificates that were made for them last."""
        for envoy in self.envoys:
            layout = self._layout(envoy)
            made = secrets(layout, inline=True) if self._certificates.made_here else {}
            if envoy.door == "edge" and self._certificates.public_made_here:
                made |= public_secret(layout, inline=True)
            for path, document in made.items():
                replace_file(path, text(document), mode=0o600)

    def _layout(self, envoy: Envoy) -> Layout:
        certificates = self._certificates.folder(self._region.name, envoy.door)
        return replace(
            self._home.layout(envoy.name),
            certificates=certificates,
            shown=self._certificates.public(self._region.name),
            key_set=self._certificates.keys,
        )

    def _reserve(self, envoy: Envoy) -> None:
        region, path = self._region, self._topology.path
        setting = f"regions.{region.name}.{envoy.door}.port in {path}"
        number = region.door(envoy.door).port_of(envoy.number)
        self._ports[envoy] = Port(region.host, number, setting=setting)
        if envoy.door == "mesh" and self._topology.fronted:
            number = (region.front or Front()).port_of(envoy.number)
            setting = f"regions.{region.name}.front.port in {path}"
            self._front_ports[envoy] = Port(region.host, number, setting=setting)

    def _rendered(self, envoy: Envoy, live: Collection[Endpoint]) -> Rendered:
        front = self._front_ports.get(envoy)
        return render(
            self._topology,
            self._region,
            envoy,
            self._layout(envoy),
            port=self._ports[envoy].number,
            front_port=front.number if front else 0,
            live=live,
            fronts=self._fronts,
        )
