"""Encrypts every inner hop of an Envoy and says who may use which service.

Listeners ask for a certificate of our issuer, clusters believe only the identities that their
replicas have. Certificates come from files (SDS), which Envoy reads again when one of them is
renamed into its folder; connections that stand are not touched by that.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mesh.envoy.model import extension, typed, watched
from mesh.envoy.transcoder import RPC_SERVICE as CONTROL
from mesh.services import SERVICES
from voicemesh.channel import BEAT
from voicemesh.identity import HEALTH, OPERATOR
from voicemesh.tls import CERTIFICATE, KEY, ROOTS

if TYPE_CHECKING:
    from pathlib import Path

    from mesh.envoy.model import Json, Layout
    from mesh.services import Envoy, ServiceName
    from mesh.topology import Region, Topology
    from mesh.topology.trust import Trust

SHOWN, BELIEVED = "shown", "believed"
"""Names of the two secrets: what an Envoy shows, whom it believes."""
FRONT = "front"
"""Name of the listener that takes other regions' streams."""
RBAC = "envoy.filters.http.rbac"
CALLERS: dict[ServiceName, frozenset[str]] = {
    "gateway": frozenset({"sip", OPERATOR}),
    "orchestrator": frozenset({"gateway"}),
    "stt": frozenset({"orchestrator", OPERATOR}),
    "llm": frozenset({"orchestrator", OPERATOR}),
    "tts": frozenset({"orchestrator", "gateway", OPERATOR}),
    "sip": frozenset({"gateway", OPERATOR}),
}
"""Who may use a service through a mesh Envoy. Gateways speak their own lines in an outage."""
_DOORS = "region/[a-z0-9-]+/service/(mesh|edge)"
"""Identities of the Envoys of all regions."""
_CONTROLLERS = frozenset({"gateway", "sip", OPERATOR})
"""Who may ask gateways about calls."""


def secrets(layout: Layout, *, inline: bool = False) -> dict[Path, Json]:
    """Return the SDS documents of an Envoy.

    They name the files of its certificate, which Envoy watches; or they hold what is in them
    (``inline``), and have to be written anew when that changes. Each folder that an Envoy watches
    costs it an inotify instance, of which Linux has 128 for all of a user's processes.
    """
    folder = layout.identity

    def source(name: str) -> Json:
        if inline:
            return {"inline_string": (folder / name).read_text(encoding="utf-8")}
        return {"filename": str(folder / name)}

    watch = {} if inline else {"watched_directory": {"path": str(folder)}}
    shown = {"certificate_chain": source(CERTIFICATE), "private_key": source(KEY), **watch}
    believed = {"trusted_ca": source(ROOTS), **watch}
    return {
        layout.secret(SHOWN): _secret(SHOWN, tls_certificate=shown),
        layout.secret(BELIEVED): _secret(BELIEVED, validation_context=believed),
    }


def encrypt(
    topology: Topology, region: Region, envoy: Envoy, layout: Layout, parts: tuple[Json, Json]
) -> None:
    """Add encryption and checks to a bootstrap and clusters, in place."""
    bootstrap, clusters = parts
    for cluster in clusters["resources"]:
        if "cluster_type" in cluster:
            continue  # it has no members of its own
        cluster["transport_socket"] = _towards(cluster, topology.trust, region, layout)
    for listener in bootstrap["static_resources"]["listeners"]:
        front = listener["name"] == FRONT
        if front or envoy.door == "mesh":
            _guard(listener, topology, region, layout, front=front)


def service_of(cluster: Json) -> ServiceName:
    """Return the service whose replicas a cluster has."""
    asked = cluster["health_checks"][0].get("grpc_health_check", {}).get("service_name")
    found = [kind.name for kind in SERVICES.values() if kind.rpc_service == asked]
    return found[0] if found else "gateway"


