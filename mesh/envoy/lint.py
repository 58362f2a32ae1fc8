"""Rules that Envoy accepts to see broken but that calls do not survive.

Each was learnt from a failure: a forgotten timeout, a breaker left at its default. Every rule is
applied at every render.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, TypeAlias

from mesh.envoy.answers import CLUSTER as ANSWERS
from mesh.envoy.bootstrap import PREMATURE_RESETS
from mesh.envoy.clusters import AGGREGATE, MAX_LIVE_STREAMS
from mesh.envoy.listener import CONNECTION_BUFFER, INTERNAL_PREFIXES, STREAM_WINDOW
from mesh.envoy.routes import RETRIED
from mesh.envoy.sockets import CLUSTER as SOCKETS
from voicemesh.errors import Misconfigured

if TYPE_CHECKING:
    from mesh.envoy.model import Json, Rendered

Rule: TypeAlias = Callable[["Rendered"], Iterator[str]]

_HTTP_CLUSTERS = (SOCKETS, ANSWERS)
_HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"


def lint(rendered: Rendered) -> list[str]:
    """Return every broken rule, as ``rule: where: what is wrong``."""
    return [f"{rule.__name__}: {found}" for rule in RULES for found in rule(rendered)]


def check(rendered: Rendered) -> None:
    """Raise Misconfigured where a rule is broken."""
    found = lint(rendered)
    if found:
        raise Misconfigured(
            f"the {rendered.door} Envoy's configuration breaks {len(found)} rule(s): "
            + "; ".join(found),
            door=rendered.door,
        )


def http2(rendered: Rendered) -> Iterator[str]:
    """Every cluster of gRPC speaks HTTP/2 and pings, which notices replicas that hang."""
    for cluster in _grpc_clusters(rendered):
        options = _http2(cluster)
        if options is None:
            yield f"{cluster['name']}: no http2_protocol_options"
            continue
        alive = options.get("connection_keepalive", {})
        if (
            not 0 < _seconds(alive.get("interval")) <= 1
            or not 0 < _seconds(alive.get("timeout")) <= 1
        ):
            yield f"{cluster['name']}: connection_keepalive must be at most 1s"


def small_buffers(rendered: Rendered) -> Iterator[str]:
    """Windows and buffers are small: with the defaults minutes of audio pile up."""
    for cluster in _grpc_clusters(rendered):
        window = (_http2(cluster) or {}).get("initial_stream_window_size", 1 << 24)
        if window > STREAM_WINDOW or not _small_buffer(cluster):
            yield f"{cluster['name']}: stream window or connection buffer too large"
    for listener in _listeners(rendered):
        window = _manager(listener)["http2_protocol_options"].get("initial_stream_window_size")
        if window is None or window > STREAM_WINDOW or not _small_buffer(listener):
            yield f"listener {listener['name']}: stream window or connection buffer too large"


def breakers(rendered: Rendered) -> Iterator[str]:
    """Breakers are raised: by default the 1025th call is refused."""
    for cluster in _clusters(rendered):
        limits = (cluster.get("circuit_breakers", {}).get("thresholds") or [{}])[0]
        if limits.get("max_requests", 1024) < MAX_LIVE_STREAMS:
            yield f"{cluster['name']}: max_requests below {MAX_LIVE_STREAMS}"
        least = MAX_LIVE_STREAMS if cluster["name"] == SOCKETS else 1000
        if limits.get("max_connections", 1024) < least:
            yield f"{cluster['name']}: max_connections below {least}, streams would wait silently"


def health(rendered: Rendered) -> Iterator[str]:
    """Every cluster asks the health of the service it carries, and nothing else is believed."""
    for cluster in _clusters(rendered):
        checks = cluster.get("health_checks") or [{}]
        asked = checks[0].get("grpc_health_check", {}).get("service_name")
        if not asked and cluster["name"] not in _HTTP_CLUSTERS:
            yield f"{cluster['name']}: no gRPC health check of a named service"
        if not cluster.get("outlier_detection", {}).get("split_external_local_origin_errors"):
            yield f"{cluster['name']}: outlier detection does not split local-origin errors"
        common = cluster.get("common_lb_config", {})
        if common.get("healthy_panic_threshold", {}).get("value", 50) != 0:
            yield f"{cluster['name']}: healthy_panic_threshold must be 0"
        if not common.get("ignore_new_hosts_until_first_hc"):
            yield f"{cluster['name']}: new hosts must wait for their first health check"
        if common.get("update_merge_window") != "0s":
            yield f"{cluster['name']}: update_merge_window must be 0s, or health comes 1 s late"
        if not cluster.get("ignore_health_on_host_removal"):
            yield f"{cluster['name']}: removed hosts would keep getting streams"


def endpoint_files(rendered: Rendered) -> Iterator[str]:
    """One EDS file per cluster, one assignment in each, nothing leaking abroad early."""
    for cluster in _clusters(rendered):
        name = cluster["name"]
        resources = rendered.endpoints.get(name, {}).get("resources", [])
        if "load_assignment" in cluster:
            resources = [cluster["load_assignment"]]
        if len(resources) != 1 or resources[0]["cluster_name"] != name:
            yield f"{name}: its endpoint file must hold exactly its own assignment"
        elif resources[0].get("policy", {}).get("overprovisioning_factor", 140) < 200:
            yield f"{name}: overprovisioning_factor below 200"


def fences(rendered: Rendered) -> Iterator[str]:
    """No cluster of a zone has a part that leads to a region which does not serve it."""
    for cluster in rendered.clusters["resources"]:
        name, parts = cluster["name"], set(_parts(cluster))
        if name in rendered.fences and not parts:
            yield f"{name}: consists of nothing"
        beyond = parts - rendered.fences.get(name, frozenset())
        if beyond:
            yield f"{name}: leads to {', '.join(sorted(beyond))}"
        if cluster.get("common_lb_config", {}).get("healthy_panic_threshold", {}).get("value") != 0:
            yield f"{name}: healthy_panic_threshold must be 0"


def timeouts(rendered: Rendered) -> Iterator[str]:
    """No route has a timeout that could cut a call; every one has the leak stop."""
    for name, action in _actions(rendered):
        for key in ("timeout", "idle_timeout"):
            if action.get(key) != "0s":
                yield f"{name}: {key} must be 0s"
        if not action.get("max_stream_duration", {}).get("max_stream_duration"):
            yield f"{name}: max_stream_duration is missing"


def retries(rendered: Rendered) -> Iterator[str]:
    """Only the whole set of causes gives no failed opens, and only on another replica."""
    for name, action in _actions(rendered):
        policy = action.get("retry_policy", {})
        missing = set(RETRIED) - set(policy.get("retry_on", "").split(","))
        if missing:
            yield f"{name}: retry_on lacks {', '.join(sorted(missing))}"
        if not policy.get("retry_host_predicate") or (
            policy.get("host_selection_retry_max_attempts", 1) < 10
        ):
            yield f"{name}: previous_hosts with 10 re-picks is missing"
        if "per_try_timeout" in policy or "per_try_idle_timeout" in policy:
            yield f"{name}: per_try timeouts never fire on an open stream; remove them"


def known_clusters(rendered: Rendered) -> Iterator[str]:
    """Every route leads to a cluster that exists (Envoy does not check it over RDS)."""
    known = {cluster["name"] for cluster in rendered.clusters["resources"]}
    for cluster in rendered.clusters["resources"]:
        for part in set(_parts(cluster)) - known:
            yield f"{cluster['name']}: consists of the missing cluster {part!r}"
    for name, action in _actions(rendered):
        if action.get("cluster") not in known:
            yield f"{name}: leads to the missing cluster {action.get('cluster')!r}"


def static_listener(rendered: Rendered) -> Iterator[str]:
    """No listener comes from a file, all end in the router: a change would end its live calls."""
    if "lds_config" in rendered.bootstrap.get("dynamic_resources", {}):
        yield "listeners come from a file"
    for listener in _listeners(rendered):
        filters = _manager(listener).get("http_filters") or [{}]
        if filters[-1].get("name") != "envoy.filters.http.router":
            yield f"listener {listener['name']}: the router is not the last filter"


def guards(rendered: Rendered) -> Iterator[str]:
    """Strict against strangers, relaxed inside; the admin interface is a private socket."""
    layers = rendered.bootstrap.get("layered_runtime", {}).get("layers") or [{}]
    overload = layers[0].get("static_layer", {}).get("overload", {})
    if overload.get("premature_reset_total_stream_count") != PREMATURE_RESETS[rendered.door]:
        yield f"premature_reset_total_stream_count must be {PREMATURE_RESETS[rendered.door]}"
    if rendered.bootstrap.get("admin", {}).get("address", {}).get("pipe", {}).get("mode") != 0o600:
        yield "the admin interface must be a socket of mode 0600"
    points = rendered.bootstrap.get("overload_manager", {}).get("loadshed_points", [])
    if not any(point["name"].endswith("decode_headers") for point in points):
        yield "the overload manager sheds nothing"
    if not any(point["name"].endswith("go_away_on_dispatch") for point in points):
        yield "it cannot be emptied: no load shed point sends GOAWAY"


def stripped_headers(rendered: Rendered) -> Iterator[str]:
    """Our internal headers are dropped from callers at the edge, and no address is trusted."""
    if rendered.door != "edge":
        return
    for listener in _listeners(rendered):
        manager = _manager(listener)
        if not manager.get("use_remote_address"):
            yield "use_remote_address must be true"
        shown = str(manager.get("early_header_mutation_extensions", ""))
        for prefix in INTERNAL_PREFIXES:
            if f"'prefix': '{prefix}'" not in shown:
                yield f"headers {prefix}* are not removed"


RULES: tuple[Rule, ...] = (
    http2,
    small_buffers,
    breakers,
    health,
    endpoint_files,
    fences,
    timeouts,
    retries,
    known_clusters,
    static_listener,
    guards,
    stripped_headers,
)


def _clusters(rendered: Rendered) -> list[Json]:
    """Return the clusters that have members of their own."""
    return [one for one in rendered.clusters["resources"] if not _parts(one)]


def _parts(cluster: Json) -> list[str]:
    """Return the clusters that one consists of."""
    kind: Json = cluster.get("cluster_type", {})
    found: list[str] = kind.get("typed_config", {}).get("clusters", [])
    return found if kind.get("name") == AGGREGATE else []


def _grpc_clusters(rendered: Rendered) -> list[Json]:
    return [cluster for cluster in _clusters(rendered) if cluster["name"] not in _HTTP_CLUSTERS]


def _listeners(rendered: Rendered) -> list[Json]:
    found: list[Json] = rendered.bootstrap["static_resources"]["listeners"]
    return found


def _manager(listener: Json) -> Json:
    found: Json = listener["filter_chains"][0]["filters"][0]["typed_config"]
    return found


def _http2(cluster: Json) -> Json | None:
    options: Json = cluster.get("typed_extension_protocol_options", {}).get(_HTTP_OPTIONS, {})
    found: Json | None = options.get("explicit_http_config", {}).get("http2_protocol_options")
    return found


def _actions(rendered: Rendered) -> Iterator[tuple[str, Json]]:
    front = rendered.front_routes or {"resources": []}
    for config in [*rendered.routes["resources"], *front["resources"]]:
        for host in config["virtual_hosts"]:
            for route in host["routes"]:
                if "route" in route:
                    named = route["match"].get("prefix") or route["match"].get("path")
                    yield f"route {named}", route["route"]


def _small_buffer(part: Json) -> bool:
    limit: int = part.get("per_connection_buffer_limit_bytes", 1 << 20)
    return limit <= CONNECTION_BUFFER


def _seconds(text: str | None) -> float:
    return float(text.removesuffix("s")) if text else 0.0
