"""Topology and live replicas in, linted configuration out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mesh.envoy.bootstrap import bootstrap
from mesh.envoy.clusters import clusters
from mesh.envoy.endpoints import endpoints
from mesh.envoy.lint import check
from mesh.envoy.model import Endpoint, Layout, Rendered
from mesh.envoy.routes import routes

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
    rendered = Rendered(
        door=door,
        layout=layout,
        bootstrap=bootstrap(region, envoy, port or region.door(door).port_of(envoy.number), layout),
        clusters=clusters(region, door, topology.tuning, layout),
        routes=routes(region, door),
        endpoints={
            name: endpoints(name, (one for one in known if one.service == name))
            for name in region.behind(door)
        },
    )
    check(rendered)
    return rendered
