"""Endpoints (EDS): the live replicas of one cluster, by region and priority."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from mesh.envoy.model import Endpoint, Json, typed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

OVERPROVISIONING = 200
"""Percent. At Envoy's 140, one of two replicas failing sends a quarter of the calls abroad."""


def endpoints(
    cluster: str, live: Iterable[Endpoint], more: Callable[[Endpoint], Json] = lambda _: {}
) -> Json:
    """Return the EDS document of one cluster; ``more`` is what else is said of each replica."""
    kind = "envoy.config.endpoint.v3.ClusterLoadAssignment"
    return {"resources": [typed(kind, **assignment(cluster, live, more))]}


def assignment(
    cluster: str, live: Iterable[Endpoint], more: Callable[[Endpoint], Json] = lambda _: {}
) -> Json:
    """Return the members of one cluster, by region and priority."""
    ordered = sorted(live, key=lambda one: (one.priority, one.region, one.replica))
    groups = groupby(ordered, key=lambda one: (one.priority, one.region))
    return {
        "cluster_name": cluster,
        "policy": {"overprovisioning_factor": OVERPROVISIONING},
        "endpoints": [
            {
                "locality": {"region": region},
                "priority": priority,
                "load_balancing_weight": 100,
                "lb_endpoints": [_endpoint(one) | more(one) for one in members],
            }
            for (priority, region), members in groups
        ],
    }


def _endpoint(one: Endpoint) -> Json:
    return {
        "endpoint": {
            "address": {"socket_address": {"address": one.address, "port_value": one.port}},
            "hostname": f"{one.region}/{one.replica}",  # told in answers: who served
        }
    }
