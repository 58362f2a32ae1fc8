"""Carriers' webhooks, through the edge to the gateways' port for them.

What a carrier tells of a call that we placed goes to the gateway that placed it, by the call's tag
in the path (`transcoder`); all else to any.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from mesh.envoy.control import balancing, tagged
from mesh.envoy.endpoints import endpoints
from mesh.envoy.sockets import http_cluster, over_http

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mesh.envoy.model import Endpoint, Json, Layout
    from mesh.topology import Tuning

CLUSTER = "answers"
"""Name of the cluster; its replicas are the gateways."""
PATHS = r"/carriers/[a-z]+/(?:answer|status|onward)(?:/.*)?"
LONGEST_REQUEST = "20s"
"""Carriers wait no longer than 15 s."""


def answer_route() -> Json:
    """Return the route to the gateways' port for webhooks; upgrades go elsewhere."""
    match = {
        "safe_regex": {"regex": PATHS},
        "headers": [{"name": "upgrade", "present_match": True, "invert_match": True}],
    }
    return over_http(CLUSTER, match, LONGEST_REQUEST)


def answer_cluster(tuning: Tuning, layout: Layout) -> Json:
    """Return the cluster: every gateway that has such a port, each also a subset of its own."""
    made = http_cluster(CLUSTER, tuning, layout)
    return {**made, "load_balancing_policy": balancing()}


def answer_endpoints(gateways: Iterable[Endpoint]) -> Json:
    """Return the EDS document of the cluster."""
    known = [replace(one, port=one.answers) for one in gateways if one.answers]
    return endpoints(CLUSTER, known, tagged)
