"""`voicemesh units`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.support.command import told
from voicemesh.capacity import units

if TYPE_CHECKING:
    from pathlib import Path

PROCESSES = {"gateway-0": 3.0, "edge-0": 1.0}


def bench(folder: Path, calls: int) -> str:
    path = folder / f"{calls}.json"
    run = {"calls": calls, "seconds": 30, "leg": "twilio", "noise": ["a busy host"]}
    path.write_text(json.dumps(run | {"cpu_ms_per_session_second": PROCESSES}))
    return str(path)


def test_benchmarks_become_unit_costs(tmp_path: Path) -> None:
    target = tmp_path / "units.json"
    shown = told(
        *("units", bench(tmp_path, 20), bench(tmp_path, 80)),
        *("--write", str(target), "--machine", "a test"),
    )
    assert "3.000" in shown
    assert "noisy: 20 calls: a busy host" in shown
    written = units.load(target)
    assert written.origin.machine == "a test"
    assert written.origin.calls == (20, 80)
    assert written.kinds["gateway"].call_cores == 0.003


def test_without_benchmarks_it_shows_what_is_used() -> None:
    assert units.UnitCosts.model_validate_json(told("units", "--json")) == units.load()