def _towards(cluster: Json, trust: Trust, region: Region, layout: Layout) -> Json:
    """Believe replicas of this region, or the mesh Envoys that are another region's front door."""
    identity = trust.identity(region.name, service_of(cluster))
    if cluster["name"].startswith("front."):
        identity = trust.identity(cluster["name"].split(".")[1], "mesh")
    names: list[Json] = [{"exact": str(identity)}]
    plain = "'http2_protocol_options'" not in str(cluster["typed_extension_protocol_options"])
    return extension(
        "envoy.transport_sockets.tls",
        "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
        sni=identity.host,
        common_tls_context=_context(layout, names, "http/1.1" if plain else "h2"),
    )


def _guard(
    listener: Json, topology: Topology, region: Region, layout: Layout, *, front: bool
) -> None:
    domain = topology.trust.domain
    inside = {"prefix": f"spiffe://{domain}/region/{region.name}/"}
    # Not their names: a region that is added must not need another listener.
    doors = [{"safe_regex": {"regex": rf"spiffe://{re.escape(domain)}/{_DOORS}"}}]
    [chain] = listener["filter_chains"]
    chain["transport_socket"] = extension(
        "envoy.transport_sockets.tls",
        "envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
        require_client_certificate=True,
        common_tls_context=_context(layout, doors if front else [inside], "h2"),
    )
    manager = chain["filters"][0]["typed_config"]
    rules = _neighbours_only(doors) if front else _by_service(topology.trust, region)
    manager["http_filters"].insert(0, _allow(rules))


def _neighbours_only(doors: list[Json]) -> Json:
    return {"neighbours": {"permissions": [{"any": True}], "principals": [_who(doors)]}}


def _by_service(trust: Trust, region: Region) -> Json:
    """Return who may use what; whatever is not named here is refused."""
    policies: Json = {}
    for service, callers in CALLERS.items():
        policies[service] = _policy(SERVICES[service].prefix, callers, trust, region)
    policies["control"] = _policy(f"/{CONTROL}/", _CONTROLLERS, trust, region)
    anybody = {"any": True}  # with a certificate of this region
    paths = [_path({"exact": BEAT}), _path({"prefix": HEALTH})]
    policies["life"] = {"permissions": paths, "principals": [anybody]}
    return policies


def _policy(prefix: str, callers: frozenset[str], trust: Trust, region: Region) -> Json:
    names = [{"exact": str(trust.identity(region.name, one))} for one in sorted(callers)]
    return {"permissions": [_path({"prefix": prefix})], "principals": [_who(names)]}


def _path(match: Json) -> Json:
    return {"url_path": {"path": match}}


def _who(names: list[Json]) -> Json:
    return {"or_ids": {"ids": [{"authenticated": {"principal_name": name}} for name in names]}}


def _allow(policies: Json) -> Json:
    return extension(
        RBAC,
        "envoy.extensions.filters.http.rbac.v3.RBAC",
        rules={"action": "ALLOW", "policies": policies},
    )


def _context(layout: Layout, names: list[Json], protocol: str) -> Json:
    return {
        "alpn_protocols": [protocol],
        # As a client Envoy would by itself offer 1.2 at most.
        "tls_params": {
            "tls_minimum_protocol_version": "TLSv1_3",
            "tls_maximum_protocol_version": "TLSv1_3",
        },
        "tls_certificate_sds_secret_configs": [_source(layout, SHOWN)],
        "combined_validation_context": {
            "default_validation_context": {
                "match_typed_subject_alt_names": [
                    {"san_type": "URI", "matcher": name} for name in names
                ]
            },
            "validation_context_sds_secret_config": _source(layout, BELIEVED),
        },
    }


def _source(layout: Layout, name: str) -> Json:
    return {"name": name, "sds_config": watched(layout.secret(name))}


def _secret(name: str, **fields: object) -> Json:
    return {
        "resources": [
            typed("envoy.extensions.transport_sockets.tls.v3.Secret", name=name, **fields)
        ]
    }
