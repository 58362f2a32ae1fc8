"""Which clusters an Envoy needs: its own region's replicas, other regions' doors, and fences.

A fence is the regions that serve one residency zone. Its cluster has two kinds of part, in order
of priority: this region's replicas, and the front doors of the other regions inside it. It has
nothing else, so no fault and no setting can send a stream beyond. A front door leads to its own
region's replicas only, so no stream goes round in circles.

The parts are clusters themselves, and fences share them: what is known of a replica's health is
found out once, and calls of every zone go by the same connections.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mesh.envoy.model import Endpoint
from mesh.services import SERVICES
from mesh.topology.nearness import round_trip_ms

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from mesh.services import DoorName, ServiceName
    from mesh.topology import Region, Topology

REVERSIBLE: frozenset[ServiceName] = frozenset({"orchestrator"})
"""Services whose callers count their attempts, and from the third on want the regions reversed."""


@dataclass(frozen=True)
class Pool:
    """One cluster, without the addresses of its members."""

    service: ServiceName
    region: str = ""
    """Whose front doors; empty for this region's own replicas, and for a fence."""
    zone: str = ""
    """Residency zone of a fence."""
    parts: tuple[Pool, ...] = ()
    """What a fence consists of, the first choice first."""
    reversed: bool = False
    round_trip_ms: float = 0.0
    """What is to be expected on the way there."""

    @property
    def name(self) -> str:
        """Name of the cluster: ``stt``, ``front.eu-west.stt``, ``stt.eu``, ``stt.eu.reversed``."""
        if self.region:
            return f"front.{self.region}.{self.service}"  # health checks have it for authority
        return ".".join(filter(None, (self.service, self.zone, "reversed" * self.reversed)))


@dataclass(frozen=True)
class Around:
    """What an Envoy's configuration follows from: the file, its region, and who lives now."""

    topology: Topology
    region: Region
    live: tuple[Endpoint, ...] = ()
    """Replicas of this region that were started here."""
    fronts: Mapping[str, Sequence[str]] | None = None
    """Front doors by region, where the topology leaves that to free ports."""

    @property
    def fenced(self) -> bool:
        """Whether a stream must say its zone; where there is but one, there is nothing to say."""
        return len(self.topology.zones) > 1

    def pools(self, door: DoorName) -> tuple[Pool, ...]:
        """Return the pools of one kind of Envoy, parts before fences."""
        own = [Pool(name) for name in self._behind(door)]
        if not self.topology.fronted:
            return tuple(own)
        fences = [
            fence
            for name in self.region.behind(door)
            for zone in self.region.zones
            for fence in self.fences(name, zone)
        ]
        fronts = [part for fence in fences for part in fence.parts if part.region]
        return (*own, *dict.fromkeys(fronts), *fences)

    def fences(self, service: ServiceName, zone: str) -> Iterable[Pool]:
        """Return the ways of a service's streams of one zone."""
        parts = tuple(
            Pool(service)
            if one is self.region
            else Pool(service, one.name, round_trip_ms=round_trip_ms(self.region, one) or 0.0)
            for one in self.topology.fence(self.region, zone)
            if one is self.region or service in one.services
        )
        yield Pool(service, zone=zone, parts=parts)
        if service in REVERSIBLE and len(parts) > 1:
            yield Pool(service, zone=zone, parts=parts[::-1], reversed=True)

    def members(self, pool: Pool) -> tuple[Endpoint, ...]:
        """Return the members of a pool that is no fence."""
        if pool.region:
            return tuple(_front(pool, address) for address in self._fronts_of(pool.region))
        return tuple(self._own(pool.service))

    def _own(self, service: ServiceName) -> Iterable[Endpoint]:
        """Return this region's replicas: those that were started here, and those of the file."""
        yield from (one for one in self.live if one.service == service)
        for address in self.region.services[service].elsewhere:
            host, _, port = address.rpartition(":")
            yield Endpoint(service, host, int(port), self.region.name, address)

    def _fronts_of(self, name: str) -> Sequence[str]:
        known = (self.fronts or {}).get(name)
        if known:
            return known
        other = self.topology.region(name)
        return other.front_addresses() if other else ()

    def _behind(self, door: DoorName) -> tuple[ServiceName, ...]:
        """Return the services whose own replicas an Envoy needs to know."""
        if door == "mesh" and self.topology.fronted:
            return tuple(name for name in SERVICES if name in self.region.services)
        return self.region.behind(door)


def _front(pool: Pool, address: str) -> Endpoint:
    host, _, port = address.rpartition(":")
    return Endpoint(pool.service, host, int(port), pool.region, f"front of {pool.region}")
