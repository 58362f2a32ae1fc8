"""Call control through Envoy: the way to the gateway that holds a call.

The name of a call ends with the tag of the gateway on which it began. A filter (`transcoder`) takes
that from the path (HTTP) or from the metadata ``voicemesh-call`` (gRPC), and the cluster's subsets
have one gateway each; who names none, or one that is gone, gets any. If that does not hold the
call, it asks again by the mesh Envoy. Whoever does not hold it either then answers with the header
``x-voicemesh-elsewhere``, on which Envoy asks the next.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mesh.envoy.clusters import cluster
from mesh.envoy.endpoints import endpoints
from mesh.envoy.model import extension
from mesh.envoy.routes import LONGEST_STREAM, REPLAYED_BYTES, retries
from mesh.envoy.transcoder import KEY, RPC_SERVICE, SUBSET
from voicemesh.callids import ELSEWHERE_HEADER, OWNER_HEADER, gateway_tag

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mesh.envoy.model import Endpoint, Json, Layout
    from mesh.services import DoorName
    from mesh.topology import Tuning

CLUSTER = "control"
"""Name of the cluster; its replicas are the gateways."""
SEARCHED = 16
"""Gateways that are asked at most for one call, besides the first."""


def control_route(door: DoorName) -> Json:
    """Return the route to the gateways' call control."""
    search = retries()
    search["retry_on"] += ",retriable-headers"
    search["retriable_headers"] = [{"name": ELSEWHERE_HEADER, "present_match": True}]
    search["num_retries"] = SEARCHED
    search["host_selection_retry_max_attempts"] = 4 * SEARCHED
    return {
        "name": CLUSTER,
        "match": {"prefix": f"/{RPC_SERVICE}/", "grpc": {}},
        "request_body_buffer_limit": REPLAYED_BYTES[door],
        "route": {
            "cluster": CLUSTER,
            "timeout": "0s",
            "idle_timeout": "0s",
            "max_stream_duration": {
                "max_stream_duration": LONGEST_STREAM,
                "grpc_timeout_header_max": LONGEST_STREAM,
            },
            "hash_policy": [{"header": {"header_name": OWNER_HEADER}}],
            "retry_policy": search if door == "mesh" else retries(),
        },
    }


def control_cluster(tuning: Tuning, layout: Layout) -> Json:
    """Return the cluster: every gateway, each also a subset of its own."""
    return {**cluster("gateway", tuning, layout, CLUSTER), "load_balancing_policy": balancing()}


def balancing() -> Json:
    """Return the policy by which a request that names a gateway gets to that one."""
    ring = extension(
        "envoy.load_balancing_policies.ring_hash",
        "envoy.extensions.load_balancing_policies.ring_hash.v3.RingHash",
    )
    subsets = extension(
        "envoy.load_balancing_policies.subset",
        "envoy.extensions.load_balancing_policies.subset.v3.Subset",
        fallback_policy="ANY_ENDPOINT",
        subset_selectors=[{"keys": [KEY], "fallback_policy": "ANY_ENDPOINT"}],
        subset_lb_policy={"policies": [{"typed_extension_config": ring}]},
    )
    return {"policies": [{"typed_extension_config": subsets}]}


def control_endpoints(gateways: Iterable[Endpoint]) -> Json:
    """Return the EDS document of the cluster."""
    return endpoints(CLUSTER, gateways, tagged)


def tagged(one: Endpoint) -> Json:
    """Return what tells a gateway's tag."""
    tag = gateway_tag(one.region, one.replica)
    return {"metadata": {"filter_metadata": {SUBSET: {KEY: tag}}}}
