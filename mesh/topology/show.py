"""What a topology looks like."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from mesh.topology.nearness import round_trip_ms

if TYPE_CHECKING:
    from rich.console import RenderableType

    from mesh.topology.model import Topology
    from mesh.topology.region import Region, Service

_WIDTH, _HEIGHT = 60, 15
"""Characters of the map."""


def picture(topology: Topology) -> Group:
    """Return the regions with their services, the way of each zone, and whose calls they are."""
    parts: list[RenderableType] = [_regions(topology), _fences(topology)]
    if topology.tenants or topology.callers:
        parts.append(_tenants(topology))
    placed = [region for region in topology.regions if region.coordinates]
    if len(placed) > 1:
        parts.append(Text(_map(placed)))
    return Group(*parts)


def _regions(topology: Topology) -> Tree:
    tree = Tree(Text(topology.name, style="bold"))
    for region in topology.regions:
        where = "  ".join(f"{one:g}" for one in region.coordinates or ())
        label = f"{region.name}  [{', '.join(region.zones)}]  {where}".rstrip()
        node = tree.add(Text(label))
        edge = region.edge.addresses or (f"{region.host}:{region.edge.port or 'any'}",)
        node.add(f"edge Envoy x{region.edge.replicas} at {', '.join(edge)}")
        inside = node.add(_mesh_line(topology, region))
        for name, service in region.services.items():
            inside.add(f"{name} {_where(service)}")
    return tree


def _mesh_line(topology: Topology, region: Region) -> str:
    line = f"mesh Envoy x{region.mesh.replicas} at {region.host}:{region.mesh.port or 'any'}"
    if not topology.fronted:
        return line
    return f"{line}, front doors at {', '.join(region.front_addresses()) or 'any free ports'}"


def _where(service: Service) -> str:
    return f"at {', '.join(service.elsewhere)}" if service.elsewhere else f"x{service.started}"


def _fences(topology: Topology) -> Table:
    table = Table("from", "zone", "stays in, first choice first", box=SIMPLE_HEAD, pad_edge=False)
    for region in topology.regions:
        for zone in topology.zones:
            ways = [_hop(region, one) for one in topology.fence(region, zone)]
            table.add_row(region.name, zone, " -> ".join(ways) or Text("refused", style="red"))
    return table


def _hop(region: Region, other: Region) -> str:
    away = None if other is region else round_trip_ms(region, other)
    return other.name if away is None else f"{other.name} ({away:.0f} ms)"


def _tenants(topology: Topology) -> Table:
    table = Table("callers of", "zone", "home", "numbers", box=SIMPLE_HEAD, pad_edge=False)
    for name, tenant in topology.tenants.items():
        table.add_row(name, tenant.residency, tenant.home or "", ", ".join(tenant.numbers))
    table.add_row("nobody known", topology.residency_of_strangers or "refused", "", "")
    return table


def _map(regions: list[Region]) -> str:
    """Draw the regions where they are, west to east and north to south."""
    places = [region.coordinates or (0.0, 0.0) for region in regions]
    south, north = min(one[0] for one in places), max(one[0] for one in places)
    west, east = min(one[1] for one in places), max(one[1] for one in places)
    rows = [[" "] * (_WIDTH + 40) for _ in range(_HEIGHT)]
    for region, (latitude, longitude) in zip(regions, places, strict=True):
        row = round((north - latitude) / ((north - south) or 1) * (_HEIGHT - 1))
        column = round((longitude - west) / ((east - west) or 1) * _WIDTH)
        while "".join(rows[row][column : column + len(region.name) + 3]).strip():
            row = (row + 1) % _HEIGHT  # what is there already stays readable
        rows[row][column : column + len(region.name) + 2] = f"o {region.name}"
    lines = ["".join(row).rstrip() for row in rows]
    return "\n".join(line for line in lines if line)
