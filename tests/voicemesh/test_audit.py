"""A call's record is held against the fence of its zone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gateway.hops import MAX_HOPS, Hops
from voicemesh.audit import check, read
from voicemesh.errors import Denied, InvalidInput, NotFound
from voicemesh.world import Owner, Place, World, WorldFile

EU = frozenset({"eu-west", "eu-central"})


def record_of(hops: Hops, folder: Path, residency: str = "eu") -> Path:
    path = folder / "c1.json"
    text = {"call_id": "c1", "residency": residency, "tenant": "acme", **hops.as_record()}
    path.write_text(json.dumps(text), encoding="utf-8")
    return path


def a_call(*more: tuple[str, str, str]) -> Hops:
    hops = Hops()
    hops.took("edge", "eu-west", "edge-0", 1.0)
    hops.took("gateway", "eu-west", "gateway-0", 1.0)
    hops.took("orchestrator", "eu-west", "orchestrator-1", 1.1)
    for hop in more:
        hops.took(*hop)
    return hops


def test_a_call_that_stayed_inside_is_proved(tmp_path: Path) -> None:
    hops = a_call(("stt", "eu-central", "stt-0"), ("stt", "eu-central", "stt-0"))
    record_of(hops, tmp_path)
    found = check(read("c1", tmp_path), EU)
    assert found.kept
    assert [hop.service for hop in found.record.hops] == ["edge", "gateway", "orchestrator", "stt"]
    assert found.record.hops[0].time == "1970-01-01T00:00:01Z"


def test_a_hop_outside_is_found(tmp_path: Path) -> None:
    path = record_of(a_call(("tts", "us-east", "tts-0")), tmp_path)
    found = check(read(str(path), tmp_path), EU)
    assert not found.kept
    assert [(hop.service, hop.region) for hop in found.beyond] == [("tts", "us-east")]


def test_a_record_that_says_too_little_proves_nothing(tmp_path: Path) -> None:
    path = record_of(Hops(), tmp_path, residency="")
    found = check(read(str(path), tmp_path), frozenset())
    assert not found.kept
    assert len(found.problems) == 3
    many = a_call(*(("stt", "eu-west", f"stt-{one}") for one in range(MAX_HOPS)))
    assert not check(read(str(record_of(many, tmp_path)), tmp_path), EU).kept
    with pytest.raises(NotFound, match="--records"):
        read("c2", tmp_path)
    path.write_text("[]", encoding="utf-8")
    with pytest.raises(InvalidInput, match="no call's record"):
        read("c1", tmp_path)


def test_hops_go_on_behind_those_of_the_gateway_before() -> None:
    hops = Hops(a_call().all)
    hops.took("orchestrator", "eu-west", "orchestrator-1")
    hops.took("gateway", "eu-central", "gateway-0")
    assert [hop.region for hop in hops.all if hop.service == "gateway"] == ["eu-west", "eu-central"]
    assert len(hops.all) == 4


WORLD = World(
    region="eu-west",
    places=(
        Place(name="eu-west", zones=("eu", "any")),
        Place(name="us-east", zones=("us", "any")),
    ),
    tenants={"acme": Owner(residency="eu"), "initech": Owner(residency="us")},
    numbers={"+35315550100": "acme"},
)


def test_residency_is_the_tenants_and_nobody_elses() -> None:
    assert WORLD.residency(WORLD.owner("acme", "+12025550100")) == "eu"
    assert WORLD.residency(WORLD.owner("", "+35315550100")) == "eu"
    assert WORLD.residency("acme", "eu") == "eu"
    for tenant, told, reason in (
        ("", "", "NO_RESIDENCY"),
        ("initech", "", "WRONG_REGION"),
        ("initech", "eu", "WRONG_RESIDENCY"),
        ("acme", "any", "WRONG_RESIDENCY"),
        ("mallory", "", "NO_TENANT"),
        ("", "us", "WRONG_REGION"),
    ):
        with pytest.raises(Denied) as caught:
            WORLD.residency(tenant, told)
        assert caught.value.reason == reason
    assert WORLD.model_copy(update={"callers": "any"}).residency("") == "any"
    assert World().residency("", "") == ""


def test_a_world_is_read_again_when_its_file_is_another(tmp_path: Path) -> None:
    path = tmp_path / "world.json"
    path.write_text(WORLD.model_dump_json(), encoding="utf-8")
    file = WorldFile(str(path))
    assert file.now == WORLD
    fresh = tmp_path / "fresh"
    fresh.write_text(WORLD.model_copy(update={"callers": "any"}).model_dump_json())
    fresh.replace(path)
    assert file.now.callers == "any"
    path.unlink()
    assert file.now.callers == "any"
    assert WorldFile("").now.residency("") == ""
