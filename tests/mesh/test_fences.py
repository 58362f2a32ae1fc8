"""What three regions become: fences that hold nothing else, refusals of what is unknown."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest

from mesh.envoy import Endpoint, Layout, Rendered, lint, render, validate
from mesh.envoy.model import Json
from mesh.services import DoorName, Envoy
from mesh.topology import Topology, load, parse
from voicemesh.residency import ATTEMPT_HEADER, RESIDENCY_HEADER, TENANT_HEADER

THREE = Path(__file__).parents[2] / "mesh" / "topologies" / "three-regions.yaml"


def rendered(region: str, door: DoorName = "mesh", world: Topology | None = None) -> Rendered:
    topology = world or load(THREE)
    here = topology.region(region)
    assert here
    live = [Endpoint("orchestrator", "127.0.0.1", 7300, region, "orchestrator-0")]
    return render(topology, here, Envoy(door), Layout(Path("/run/v"), Path("/run/l")), live=live)


def parts(config: Rendered, name: str) -> list[str]:
    [found] = [one for one in config.clusters["resources"] if one["name"] == name]
    clusters: list[str] = found["cluster_type"]["typed_config"]["clusters"]
    return clusters


def ways(document: Json | None, prefix: str) -> list[tuple[dict[str, str], str]]:
    """Return what each route of a service asks for in headers, and where it leads."""
    assert document
    found = []
    for route in document["resources"][0]["virtual_hosts"][0]["routes"]:
        if prefix in route["match"].get("prefix", ""):
            asked = {
                one["name"]: next(iter(one["string_match"].values()))
                for one in route["match"].get("headers", [])
            }
            to = route.get("route", {}).get("cluster") or str(route["direct_response"]["status"])
            found.append(({name: str(value) for name, value in asked.items()}, to))
    return found


def test_a_fence_is_this_region_and_then_its_neighbours_that_serve_the_zone() -> None:
    west, east = rendered("eu-west"), rendered("us-east")
    near, far = "front.eu-central.orchestrator", "front.us-east.orchestrator"
    assert parts(west, "orchestrator.eu") == ["orchestrator", near]
    assert parts(west, "orchestrator.eu.reversed") == [near, "orchestrator"]
    assert parts(west, "orchestrator.any") == ["orchestrator", near, far]
    assert parts(east, "orchestrator.us") == ["orchestrator"]
    names = {one["name"] for one in east.clusters["resources"]}
    assert not [name for name in names if name.endswith(".eu")]


def test_a_stream_goes_by_its_zone_and_its_attempt_or_not_at_all() -> None:
    found = ways(rendered("eu-west").routes, "SessionService")
    late = {RESIDENCY_HEADER: "eu", ATTEMPT_HEADER: "{'regex': '[3-9]|[1-9][0-9]+'}"}
    assert found[:2] == [
        (late, "orchestrator.eu.reversed"),
        ({RESIDENCY_HEADER: "eu"}, "orchestrator.eu"),
    ]
    assert found[-1] == ({}, "403")


def test_a_front_door_leads_to_its_own_region_only() -> None:
    found = ways(rendered("eu-west").front_routes, "SessionService")
    assert found == [
        ({RESIDENCY_HEADER: "eu"}, "orchestrator"),
        ({RESIDENCY_HEADER: "any"}, "orchestrator"),
        ({}, "403"),
    ]


def test_the_edge_goes_by_the_tenant_and_keeps_strangers_here() -> None:
    tenants = {"eu": "acme", "us": "initech", "any": "globex"}
    asked = {zone: {TENANT_HEADER: f"{{'regex': '{who}'}}"} for zone, who in tenants.items()}
    found = ways(rendered("us-east", "edge").routes, "CallService")
    assert (asked["eu"], "403") in found
    assert (asked["us"], "gateway.us") in found
    assert (asked["any"], "gateway.any") in found
    assert found[-1] == ({}, "gateway")


def test_a_cluster_that_leads_beyond_its_zone_is_refused_at_render() -> None:
    broken = copy.deepcopy(rendered("eu-west"))
    for cluster in broken.clusters["resources"]:
        if cluster["name"] == "stt.eu":
            cluster["cluster_type"]["typed_config"]["clusters"].append("front.us-east.stt")
    assert lint(broken) == ["fences: stt.eu: leads to front.us-east.stt"]


@pytest.mark.parametrize("door", ["edge", "mesh"])
def test_names_are_resolved_by_envoy(door: DoorName) -> None:
    text = THREE.read_text(encoding="utf-8")
    text = text.replace(
        "front: {port: 7102}", 'front: {port: 7102, addresses: ["eu-central.example.com:443"]}'
    ).replace("stt: {replicas: 1,", 'stt: {dns: "stt.voice.svc.cluster.local:7100",')
    config = rendered("eu-west", door, parse(text, THREE))
    validate(config)
    kinds = {one["name"]: one.get("type") for one in config.clusters["resources"]}
    if door == "mesh":
        assert kinds["stt"] == kinds["front.eu-central.stt"] == "STRICT_DNS"
        assert (kinds["orchestrator"], kinds["front.us-east.stt"]) == ("EDS", "STATIC")
    else:
        assert kinds["front.eu-central.gateway"] == "STRICT_DNS"
