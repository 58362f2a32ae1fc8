"""A world in one file: who may overflow to whom, and every mistake in it at once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mesh.topology import Topology, load, parse, problems
from mesh.topology.nearness import kilometres, round_trip_ms
from voicemesh.cli import build

THREE = Path(__file__).parents[2] / "mesh" / "topologies" / "three-regions.yaml"


def fence(topology: Topology, region: str, zone: str) -> list[str]:
    found = topology.region(region)
    assert found
    return [one.name for one in topology.fence(found, zone)]


def test_a_zone_stays_in_the_regions_that_serve_it_nearest_first() -> None:
    world = load(THREE)
    assert world.zones == ("eu", "any", "us")
    assert fence(world, "eu-west", "eu") == ["eu-west", "eu-central"]
    assert fence(world, "eu-central", "eu") == ["eu-central", "eu-west"]
    assert fence(world, "eu-west", "any") == ["eu-west", "eu-central", "us-east"]
    assert fence(world, "us-east", "any") == ["us-east", "eu-west", "eu-central"]
    assert fence(world, "us-east", "us") == ["us-east"]
    assert fence(world, "us-east", "eu") == []
    assert fence(world, "eu-west", "us") == []


def test_who_nobody_knows_is_refused_where_zones_differ() -> None:
    assert load(THREE).residency_of_strangers is None
    assert load(THREE.with_name("two-regions.yaml")).residency_of_strangers == "any"
    assert load(THREE.with_name("local.yaml")).residency_of_strangers == "any"
    text = THREE.read_text(encoding="utf-8") + "callers: any\n"
    assert parse(text, THREE).residency_of_strangers == "any"


def test_every_number_leads_to_its_tenant() -> None:
    assert load(THREE).numbers["+12025550100"] == "initech"


def test_a_measured_round_trip_wins_over_the_way_around_the_globe() -> None:
    world = load(THREE)
    west, central, east = world.regions
    assert round_trip_ms(west, central) == round_trip_ms(central, west) == 25
    assert kilometres((53.35, -6.26), (50.11, 8.68)) == pytest.approx(1085, abs=15)
    assert 60 < (round_trip_ms(east, west) or 0) < 90
    assert kilometres((0, 0), (0, 180)) == pytest.approx(20015, abs=5)


BROKEN = """\
name: world
regions:
  - name: north
    zones: [eu, eu]
    neighbours: [south, nroth]
    latency_ms: {west: 10}
    edge: {port: 7000}
    services:
      stt: {addresses: ["10.0.0.1:7000"]}
  - name: south
    neighbours: far
    edge: {port: 7000}
    services: {stt: {}}
  - name: south
    services: {stt: {dns: "stt.example:7000", replicas: 2}}
"""
TENANTS = """\
tenants:
  acme: {residency: eu, home: south, numbers: ["+35315550100"]}
  initech: {residency: mars, numbers: ["+35315550100"]}
callers: moon
"""


def told(text: str, tmp_path: Path) -> list[tuple[str, str]]:
    path = tmp_path / "world.yaml"
    path.write_text(text, encoding="utf-8")
    return [(one.details["line"], one.details["field"]) for one in problems(path)]


def test_every_mistake_is_told_with_its_line(tmp_path: Path) -> None:
    assert told(BROKEN, tmp_path) == [
        ("11", "regions[1].neighbours"),
        ("15", "regions[2].services.stt"),
    ]
    mended = BROKEN.replace("far", "[north]").replace(", replicas: 2", "") + TENANTS
    assert told(mended, tmp_path) == [
        ("4", "regions[0].zones[1]"),
        ("5", "regions[0].neighbours[1]"),
        ("6", "regions[0].latency_ms.west"),
        ("10", "regions[1]"),
        ("14", "regions[2].name"),
        ("17", "tenants.acme.home"),
        ("18", "tenants.initech.residency"),
        ("18", "tenants.initech.numbers[0]"),
        ("19", "callers"),
    ]


def test_check_and_show_say_what_a_file_means(tmp_path: Path) -> None:
    run = CliRunner().invoke
    good = run(build(), ["topology", "check", str(THREE)])
    assert (good.exit_code, "3 regions, 3 zones" in good.output) == (0, True)
    path = tmp_path / "world.yaml"
    path.write_text(BROKEN, encoding="utf-8")
    bad = run(build(), ["topology", "check", str(path)])
    assert bad.exit_code == 1
    assert f"{path}:15: regions[2].services.stt: replicas and dns exclude each other" in bad.output
    shown = run(build(), ["topology", "show", str(THREE)])
    assert "eu-west -> eu-central (25 ms) -> us-east (75 ms)" in shown.output
    assert "refused" in shown.output
    data = json.loads(run(build(), ["topology", "show", str(THREE), "--json"]).output)
    assert data["fences"]["us-east"] == {
        "eu": [],
        "any": data["fences"]["us-east"]["any"],
        "us": [{"region": "us-east", "round_trip_ms": 0.0}],
    }
