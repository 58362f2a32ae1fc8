"""Routes (RDS): which gRPC service goes to which cluster, and what Envoy may retry.

Until a stream has answered, Envoy may move it to another replica and loses nothing; afterwards it
never can. ``reset`` is safe among the retried causes because opening a stream is idempotent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mesh.envoy.model import ROUTES, Json, extension, typed
from mesh.services import SERVICES

if TYPE_CHECKING:
    from mesh.services import DoorName, ServiceName
    from mesh.topology import Region

RETRIED = (
    "connect-failure",
    "refused-stream",
    "unavailable",
    "reset-before-request",
    "reset",
    "resource-exhausted",
)
LONGEST_STREAM = "14400s"
"""4 h: nothing lives longer; a leak stop, not a timeout."""

REPLAYED_BYTES: dict[DoorName, int] = {"edge": 64 * 1024, "mesh": 1024 * 1024}
"""What a stream may have sent before its answer and still be moved. Inside, an opening carries
the call's journal."""


def routes(region: Region, door: DoorName) -> Json:
    """Return the RDS document of one Envoy."""
    host = {
        "name": "voicemesh",
        "domains": ["*"],
        "include_attempt_count_in_response": door == "mesh",
        "routes": [
            *(route(name, door) for name in region.behind(door)),
            {"match": {"prefix": "/"}, "direct_response": {"status": 404}},
        ],
    }
    return {
        "resources": [
            typed(
                "envoy.config.route.v3.RouteConfiguration",
                name=ROUTES,
                virtual_hosts=[host],
            )
        ]
    }


def route(service: ServiceName, door: DoorName) -> Json:
    """Return the route of one gRPC service."""
    return {
        "name": service,
        "match": {"prefix": SERVICES[service].prefix, "grpc": {}},
        "request_body_buffer_limit": REPLAYED_BYTES[door],
        "route": {
            "cluster": service,
            "timeout": "0s",
            "idle_timeout": "0s",
            "max_stream_duration": {
                "max_stream_duration": LONGEST_STREAM,
                "grpc_timeout_header_max": LONGEST_STREAM,
            },
            "retry_policy": retries(),
        },
    }


def retries() -> Json:
    """Return what Envoy does by itself when a stream fails before its answer."""
    return {
        "retry_on": ",".join(RETRIED),
        "num_retries": 4,
        "retry_back_off": {"base_interval": "0.010s", "max_interval": "0.1s"},
        "retry_host_predicate": [
            extension(
                "envoy.retry_host_predicates.previous_hosts",
                "envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate",
            )
        ],
        # With few re-picks and unequal load it would choose the dead replica again.
        "host_selection_retry_max_attempts": 10,
    }
