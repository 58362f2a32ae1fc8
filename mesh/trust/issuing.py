"""Where the processes of this machine find their certificates, and who renews them."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

from mesh.trust.authority import LEAF_LIFE, Authority
from voicemesh.access import Access
from voicemesh.identity import OPERATOR, SUPERVISOR

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable
    from pathlib import Path

    from mesh.topology import Topology

ENVOYS = ("edge", "mesh")
_RENEW_SHARE = 0.5
"""Of a certificate's life, after which there is a new one."""


class Issuing:
    """Certificates of every process that runs here, made here unless the topology says where."""

    def __init__(self, topology: Topology, folder: Path, region: str) -> None:
        """``region`` is the one whose processes run here."""
        self._region = region
        self._topology = topology
        self._folder = folder
        self._trust = topology.trust

    @property
    def inner(self) -> bool:
        """Whether inner hops are encrypted."""
        return self._trust.mtls

    @property
    def made_here(self) -> bool:
        """Whether the certificates of inner hops are made here."""
        return self.inner and self._trust.identities is None

    def folder(self, region: str, service: str) -> Path:
        """Return the folder with the certificate of a service of a region."""
        return (self._trust.identities or self._folder) / region / service

    def probing(self, region: str, service: str) -> Access:
        """Return how the supervisor asks a replica whether it serves."""
        return self._by(SUPERVISOR, region, service, ())

    def operating(self, region: str, addresses: Iterable[str]) -> Access:
        """Return how a person on this machine uses the mesh Envoys of a region."""
        return self._by(OPERATOR, region, "mesh", addresses)

    def _by(self, who: str, region: str, service: str, addresses: Iterable[str]) -> Access:
        if not self.inner:
            return Access(addresses=tuple(addresses), plaintext=True)
        return Access(
            addresses=tuple(addresses),
            identity=str(self.folder(region, who)),
            peer=self._trust.identity(region, service).host,
        )

    def issue(self) -> None:
        """Make a fresh certificate for everybody; nothing where something else makes them."""
        if not self.made_here:
            return
        authority = Authority(self._folder / "authority")
        for region in self._topology.regions:
            if region.name != self._region:
                continue
            for service in (*region.services, *ENVOYS, SUPERVISOR, OPERATOR):
                identity = self._trust.identity(region.name, service)
                authority.issue(identity, self.folder(region.name, service))

    @asynccontextmanager
    async def renewing(self, renew: Callable[[], None]) -> AsyncIterator[None]:
        """Have ``renew`` called in good time while the block runs."""
        task = asyncio.create_task(_repeat(renew), name="renew certificates")
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def _repeat(renew: Callable[[], None]) -> None:
    while True:
        await asyncio.sleep(LEAF_LIFE.total_seconds() * _RENEW_SHARE)
        renew()
