"""The stories of ``tests/scenarios``, told by the conversation itself.

If one of these fails, run ``pytest tests/orchestrator/test_scenarios.py --rewrite`` and read the
difference. Commit it only if you understand what caused it and want it.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.orchestrator.scenario import Scenario

FILES = sorted((Path(__file__).parents[1] / "scenarios").glob("*.txt"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_scenario(path: Path, request: pytest.FixtureRequest) -> None:
    scenario = Scenario.read(path)
    trace = "\n".join(scenario.run().trace.lines) + "\n"
    if request.config.getoption("--rewrite"):
        scenario.write(path, trace)
    else:
        assert trace.splitlines() == scenario.trace.splitlines()
