"""Topology and live replicas in, linted configuration out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mesh.envoy.access import admit, public_secret
from mesh.envoy.answers import (
    CLUSTER as ANSWERS,
    answer_cluster,
    answer_endpoints,
    answer_route,
)
from mesh.envoy.bootstrap import bootstrap
from mesh.envoy.clusters import cluster, fence, fixed
from mesh.envoy.control import (
    CLUSTER as CONTROL,
    control_cluster,
    control_endpoints,
    control_route,
)
from mesh.envoy.endpoints import endpoints
from mesh.envoy.lint import check
from mesh.envoy.model import Endpoint, Json, Layout, Rendered
from mesh.envoy.pools import Around, Pool
from mesh.envoy.routes import front_routes, routes
from mesh.envoy.sockets import (
    CLUSTER as SOCKETS,
    socket_cluster,
    socket_endpoints,
    socket_routes,
)
from mesh.envoy.trust import encrypt, secrets
from mesh.topology.region import Front

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from mesh.services import DoorName, Envoy
    from mesh.topology import Region, Topology


def render(  # noqa: PLR0913 - each is one independent choice, by keyword
    topology: Topology,
    region: Region,
    envoy: Envoy,
    layout: Layout,
    *,
    port: int = 0,
    front_port: int = 0,
    live: Iterable[Endpoint] = (),
    fronts: Mapping[str, Sequence[str]] | None = None,
) -> Rendered:
    """Return the configuration of one Envoy; raise Misconfigured where a rule is broken.

    ``port`` and ``front_port`` replace the topology's when that says 0, any free port; ``fronts``
    tells the other regions' front doors that it does not.
    """
    around, door = Around(topology, region, tuple(live), fronts), envoy.door
    found, by_cluster = _services(around, door, layout)
    ways = routes(around, envoy)
    _add_calls(around, door, layout, (found, ways, by_cluster))
    has_front = door == "mesh" and topology.fronted
    begun = bootstrap(
        region,
        envoy,
        port or region.door(door).port_of(envoy.number),
        layout,
        front_port=(front_port or _front_port(region, envoy)) if has_front else None,
    )
    if topology.trust.mtls:
        encrypt(topology, region, envoy, layout, (begun, {"resources": found}))
    kept = secrets(layout) if topology.trust.mtls else {}
    if door == "edge":
        admit(topology, region, layout, (begun, ways))
        kept |= public_secret(layout)
    rendered = Rendered(
        door=door,
        layout=layout,
        bootstrap=begun,
        clusters={"resources": found},
        secrets=kept,
        routes=ways,
        endpoints=by_cluster,
        front_routes=front_routes(around) if has_front else None,
        fences=_fences(around, door),
    )
    check(rendered)
    return rendered


def _fences(around: Around, door: DoorName) -> dict[str, frozenset[str]]:
    """Return what a cluster of a zone may consist of, from the zones alone."""
    regions = around.topology.regions
    return {
        pool.name: frozenset(
            {str(pool.service)}
            | {Pool(pool.service, one.name).name for one in regions if pool.zone in one.zones}
        )
        for pool in around.pools(door)
        if pool.zone
    }


def _front_port(region: Region, envoy: Envoy) -> int:
    return (region.front or Front()).port_of(envoy.number)


def _services(around: Around, door: DoorName, layout: Layout) -> tuple[list[Json], dict[str, Json]]:
    """Return the clusters of an Envoy's pools, and their endpoint documents."""
    found, by_cluster = [], {}
    tuning = around.topology.tuning
    for pool in around.pools(door):
        if pool.zone:
            found.append(fence(pool, tuning))
            continue
        members = around.members(pool)
        made = cluster(pool.service, tuning, layout, pool.name, away_ms=pool.round_trip_ms)
        if pool.region or any(one.named for one in members):  # EDS takes no names
            found.append(fixed(made, members))
        else:
            found.append(made)
            by_cluster[pool.name] = endpoints(pool.name, members)
    return found, by_cluster


def _add_calls(
    around: Around, door: DoorName, layout: Layout, to: tuple[list[Json], Json, dict[str, Json]]
) -> None:
    """Add call control, and at the edge what carriers need."""
    (found, ways, by_cluster), region = to, around.region
    tuning = around.topology.tuning
    gateways = [one for one in around.live if one.service == "gateway"]
    table = ways["resources"][0]["virtual_hosts"][0]["routes"]
    if "gateway" in region.services:
        found.append(control_cluster(tuning, layout))
        table.insert(-1, control_route(door))
        by_cluster[CONTROL] = control_endpoints(gateways)
    if "gateway" in region.behind(door):
        found += [socket_cluster(tuning, layout), answer_cluster(tuning, layout)]
        table[-1:-1] = [answer_route(), *socket_routes()]
        by_cluster[SOCKETS] = socket_endpoints(gateways)
        by_cluster[ANSWERS] = answer_endpoints(gateways)
