"""The static part of an Envoy process: its listener, its guards and its admin socket."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mesh.envoy.listener import front_listener, listener
from mesh.envoy.model import Json, Layout, extension, watched

if TYPE_CHECKING:
    from mesh.services import DoorName, Envoy
    from mesh.topology import Region

PREMATURE_RESETS: dict[DoorName, int] = {"edge": 500, "mesh": 100000}
"""Opens given up before an answer until Envoy closes the client's connection with every call on it
(it acts at half of this). During an outage a gateway gives up many; the guard is per process,
which is why edge and mesh are two."""


def bootstrap(
    region: Region, envoy: Envoy, port: int, layout: Layout, *, front_port: int | None = None
) -> Json:
    """Return the bootstrap of one Envoy; with ``front_port`` it has a front door."""
    door = envoy.door
    listeners = [listener(region, door, port, layout)]
    if front_port is not None:
        listeners.append(front_listener(region, front_port, layout))
    return {
        "node": {
            "id": f"{envoy.name}-{region.name}",
            "cluster": f"{door}-{region.name}",
            "locality": {"region": region.name},
        },
        "admin": {"address": {"pipe": {"path": str(layout.admin), "mode": 0o600}}},
        "static_resources": {"listeners": listeners},
        "dynamic_resources": {"cds_config": watched(layout.clusters)},
        "layered_runtime": {"layers": [_guards(door), {"name": "admin", "admin_layer": {}}]},
        "overload_manager": _overload(region.door(door).heap_mib, layout),
        "application_log_config": {
            "log_format": {
                "json_format": {
                    "timestamp": "%Y-%m-%dT%T.%e",
                    "level": "%l",
                    "logger": "%n",
                    "event": "%j",
                }
            }
        },
    }


def _guards(door: DoorName) -> Json:
    return {
        "name": "static",
        "static_layer": {
            "overload": {
                "premature_reset_total_stream_count": PREMATURE_RESETS[door],
                "premature_reset_min_stream_lifetime_seconds": 1,
            }
        },
    }


def _overload(heap_mib: int, layout: Layout) -> Json:
    """Shed in steps: give memory back, refuse new streams, refuse new connections.

    Apart from that a file can ask it to send GOAWAY on every connection, at the next byte from its
    client. New streams go elsewhere then and live ones stay; Envoy's own drain would leave a
    connection alone until a stream was opened on it.
    """
    heap = "envoy.resource_monitors.fixed_heap"
    connections = "envoy.resource_monitors.global_downstream_max_connections"
    pressure = "envoy.resource_monitors.injected_resource"

    def at(fraction: float) -> list[Json]:
        return [{"name": heap, "threshold": {"value": fraction}}]

    return {
        "refresh_interval": "0.25s",
        "resource_monitors": [
            extension(
                heap,
                "envoy.extensions.resource_monitors.fixed_heap.v3.FixedHeapConfig",
                max_heap_size_bytes=str(heap_mib * 1024 * 1024),
            ),
            extension(
                connections,
                "envoy.extensions.resource_monitors.downstream_connections.v3"
                ".DownstreamConnectionsConfig",
                max_active_downstream_connections="50000",
            ),
            extension(
                pressure,
                "envoy.extensions.resource_monitors.injected_resource.v3.InjectedResourceConfig",
                filename=str(layout.pressure),
            ),
        ],
        "actions": [
            {"name": "envoy.overload_actions.shrink_heap", "triggers": at(0.90)},
            {"name": "envoy.overload_actions.stop_accepting_requests", "triggers": at(0.95)},
        ],
        "loadshed_points": [
            {
                "name": "envoy.load_shed_points.http_connection_manager_decode_headers",
                "triggers": at(0.92),
            },
            {"name": "envoy.load_shed_points.tcp_listener_accept", "triggers": at(0.95)},
            {
                "name": "envoy.load_shed_points.http2_server_go_away_on_dispatch",
                "triggers": [{"name": pressure, "threshold": {"value": 0.5}}],
            },
        ],
    }
