"""Clusters (CDS): how Envoy holds, checks and chooses the replicas of one service."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mesh.envoy.listener import CONNECTION_BUFFER, CONNECTION_WINDOW, STREAM_WINDOW
from mesh.envoy.model import Json, Layout, seconds, typed, watched
from mesh.services import SERVICES

if TYPE_CHECKING:
    from mesh.services import DoorName, ServiceName
    from mesh.topology import Region, Tuning

MAX_LIVE_STREAMS = 20000
"""Circuit breaker: Envoy's default of 1024 would refuse the 1025th call."""


def clusters(region: Region, door: DoorName, tuning: Tuning, layout: Layout) -> Json:
    """Return the CDS document of one Envoy."""
    return {"resources": [cluster(name, tuning, layout) for name in region.behind(door)]}


def cluster(service: ServiceName, tuning: Tuning, layout: Layout, name: str = "") -> Json:
    """Return one cluster, named like its service; its replicas are in an EDS file of its own."""
    name = name or service
    return typed(
        "envoy.config.cluster.v3.Cluster",
        name=name,
        type="EDS",
        eds_cluster_config={
            "service_name": name,
            "eds_config": watched(layout.endpoints(name)),
        },
        connect_timeout="0.25s",
        per_connection_buffer_limit_bytes=CONNECTION_BUFFER,
        typed_extension_protocol_options={
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": _http2(tuning)
        },
        health_checks=[_health_check(SERVICES[service].rpc_service, tuning)],
        outlier_detection=_outliers(),
        circuit_breakers=_breakers(),
        load_balancing_policy=_balancing(tuning),
        common_lb_config={
            # 0: never spray traffic over replicas that say they do not serve.
            "healthy_panic_threshold": {"value": 0},
            "ignore_new_hosts_until_first_hc": True,
            # By default a change of health reaches the workers up to 1 s late.
            "update_merge_window": "0s",
        },
        # A replica taken out of the file gets no more streams, though it still answers checks.
        ignore_health_on_host_removal=True,
    )


def _http2(tuning: Tuning) -> Json:
    ping = seconds(tuning.keepalive_ms)
    return typed(
        "envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
        explicit_http_config={
            "http2_protocol_options": {
                # The only thing that ends the live streams of a replica that hangs.
                "connection_keepalive": {
                    "interval": ping,
                    "timeout": ping,
                    "connection_idle_interval": ping,
                },
                "initial_stream_window_size": STREAM_WINDOW,
                "initial_connection_window_size": CONNECTION_WINDOW,
                "max_concurrent_streams": 200,
            }
        },
        common_http_protocol_options={"idle_timeout": "300s"},
    )


def _health_check(rpc_service: str, tuning: Tuning) -> Json:
    interval = seconds(tuning.health_interval_ms)
    return {
        "timeout": seconds(tuning.health_timeout_ms),
        "interval": interval,
        "no_traffic_interval": interval,
        "no_traffic_healthy_interval": interval,
        # Nothing but this finds out that a replica is back, and it may be the only one.
        "unhealthy_interval": "0.1s",
        "unhealthy_edge_interval": interval,
        "healthy_edge_interval": interval,
        "unhealthy_threshold": 2,
        "healthy_threshold": 1,
        "grpc_health_check": {"service_name": rpc_service},
    }


def _outliers() -> Json:
    """Eject on what Envoy itself saw fail; an application's own errors count far less."""
    return {
        "split_external_local_origin_errors": True,
        "consecutive_local_origin_failure": 2,
        "enforcing_consecutive_local_origin_failure": 100,
        "consecutive_gateway_failure": 3,
        "enforcing_consecutive_gateway_failure": 100,
        "consecutive_5xx": 5,
        "enforcing_success_rate": 0,
        "enforcing_local_origin_success_rate": 0,
        "interval": "1s",
        "base_ejection_time": "5s",
        "max_ejection_time": "60s",
        "max_ejection_percent": 100,
    }


def _breakers() -> Json:
    return {
        "thresholds": [
            {
                "max_connections": 1000,  # low values make streams wait silently, for ever
                "max_pending_requests": 2000,
                "max_requests": MAX_LIVE_STREAMS,
                "track_remaining": True,
                "retry_budget": {"budget_percent": {"value": 20}, "min_retry_concurrency": 50},
            }
        ]
    }


def _balancing(tuning: Tuning) -> Json:
    """Two random replicas, the less busy one: no stampede on a new one, unlike a full scan."""
    window = tuning.slow_start_seconds
    slow = {"slow_start_config": {"slow_start_window": f"{window}s"}} if window else {}
    return {
        "policies": [
            {
                "typed_extension_config": {
                    "name": "envoy.load_balancing_policies.least_request",
                    "typed_config": typed(
                        "envoy.extensions.load_balancing_policies.least_request.v3.LeastRequest",
                        locality_lb_config={"locality_weighted_lb_config": {}},
                        **slow,
                    ),
                }
            }
        ]
    }
