"""What the edge asks of callers: TLS, a token, the scope for what they want, and patience.

Order counts. The token is checked before anything of a request is looked at; the scope after JSON
has become gRPC, so that there is one table of paths; the tenant's rate at the end, so that nobody
uses up what is another's. Who the tenant is goes on in a header that callers cannot set.
"""

from __future__ import annotations

import copy
from ipaddress import ip_address
from typing import TYPE_CHECKING

from mesh.envoy.model import extension, typed, watched
from mesh.envoy.transcoder import RPC_SERVICE as CONTROL
from mesh.envoy.trust import RBAC
from mesh.services import SERVICES
from voicemesh.channel import BEAT
from voicemesh.residency import TENANT_HEADER
from voicemesh.tls import CERTIFICATE, KEY

if TYPE_CHECKING:
    from pathlib import Path

    from mesh.envoy.model import Json, Layout
    from mesh.topology import Region, Topology

PUBLIC = "public"
"""Name of the secret with the certificate that callers see."""
OPEN = ("/carriers/", "/softphone")
"""Paths whose callers cannot have a token: they are known by signature, ticket or the number."""
JWT, LIMIT, TRANSCODER = (
    "envoy.filters.http.jwt_authn",
    "envoy.filters.http.local_ratelimit",
    "envoy.filters.http.grpc_json_transcoder",
)
_CLAIMS = "claims"
_READING = ("GetCall", "ListCalls", "WatchCalls")
_UNKNOWN_TENANT = {"max_tokens": 100_000, "tokens_per_fill": 100_000, "fill_interval": "1s"}


def public_secret(layout: Layout, *, inline: bool = False) -> dict[Path, Json]:
    """Return the SDS document of the edge's certificate; as `trust.secrets`."""
    folder = layout.public

    def source(name: str) -> Json:
        if inline:
            return {"inline_string": (folder / name).read_text(encoding="utf-8")}
        return {"filename": str(folder / name)}

    watch = {} if inline else {"watched_directory": {"path": str(folder)}}
    shown = {"certificate_chain": source(CERTIFICATE), "private_key": source(KEY), **watch}
    secret = typed(
        "envoy.extensions.transport_sockets.tls.v3.Secret", name=PUBLIC, tls_certificate=shown
    )
    return {layout.secret(PUBLIC): {"resources": [secret]}}


def admit(topology: Topology, region: Region, layout: Layout, parts: tuple[Json, Json]) -> None:
    """Add what the edge asks of callers to a bootstrap and routes, in place."""
    bootstrap, routes = parts
    [listener] = bootstrap["static_resources"]["listeners"]
    [chain] = listener["filter_chains"]
    if topology.access.tokens:
        manager = chain["filters"][0]["typed_config"]
        _check(manager["http_filters"], topology, layout)
        for host in routes["resources"][0]["virtual_hosts"]:
            _limit(host, topology, region)
    _encrypt(listener, topology, region, layout)


def _encrypt(listener: Json, topology: Topology, region: Region, layout: Layout) -> None:
    """Take TLS connections, and others where that is allowed, on one port."""
    [plain] = listener["filter_chains"]
    encrypted = copy.deepcopy(plain)
    plain["filter_chain_match"] = {"transport_protocol": "raw_buffer"}
    encrypted["filter_chain_match"] = {"transport_protocol": "tls"}
    context = {
        "alpn_protocols": ["h2", "http/1.1"],
        "tls_params": {"tls_minimum_protocol_version": "TLSv1_2"},
        "tls_certificate_sds_secret_configs": [
            {"name": PUBLIC, "sds_config": watched(layout.secret(PUBLIC))}
        ],
    }
    encrypted["transport_socket"] = extension(
        "envoy.transport_sockets.tls",
        "envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
        common_tls_context=context,
    )
    allowed = topology.access.plaintext
    near = allowed == "loopback" and ip_address(region.host).is_loopback
    listener["filter_chains"] = [encrypted, *([plain] if near or allowed == "everywhere" else [])]
    listener["listener_filters"] = [
        extension(
            "envoy.filters.listener.tls_inspector",
            "envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector",
        )
    ]


