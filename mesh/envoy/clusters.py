"""Clusters (CDS): how Envoy holds, checks and chooses the replicas of one service."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mesh.envoy.endpoints import assignment
from mesh.envoy.listener import CONNECTION_BUFFER, CONNECTION_WINDOW, STREAM_WINDOW
from mesh.envoy.model import Json, Layout, extension, seconds, typed, watched
from mesh.services import SERVICES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mesh.envoy.model import Endpoint
    from mesh.envoy.pools import Pool
    from mesh.services import ServiceName
    from mesh.topology import Tuning

AGGREGATE = "envoy.clusters.aggregate"
CONNECT_MS = 250
MOST_KEEPALIVE_MS = 1000
HEALTH_HEADER = "x-voicemesh-health"
"""Whose health is asked: a front door has several services behind it."""
MAX_LIVE_STREAMS = 20000
"""Circuit breaker: Envoy's default of 1024 would refuse the 1025th call."""


def cluster(
    service: ServiceName,
    tuning: Tuning,
    layout: Layout,
    name: str = "",
    *,
    away_ms: float = 0.0,
) -> Json:
    """Return one cluster, by default named like its service; its replicas are in an EDS file.

    ``away_ms`` is the round trip to its furthest member; nobody is missed sooner than that.
    """
    name = name or service
    return typed(
        "envoy.config.cluster.v3.Cluster",
        name=name,
        type="EDS",
        eds_cluster_config={
            "service_name": name,
            "eds_config": watched(layout.endpoints(name)),
        },
        connect_timeout=seconds(CONNECT_MS + round(2 * away_ms)),
        per_connection_buffer_limit_bytes=CONNECTION_BUFFER,
        typed_extension_protocol_options={
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": _http2(tuning, away_ms)
        },
        health_checks=[_health_check(service, tuning, away_ms)],
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


def fence(pool: Pool, tuning: Tuning) -> Json:
    """Return the cluster of a fence: other clusters, each a priority behind the one before."""
    return typed(
        "envoy.config.cluster.v3.Cluster",
        name=pool.name,
        connect_timeout=seconds(CONNECT_MS),
        per_connection_buffer_limit_bytes=CONNECTION_BUFFER,
        lb_policy="CLUSTER_PROVIDED",
        cluster_type=extension(
            AGGREGATE,
            "envoy.extensions.clusters.aggregate.v3.ClusterConfig",
            clusters=[part.name for part in pool.parts],
        ),
        typed_extension_protocol_options={
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": _http2(tuning, 0.0)
        },
        circuit_breakers=_breakers(),
        common_lb_config={"healthy_panic_threshold": {"value": 0}},
    )


def fixed(cluster: Json, members: Iterable[Endpoint]) -> Json:
    """Return a cluster whose members are in itself; it resolves their names where they have some.

    For members that only the topology's file changes: each file that Envoy watches costs one of
    the few inotify instances that a user may have.
    """
    known = list(members)
    found = {key: value for key, value in cluster.items() if key != "eds_cluster_config"}
    named = any(one.named for one in known)
    resolved = {
        "dns_refresh_rate": "5s",
        "respect_dns_ttl": True,
        "dns_lookup_family": "V4_PREFERRED",
    }
    return {
        **found,
        "type": "STRICT_DNS" if named else "STATIC",
        **(resolved if named else {}),
        "load_assignment": assignment(cluster["name"], known),
    }


def _http2(tuning: Tuning, away_ms: float) -> Json:
    ping = seconds(tuning.keepalive_ms)
    answer = seconds(min(MOST_KEEPALIVE_MS, tuning.keepalive_ms + round(away_ms)))
    return typed(
        "envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
        explicit_http_config={
            "http2_protocol_options": {
                # The only thing that ends the live streams of a replica that hangs.
                "connection_keepalive": {
                    "interval": ping,
                    "timeout": answer,
                    "connection_idle_interval": ping,
                },
                "initial_stream_window_size": STREAM_WINDOW,
                "initial_connection_window_size": CONNECTION_WINDOW,
                "max_concurrent_streams": 200,
            }
        },
        common_http_protocol_options={"idle_timeout": "300s"},
    )


def _health_check(service: ServiceName, tuning: Tuning, away_ms: float) -> Json:
    """Ask a replica how it is; a front door passes the question on to a replica behind it."""
    interval = seconds(tuning.health_interval_ms)
    return {
        "timeout": seconds(tuning.health_timeout_ms + round(away_ms)),
        "interval": interval,
        "no_traffic_interval": interval,
        "no_traffic_healthy_interval": interval,
        # Nothing but this finds out that a replica is back, and it may be the only one.
        "unhealthy_interval": "0.1s",
        "unhealthy_edge_interval": interval,
        "healthy_edge_interval": interval,
        "unhealthy_threshold": 2,
        "healthy_threshold": 1,
        "grpc_health_check": {
            "service_name": SERVICES[service].rpc_service,
            "initial_metadata": [
                {
                    "header": {"key": HEALTH_HEADER, "value": service},
                    "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
                }
            ],
        },
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
