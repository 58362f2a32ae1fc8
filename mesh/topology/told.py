"""What a region's gateways are told of the topology (``voicemesh.world``)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voicemesh.world import Owner, Place, World

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mesh.topology.model import Topology
    from mesh.topology.region import Region


def describe(topology: Topology, region: Region, edges: Mapping[str, Sequence[str]]) -> World:
    """Return it; ``edges`` are those that the topology leaves to free ports."""
    return World(
        region=region.name,
        places=tuple(
            Place(
                name=one.name,
                zones=one.zones,
                coordinates=one.coordinates,
                edges=one.edge_addresses() or tuple(edges.get(one.name, ())),
            )
            for one in topology.regions
        ),
        tenants={
            name: Owner(residency=tenant.residency, home=tenant.home or "")
            for name, tenant in topology.tenants.items()
        },
        numbers=topology.numbers,
        callers=topology.residency_of_strangers,
    )
