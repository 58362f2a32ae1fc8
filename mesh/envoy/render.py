"""Topology and live replicas in, linted configuration out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mesh.envoy.answers import (
    CLUSTER as ANSWERS,
    answer_cluster,
    answer_endpoints,
    answer_route,
)
from mesh.envoy.bootstrap import bootstrap
from mesh.envoy.clusters import clusters
from mesh.envoy.control import (
    CLUSTER as CONTROL,
    control_cluster,
    control_endpoints,
    control_route,
)
from mesh.envoy.endpoints import endpoints
from mesh.envoy.lint import check
from mesh.envoy.model import Endpoint, Json, Layout, Rendered
from mesh.envoy.routes import routes
from mesh.envoy.sockets import (
    CLUSTER as SOCKETS,
    socket_cluster,
    socket_endpoints,
    socket_routes,
)
from mesh.envoy.trust import encrypt, secrets

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mesh.services import Envoy
    from mesh.topology import Region, Topology


def render(
    topology: Topology,
    region: Region,
    envoy: Envoy,
    layout: Layout,
    *,
    port: int = 0,
    live: Iterable[Endpoint] = (),
) -> Rendered:
    """Return the configuration of one Envoy; raise Misconfigured where a rule is broken.

    ``port`` replaces the topology's when that says 0, any free port.
    """
    known, door = tuple(live), envoy.door
    found = clusters(region, door, topology.tuning, layout)
    ways = routes(region, door)
    by_cluster: dict[str, Json] = {
        name: endpoints(name, (one for one in known if one.service == name))
        for name in region.behind(door)
    }
    if "gateway" in region.services:
        found["resources"].append(control_cluster(topology.tuning, layout))
        ways["resources"][0]["virtual_hosts"][0]["routes"].insert(-1, control_route(door))
        by_cluster[CONTROL] = control_endpoints(one for one in known if one.service == "gateway")
    if "gateway" in region.behind(door):
        tuning, gateways = topology.tuning, [one for one in known if one.service == "gateway"]
        found["resources"] += [socket_cluster(tuning, layout), answer_cluster(tuning, layout)]
        led = [answer_route(), *socket_routes()]
        ways["resources"][0]["virtual_hosts"][0]["routes"][-1:-1] = led
        by_cluster[SOCKETS] = socket_endpoints(gateways)
        by_cluster[ANSWERS] = answer_endpoints(gateways)
    begun = bootstrap(region, envoy, port or region.door(door).port_of(envoy.number), layout)
    if topology.trust.mtls:
        encrypt(topology, region, envoy, layout, (begun, found))
    rendered = Rendered(
        door=door,
        layout=layout,
        bootstrap=begun,
        clusters=found,
        secrets=secrets(layout) if topology.trust.mtls else {},
        routes=ways,
        endpoints=by_cluster,
    )
    check(rendered)
    return rendered
