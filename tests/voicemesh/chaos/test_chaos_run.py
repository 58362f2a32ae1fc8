"""A real mesh, real calls, real faults."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from voicemesh.chaos.aim import NAME
from voicemesh.cli import build

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.slow
def test_calls_survive_the_orchestrators_that_are_killed(tmp_path: Path) -> None:
    chart = tmp_path / "chaos.png"
    options = (
        "--calls 4 --seconds 8 --fault kill --target orchestrator --every 2 --seed 8223 --json"
    )
    result = CliRunner().invoke(build(), ["chaos", *options.split(), "--picture", str(chart)])
    told = json.loads(result.stdout)
    losses = {name: count for name, count in told.items() if name.endswith(LOSSES)}
    assert len(losses) == 7
    assert not any(losses.values()), told["findings"]
    assert told["faults"] == {"kill orchestrator": 4}
    assert told["turns"] >= 4
    assert told["tool_calls"] >= 1
    assert chart.read_bytes().startswith(b"\x89PNG")
    assert result.exit_code == 0


@pytest.mark.slow
def test_no_tool_is_called_twice_by_the_orchestrators_that_are_killed_as_they_call_it() -> None:
    options = "--calls 4 --seconds 8 --fault tool --seed 8223 --json"
    result = CliRunner().invoke(build(), ["chaos", *options.split()])
    told = json.loads(result.stdout)
    assert not any(count for name, count in told.items() if name.endswith(LOSSES)), told["findings"]
    assert told["faults"][NAME] >= 2
    assert told["tool_requests"] > told["tool_calls"]
    assert result.exit_code == 0


LOSSES = ("_lost", "_repeated", "_wrong")


def test_an_unknown_fault_is_refused_with_those_there_are() -> None:
    result = CliRunner().invoke(build(), ["chaos", "--fault", "earthquake"])
    assert "use kill, hang, loop, cut, drain, deploy, tool, provider" in str(result.exception)
