"""Carriers' WebSockets, and the softphone's page, through the edge to the gateways' own port.

An upgraded socket is one HTTP/1.1 connection to a gateway, from its first byte to its last: no
pings of Envoy's, no window, nothing to be moved to another gateway once it is answered.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from mesh.envoy.clusters import MAX_LIVE_STREAMS, cluster
from mesh.envoy.endpoints import endpoints
from mesh.envoy.model import seconds, typed
from mesh.envoy.routes import LONGEST_STREAM, REPLAYED_BYTES, retries

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mesh.envoy.model import Endpoint, Json, Layout
    from mesh.topology import Tuning

CLUSTER = "sockets"
"""Name of the cluster; its replicas are the gateways."""
PREFIXES = ("/carriers/", "/softphone")
HEALTH = "/health"


def socket_routes() -> list[Json]:
    """Return the routes to the gateways' socket port."""
    found = [over_http(CLUSTER, {"prefix": prefix}, LONGEST_STREAM) for prefix in PREFIXES]
    for one in found:
        one["route"]["upgrade_configs"] = [{"upgrade_type": "websocket", "enabled": True}]
    return found


def over_http(name: str, match: Json, longest: str) -> Json:
    """Return a route to a cluster of HTTP/1.1 in which nothing lasts longer."""
    policy = retries()
    # A gateway that is full or about to go says so before the upgrade.
    policy["retry_on"] += ",retriable-status-codes"
    policy["retriable_status_codes"] = [503]
    return {
        "name": name,
        "match": match,
        "request_body_buffer_limit": REPLAYED_BYTES["edge"],
        "route": {
            "cluster": name,
            "timeout": "0s",
            "idle_timeout": "0s",
            "max_stream_duration": {"max_stream_duration": longest},
            "retry_policy": policy,
        },
    }


def socket_cluster(tuning: Tuning, layout: Layout) -> Json:
    """Return the cluster: every gateway that has such a port."""
    made = http_cluster(CLUSTER, tuning, layout)
    # Each socket has a connection of its own.
    made["circuit_breakers"]["thresholds"][0]["max_connections"] = MAX_LIVE_STREAMS
    return made


def http_cluster(name: str, tuning: Tuning, layout: Layout) -> Json:
    """Return a cluster of gateways that speak HTTP/1.1, and tell by it how they are."""
    made = cluster("gateway", tuning, layout, name)
    made["typed_extension_protocol_options"] = {
        "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": typed(
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
            explicit_http_config={"http_protocol_options": {}},
            common_http_protocol_options={"idle_timeout": seconds(300_000)},
        )
    }
    [check] = made["health_checks"]
    del check["grpc_health_check"]
    check["http_health_check"] = {"path": HEALTH}
    return made


def socket_endpoints(gateways: Iterable[Endpoint]) -> Json:
    """Return the EDS document of the cluster."""
    return endpoints(CLUSTER, [replace(one, port=one.sockets) for one in gateways if one.sockets])
