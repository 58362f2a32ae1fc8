"""The listeners of each Envoy. They are static: changing one ends every live call on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mesh.envoy.model import FRONT_ROUTES, ROUTES, Json, Layout, extension, typed, watched
from mesh.envoy.transcoder import http_filters
from voicemesh.channel import BEAT

if TYPE_CHECKING:
    from mesh.services import DoorName
    from mesh.topology import Region

FRONT = "front"
"""Name of the listener at which other regions come in."""

STREAM_WINDOW = 64 * 1024
CONNECTION_WINDOW = 1024 * 1024
CONNECTION_BUFFER = 32 * 1024
"""Small on purpose: with Envoy's defaults a stalled reader leaves minutes of audio in the path."""

STREAMS_PER_CONNECTION: dict[DoorName, int] = {"edge": 100, "mesh": 20000}
"""A gRPC client queues silently beyond it: strangers get few, our gateways hold all their calls
on one connection."""

INTERNAL_PREFIXES = ("x-envoy-", "x-voicemesh-")
"""Request headers that only our own processes may send; the edge drops them from callers."""

_ACCESS_LOG = {
    "time": "%START_TIME%",
    "type": "%ACCESS_LOG_TYPE%",
    "method": "%PATH(NQ)%",  # a query may hold a token
    "grpc_status": "%GRPC_STATUS%",
    "flags": "%RESPONSE_FLAGS%",
    "details": "%RESPONSE_CODE_DETAILS%",
    "cluster": "%UPSTREAM_CLUSTER%",
    "upstream": "%UPSTREAM_HOST%",
    "attempts": "%UPSTREAM_REQUEST_ATTEMPT_COUNT%",
    "milliseconds": "%DURATION%",
    "bytes_received": "%BYTES_RECEIVED%",
    "bytes_sent": "%BYTES_SENT%",
    "messages": "%FILTER_STATE(envoy.filters.http.grpc_stats)%",
    "request_id": "%REQ(X-REQUEST-ID)%",
}


def listener(region: Region, door: DoorName, port: int, layout: Layout) -> Json:
    """Return the listener of one Envoy."""
    manager = {
        **_connections(door, layout, http_filters(door, layout)),
        "rds": {"route_config_name": ROUTES, "config_source": watched(layout.routes)},
        **(_untrusted() if door == "edge" else _trusted()),
    }
    return _listening(door, region, door, port, manager)


def front_listener(region: Region, port: int, layout: Layout) -> Json:
    """Return the listener of a mesh Envoy at which other regions come in."""
    manager = {
        **_connections("mesh", layout, []),
        "stat_prefix": FRONT,
        "rds": {"route_config_name": FRONT_ROUTES, "config_source": watched(layout.front_routes)},
        **_trusted(),
    }
    return _listening(FRONT, region, "mesh", port, manager)


def _listening(name: str, region: Region, door: DoorName, port: int, manager: Json) -> Json:
    return {
        "name": name,
        "address": {"socket_address": {"address": region.host, "port_value": port}},
        "per_connection_buffer_limit_bytes": CONNECTION_BUFFER,
        # Shared only between workers: with it, a second Envoy would silently share the port.
        "enable_reuse_port": region.door(door).concurrency > 1,
        "filter_chains": [
            {
                "filters": [
                    extension(
                        "envoy.filters.network.http_connection_manager",
                        "envoy.extensions.filters.network.http_connection_manager.v3"
                        ".HttpConnectionManager",
                        **manager,
                    )
                ]
            }
        ],
    }


def _connections(door: DoorName, layout: Layout, filters: list[Json]) -> Json:
    return {
        "stat_prefix": door,
        "stream_idle_timeout": "60s",  # until the route is known; every route says 0s
        "request_headers_timeout": "5s",
        "generate_request_id": True,
        "http2_protocol_options": {
            "max_concurrent_streams": STREAMS_PER_CONNECTION[door],
            "initial_stream_window_size": STREAM_WINDOW,
            "initial_connection_window_size": CONNECTION_WINDOW,
            "connection_keepalive": {"interval": "10s", "timeout": "5s"},  # finds dead clients
        },
        "access_log": [_access_log(layout)],
        "access_log_options": {
            "access_log_flush_interval": "60s",  # a call shows up before it ends
            "flush_access_log_on_new_request": True,
        },
        "http_filters": [
            *filters,
            extension(
                "envoy.filters.http.grpc_stats",
                "envoy.extensions.filters.http.grpc_stats.v3.FilterConfig",
                stats_for_all_methods=True,
                emit_filter_state=True,
            ),
            extension(
                "envoy.filters.http.router",
                "envoy.extensions.filters.http.router.v3.Router",
                suppress_envoy_headers=door == "edge",
            ),
        ],
    }


def _untrusted() -> Json:
    return {
        "codec_type": "AUTO",
        "upgrade_configs": [{"upgrade_type": "websocket", "enabled": False}],  # a route may
        "use_remote_address": True,
        # Naming a range that no caller comes from makes loopback callers outsiders too.
        "internal_address_config": {
            "cidr_ranges": [{"address_prefix": "255.255.255.255", "prefix_len": 32}]
        },
        "normalize_path": True,
        "merge_slashes": True,
        "path_with_escaped_slashes_action": "REJECT_REQUEST",
        "server_header_transformation": "OVERWRITE",
        "server_name": "voicemesh",
        "common_http_protocol_options": {
            "idle_timeout": "3600s",
            "headers_with_underscores_action": "REJECT_REQUEST",
            "max_headers_count": 64,
        },
        "early_header_mutation_extensions": [
            extension(
                "envoy.http.early_header_mutation.header_mutation",
                "envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation",
                mutations=[
                    {"remove_on_match": {"key_matcher": {"prefix": prefix, "ignore_case": True}}}
                    for prefix in INTERNAL_PREFIXES
                ],
            )
        ],
    }


def _trusted() -> Json:
    return {
        "codec_type": "HTTP2",
        "use_remote_address": False,
        "common_http_protocol_options": {"idle_timeout": "3600s"},
    }


def _access_log(layout: Layout) -> Json:
    return {
        "name": "envoy.access_loggers.file",
        "filter": {
            "header_filter": {
                "header": {
                    "name": ":path",
                    "string_match": {"exact": BEAT},
                    "invert_match": True,
                    "treat_missing_header_as_empty": True,
                }
            }
        },
        "typed_config": typed(
            "envoy.extensions.access_loggers.file.v3.FileAccessLog",
            path=str(layout.access_log),
            log_format={"json_format": _ACCESS_LOG},
        ),
    }
