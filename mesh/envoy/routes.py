"""Routes (RDS): which gRPC service goes to which cluster, and what Envoy may retry.

Until a stream has answered, Envoy may move it to another replica and loses nothing; afterwards it
never can. ``reset`` is safe among the retried causes because opening a stream is idempotent.

Where there are several residency zones a stream that says none, or one that the region does not
serve, is refused here: there is no cluster that it could go to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mesh.envoy.clusters import HEALTH_HEADER
from mesh.envoy.model import FRONT_ROUTES, ROUTES, Json, extension, typed
from mesh.envoy.pools import Pool
from mesh.services import SERVICES
from voicemesh.residency import (
    ATTEMPT_HEADER,
    EDGE_HEADER,
    REPLICA_HEADER,
    RESIDENCY_HEADER,
    TENANT_HEADER,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mesh.envoy.pools import Around
    from mesh.services import DoorName, Envoy, ServiceName

RETRIED = (
    "connect-failure",
    "refused-stream",
    "unavailable",
    "reset-before-request",
    "reset",
    "resource-exhausted",
)
_SERVED = {
    "header": {"key": REPLICA_HEADER, "value": "%UPSTREAM_HOST_NAME%"},
    "append_action": "ADD_IF_ABSENT",  # of a front door's answer, who is behind it counts
}
HEALTH_PATH = "/grpc.health.v1.Health/Check"
_LATE = "[3-9]|[1-9][0-9]+"
"""Attempts for which the order of regions is reversed, inside the fence."""
LONGEST_STREAM = "14400s"
"""4 h: nothing lives longer; a leak stop, not a timeout."""

REPLAYED_BYTES: dict[DoorName, int] = {"edge": 64 * 1024, "mesh": 1024 * 1024}
"""What a stream may have sent before its answer and still be moved. Inside, an opening carries
the call's journal."""


def routes(around: Around, envoy: Envoy) -> Json:
    """Return the RDS document of one Envoy."""
    door, region = envoy.door, around.region
    ways = _tenants_ways if door == "edge" else _zones_ways
    host = {
        "name": "voicemesh",
        "domains": ["*"],
        "include_attempt_count_in_response": door == "mesh",
        "routes": [
            *(way for name in region.behind(door) for way in ways(around, name)),
            {"match": {"prefix": "/"}, "direct_response": {"status": 404}},
        ],
    }
    if door == "mesh":
        host["response_headers_to_add"] = [_SERVED]
    if door == "edge":
        host["response_headers_to_remove"] = [REPLICA_HEADER]
        host["request_headers_to_add"] = [_set(EDGE_HEADER, f"{region.name}/{envoy.name}")]
    return _document(ROUTES, host)


def front_routes(around: Around) -> Json:
    """Return the RDS document of a front door: to this region's own replicas, and no further."""
    served = [name for name in SERVICES if name in around.region.services]
    host = {
        "name": "front",
        "domains": ["*"],
        "response_headers_to_add": [_SERVED],
        "routes": [
            *map(_health, served),
            *(way for name in served for way in _zones_ways(around, name, front=True)),
            {"match": {"prefix": "/"}, "direct_response": {"status": 404}},
        ],
    }
    return _document(FRONT_ROUTES, host)


def route(pool: Pool, door: DoorName, headers: Sequence[Json] = (), to: str = "") -> Json:
    """Return the route of one gRPC service to a pool, or to the cluster ``to``."""
    match = _match(pool.service, headers)
    policy = retries()
    if len(pool.parts) > 1:
        # The first retry stays in its region; those behind leave it before health checks speak.
        policy["retry_priority"] = extension(
            "envoy.retry_priorities.previous_priorities",
            "envoy.extensions.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig",
            update_frequency=2,
        )
    return {
        "name": to or pool.name,
        "match": match,
        "request_body_buffer_limit": REPLAYED_BYTES[door],
        "route": {
            "cluster": to or pool.name,
            "timeout": "0s",
            "idle_timeout": "0s",
            "max_stream_duration": {
                "max_stream_duration": LONGEST_STREAM,
                "grpc_timeout_header_max": LONGEST_STREAM,
            },
            "retry_policy": policy,
        },
    }


def _zones_ways(around: Around, service: ServiceName, *, front: bool = False) -> list[Json]:
    """Return the ways to a service by the zone that a stream says."""
    local = front or not around.topology.fronted
    found = []
    for zone in around.region.zones:
        pools = [Pool(service, zone=zone)] if local else list(around.fences(service, zone))
        for pool in reversed(pools):
            headers = [_exactly(RESIDENCY_HEADER, zone)] if around.fenced else []
            headers += [_like(ATTEMPT_HEADER, _LATE)] if pool.reversed else []
            found.append(route(pool, "mesh", headers, service if local else ""))
    if around.fenced:
        found.append(_refused(service, (), "a stream must say a residency zone of this region"))
    return found


def _tenants_ways(around: Around, service: ServiceName) -> list[Json]:
    """Return the ways to a service by whose caller it is; who is not known is the gateway's case.

    That stays in this region: only where the zone is known there is a fence to overflow in.
    """
    found = []
    for zone in around.topology.zones if around.fenced or around.topology.fronted else ():
        tenants = [name for name, one in around.topology.tenants.items() if one.residency == zone]
        if not tenants:
            continue
        theirs = {
            "name": TENANT_HEADER,
            "string_match": {"safe_regex": {"regex": "|".join(tenants)}},
        }
        if zone not in around.region.zones:
            problem = f"{around.region.name} does not answer calls of the zone {zone}"
            found.append(_refused(service, [theirs], problem))
            continue
        way = route(Pool(service), "edge", [theirs])
        if around.topology.fronted:
            way = route(next(iter(around.fences(service, zone))), "edge", [theirs])
        found.append({**way, "request_headers_to_add": [_set(RESIDENCY_HEADER, zone)]})
    return [*found, route(Pool(service), "edge")]


def _health(service: ServiceName) -> Json:
    """Return the way of a neighbour's question to any of our replicas that Envoy holds healthy."""
    asked = Pool(service)
    way = route(asked, "mesh", [_exactly(HEALTH_HEADER, service)])
    way["match"] = {**way["match"], "path": HEALTH_PATH}
    del way["match"]["prefix"]
    return {**way, "name": f"health of {service}"}


def _match(service: ServiceName, headers: Sequence[Json]) -> Json:
    asked = {"headers": list(headers)} if headers else {}
    return {"prefix": SERVICES[service].prefix, "grpc": {}, **asked}


def _refused(service: ServiceName, headers: Sequence[Json], problem: str) -> Json:
    return {
        "name": f"{service} refused",
        "match": _match(service, headers),
        "direct_response": {"status": 403, "body": {"inline_string": problem}},
    }


def _exactly(header: str, value: str) -> Json:
    return {"name": header, "string_match": {"exact": value}}


def _like(header: str, pattern: str) -> Json:
    return {"name": header, "string_match": {"safe_regex": {"regex": pattern}}}


def _set(header: str, value: str) -> Json:
    """Return what sets a header, whatever it was before."""
    return {
        "header": {"key": header, "value": value},
        "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
    }


def _document(name: str, host: Json) -> Json:
    kind = "envoy.config.route.v3.RouteConfiguration"
    return {"resources": [typed(kind, name=name, virtual_hosts=[host])]}


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
