"""Predictions beside measurements, and the command."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.support.command import told
from tests.voicemesh.capacity.test_capacity_units import ORIGIN, TRUE, run, told as bench
from voicemesh.capacity.units import fit
from voicemesh.errors import InvalidInput
from voicemesh.simulation.check import check

if TYPE_CHECKING:
    from pathlib import Path

FITTED = fit([run(20), run(80), run(150)], ORIGIN.model_copy(update={"calls": (20, 80, 150)}))


def test_what_follows_the_model_is_foretold() -> None:
    lines = check(FITTED, [run(50), run(100), run(200)])
    assert {line.calls for line in lines} == {50, 100, 200}
    assert {"gateway", "all processes", "turn p50"} <= {line.name for line in lines}
    assert all(line.holds(0.001) for line in lines)


def test_what_does_not_is_told() -> None:
    dear = TRUE.model_copy(
        update={
            "kinds": TRUE.kinds
            | {"gateway": TRUE.kinds["gateway"].model_copy(update={"call_cores": 0.006})}
        }
    )
    measured = run(50).model_validate(bench(50, dear))
    wrong = {line.name for line in check(FITTED, [measured]) if not line.holds()}
    assert {"gateway", "all processes"} <= wrong
    assert "orchestrator" not in wrong


def test_small_processes_and_short_times_are_not_judged_by_shares() -> None:
    [gateway, orchestrator, edge, whole, turn] = check(FITTED, [run(100)])
    assert gateway.judged
    assert orchestrator.judged
    assert whole.judged
    assert edge.judged == (edge.measured >= 0.05 * whole.measured)
    assert turn.slack == 5.0


def test_loads_that_were_fitted_foretell_nothing() -> None:
    with pytest.raises(InvalidInput, match="fitted to 80 calls"):
        check(FITTED, [run(80)])


def test_the_command_checks(tmp_path: Path) -> None:
    costs, measured = tmp_path / "units.json", tmp_path / "50.json"
    costs.write_text(FITTED.model_dump_json())
    measured.write_text(json.dumps(bench(50)))
    arguments = ("simulate", "--units", str(costs), "--check", str(measured))
    assert "predictions hold" in told(*arguments)
    assert all(line["holds"] for line in json.loads(told(*arguments, "--json")))
    twice = bench(50) | {"turn": {"p50_ms": 2000}}
    measured.write_text(json.dumps(twice))
    assert "+" in told(*arguments, code=1) or "-" in told(*arguments, code=1)


def test_the_command_simulates(tmp_path: Path) -> None:
    picture = tmp_path / "rush.png"
    shown = told(
        *("simulate", "-n", "20000", "--ramp", "2", "--minutes", "4"),
        *("--lose", "in-west", "--picture", str(picture)),
    )
    assert "in-west lost after 2 min" in shown
    assert "at once on" in shown
    assert picture.read_bytes().startswith(b"\x89PNG")
    drawings = [tmp_path / name for name in ("one.svg", "two.svg")]
    for drawing in drawings:
        told("simulate", "-n", "900", "--ramp", "1", "--minutes", "2", "--picture", str(drawing))
    assert drawings[0].read_bytes() == drawings[1].read_bytes()
    again = ("simulate", "-n", "5000", "--ramp", "1", "--minutes", "2", "--json", "--seed", "5")
    assert told(*again) == told(*again)
    found = json.loads(told(*again, "--lose", "none"))
    assert found["total"]["resumed"] == 0
    assert found["story"]["seed"] == 5
    with pytest.raises(InvalidInput, match="no region 'mars'"):
        told("simulate", "--lose", "mars")
