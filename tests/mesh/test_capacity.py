"""`voicemesh plan` over real topologies."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mesh.capacity import world_of
from mesh.topology import load
from tests.support.command import told
from voicemesh.errors import InvalidInput

TOPOLOGIES = Path(__file__).parents[2] / "mesh" / "topologies"
THREE = TOPOLOGIES / "three-regions.yaml"


def test_a_world_has_the_topologys_fences() -> None:
    world = world_of(load(THREE))
    assert world.names == ("eu-west", "eu-central", "us-east")
    assert world["eu-west"].fences == {
        "eu": ("eu-west", "eu-central"),
        "any": ("eu-west", "eu-central", "us-east"),
    }
    assert world["us-east"].fences["us"] == ("us-east",)
    assert world["eu-west"].replicas["orchestrator"] == 2
    assert world["eu-west"].replicas["edge"] == 2
    assert world["eu-west"].away_ms == {"eu-central": 25, "us-east": 75}


def test_a_plan_is_told_for_programs() -> None:
    found = json.loads(told("plan", "-n", "10000", "-t", str(THREE), "--json"))
    regions = {region["name"]: region for region in found["regions"]}
    assert regions["eu-central"]["calls"]["spare"] == pytest.approx(10000 / 3)
    assert regions["us-east"]["calls"]["spare"] == 0
    assert found["refused_if_lost"] == {"us-east": {"us": pytest.approx(10000 / 3)}}
    assert found["prices_are_examples"]
    assert regions["eu-west"]["money_per_hour"]["total"] > 0
    assert {row["kind"] for row in regions["eu-west"]["rows"]} == {
        *("edge", "mesh", "gateway", "orchestrator", "stt", "llm", "tts")
    }


def test_a_plan_is_told_for_people() -> None:
    shown = told("plan", "-n", "1000", "-t", str(THREE), "--shares", "eu-west=1,us-east/any=1")
    assert "eu-central" in shown
    assert "prices are examples" in shown
    assert "refused" not in shown  # callers who do not mind go to eu-west


def test_what_is_wrong_is_explained() -> None:
    with pytest.raises(InvalidInput, match="no region 'mars'"):
        told("plan", "-n", "10", "-t", str(THREE), "--shares", "mars=1")