def _check(filters: list[Json], topology: Topology, layout: Layout) -> None:
    filters.insert(0, _tokens(topology, layout))
    behind = next(place for place, one in enumerate(filters) if one["name"] == TRANSCODER) + 1
    filters[behind:behind] = [_scopes(), _limiter()]


def _tokens(topology: Topology, layout: Layout) -> Json:
    access = topology.access
    provider = {
        "issuer": access.issuer,
        "audiences": [access.audience],
        "local_jwks": {"filename": str(access.jwks or layout.keys)},
        "forward": False,
        "clock_skew_seconds": 10,
        # The route was chosen before the token told the tenant.
        "clear_route_cache": True,
        "claim_to_headers": [{"header_name": TENANT_HEADER, "claim_name": "tenant"}],
        "payload_in_metadata": _CLAIMS,
    }
    free = [{"match": {"prefix": prefix}} for prefix in OPEN] + [{"match": {"path": BEAT}}]
    return extension(
        JWT,
        "envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication",
        providers={"tokens": provider},
        rules=[*free, {"match": {"prefix": "/"}, "requires": {"provider_name": "tokens"}}],
    )


def _scopes() -> Json:
    """Say which scope each path needs; whatever is not named here is refused."""
    control = f"/{CONTROL}/"
    reading: list[Json] = [{"exact": f"{control}{name}"} for name in _READING]
    placing: list[Json] = [
        {"exact": f"{control}CreateCall"},
        {"prefix": SERVICES["gateway"].prefix},
        {"prefix": "/voicemesh.api.locate."},
    ]
    acting: Json = {
        "and_rules": {
            "rules": [
                _path({"prefix": control}),
                *({"not_rule": _path(one)} for one in (*reading, placing[0])),
            ]
        }
    }
    free: list[Json] = [*({"prefix": prefix} for prefix in OPEN), {"exact": BEAT}]
    policies = {
        "call-create": {"permissions": [*map(_path, placing)], "principals": [_has("call:create")]},
        "call-read": {"permissions": [*map(_path, reading)], "principals": [_has("call:read")]},
        "call-control": {"permissions": [acting], "principals": [_has("call:control")]},
        "open": {"permissions": [*map(_path, free)], "principals": [{"any": True}]},
    }
    return extension(
        RBAC,
        "envoy.extensions.filters.http.rbac.v3.RBAC",
        rules={"action": "ALLOW", "policies": policies},
    )


def _path(match: Json) -> Json:
    return {"url_path": {"path": match}}


def _has(scope: str) -> Json:
    matcher = {
        "filter": JWT,
        "path": [{"key": _CLAIMS}, {"key": "scope"}],
        "value": {"string_match": {"contains": scope}},
    }
    return {"sourced_metadata": {"metadata_matcher": matcher}}


def _limiter() -> Json:
    """Limit nothing by itself: the limits are with the routes, where they can change."""
    return extension(
        LIMIT,
        "envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit",
        stat_prefix="tenants",
    )


def _limit(host: Json, topology: Topology, region: Region) -> None:
    share = 1 / region.edge.replicas
    descriptors = [
        {
            "entries": [{"key": "tenant", "value": name}],
            "token_bucket": {
                "max_tokens": max(1, round(tenant.burst * share)),
                "tokens_per_fill": max(1, round(tenant.opens_per_second * share)),
                "fill_interval": "1s",
            },
        }
        for name, tenant in topology.tenants.items()
    ]
    always = {"default_value": {"numerator": 100, "denominator": "HUNDRED"}}
    host["rate_limits"] = [
        {
            "actions": [
                {"request_headers": {"header_name": TENANT_HEADER, "descriptor_key": "tenant"}}
            ]
        }
    ]
    host["typed_per_filter_config"] = {
        LIMIT: typed(
            "envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit",
            stat_prefix="tenants",
            token_bucket=_UNKNOWN_TENANT,
            filter_enabled=always,
            filter_enforced=always,
            descriptors=descriptors,
            rate_limited_as_resource_exhausted=True,
        )
    }
