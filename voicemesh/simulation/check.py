"""Predictions beside measurements: unit costs from some loads have to foretell others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from voicemesh.capacity.units import measured
from voicemesh.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voicemesh.capacity.runs import Run
    from voicemesh.capacity.units import UnitCosts

WITHIN = 0.15
"""How far a prediction may be off."""
SMALL_SHARE = 0.05
"""Processes that take less than this share of all processor time are shown, but not judged: they
are below what the kernel's clock (10 ms) tells apart in half a minute."""
SHORT_MS = 5.0
"""A time that is off by less than this is right, whatever share it is."""


@dataclass(frozen=True)
class Line:
    """One prediction."""

    calls: int
    name: str
    unit: str
    predicted: float
    measured: float
    judged: bool
    slack: float = 0.0
    """Difference that does not matter."""

    @property
    def error(self) -> float:
        """Share of the measured value by which the prediction is off; negative: too low."""
        return (self.predicted - self.measured) / self.measured if self.measured else 0.0

    def holds(self, within: float = WITHIN) -> bool:
        """Whether it is close enough."""
        return abs(self.error) <= within or abs(self.predicted - self.measured) <= self.slack

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "calls": self.calls,
            "name": self.name,
            "unit": self.unit,
            "predicted": round(self.predicted, 3),
            "measured": round(self.measured, 3),
            "error": round(self.error, 4),
            "judged": self.judged,
            "holds": self.holds(),
        }


def check(units: UnitCosts, runs: Sequence[Run]) -> list[Line]:
    """Return every prediction for the loads of some runs.

    Raise InvalidInput for a load that the unit costs were fitted to: that would foretell nothing.
    """
    known = sorted({run.calls for run in runs} & set(units.origin.calls))
    if known:
        loads = ", ".join(map(str, known))
        raise InvalidInput(
            "--check",
            f"unit costs were fitted to {loads} calls as well: measure other numbers for them, "
            "such as 20, 80 and 150, and write them with `voicemesh units`",
        )
    return [line for run in runs for line in (*_cores(units, run), *_times(units, run))]


def _cores(units: UnitCosts, run: Run) -> list[Line]:
    used = {kind: sum(found) * 1000 / run.calls for kind, found in run.cores().items()}
    total = sum(used.values())
    missing = set(used) - set(units.kinds)
    if missing:
        raise InvalidInput("--check", f"nothing is known about {', '.join(sorted(missing))}")
    told = {kind: units.kinds[kind].cores(run.calls) * 1000 / run.calls for kind in used}
    lines = [
        Line(run.calls, kind, "ms/s", told[kind], used[kind], used[kind] >= SMALL_SHARE * total)
        for kind in used
    ]
    return [*lines, Line(run.calls, "all processes", "ms/s", sum(told.values()), total, True)]


def _times(units: UnitCosts, run: Run) -> list[Line]:
    crowding = units.crowding(run.calls)
    return [
        Line(run.calls, name.replace("_", " "), "ms", latency.at(crowding), value, True, SHORT_MS)
        for name, latency in units.latencies.items()
        if (value := measured(run, name)) is not None
    ]
