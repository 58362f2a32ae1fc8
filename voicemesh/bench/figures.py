"""What a measurement comes to: percentiles, costs, and whether the machine was quiet enough."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voicemesh.bench.tally import Tally

LATE_TICK_SECONDS = 0.005
"""p99 of the load generator's own clock; later, and it measures itself."""
STOLEN_SHARE = 0.02
FOREIGN_CORES = 0.1
FAILED_SHARE = 0.005
SLOWER = 1.25
LATE_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Spread:
    """Percentiles of some times; seconds, and NaN where there was none."""

    count: int
    p50: float
    p95: float
    p99: float
    longest: float

    @classmethod
    def of(cls, seconds: Sequence[float]) -> Spread:
        """Return the percentiles."""
        if not len(seconds):
            return cls(0, *[float("nan")] * 4)
        values = np.asarray(seconds, np.float64)
        p50, p95, p99 = np.percentile(values, (50, 95, 99)).tolist()
        return cls(values.size, p50, p95, p99, float(values.max()))

    def as_json(self) -> dict[str, float | int | None]:
        """Return it in milliseconds."""
        names = ("p50", "p95", "p99")
        told = {f"{name}_ms": milliseconds(getattr(self, name)) for name in names}
        return {"count": self.count} | told | {"max_ms": milliseconds(self.longest)}


def milliseconds(seconds: float) -> float | None:
    """Return milliseconds, rounded; None for NaN, which JSON has not."""
    return None if seconds != seconds else round(seconds * 1000, 2)


@dataclass(frozen=True, slots=True)
class Cost:
    """What one process used for the calls."""

    name: str
    cpu_seconds: float
    """User and system time within the measurement."""
    growth_bytes: int
    """Resident memory at its end, less that before the first call."""
    loop_lag_p95_ms: float | None = None
    """Of the last ten seconds; None where it has no such loop."""
    idle_bytes: int = 0
    """Resident memory before the first call."""
    drift_bytes: int = 0
    """Resident memory at the end, less that in the middle of the measurement."""


@dataclass(frozen=True)
class Surroundings:
    """What else went on on the machine while something was measured."""

    seconds: float
    cores: int
    foreign_seconds: float
    """Processor time of programs that are neither the mesh nor the load generator."""
    stolen_seconds: float
    """Processor time that the machine's host gave to others."""
    notes: tuple[str, ...] = ()
    """What went wrong besides noise, such as a process that restarted."""


@dataclass(frozen=True)
class Outcome:
    """One measurement."""

    calls: int
    seconds: float
    tally: Tally
    costs: tuple[Cost, ...]
    """Of the mesh's processes; empty if it is not on this machine."""
    own: tuple[Cost, ...]
    """Of the load generator, and of what watches the mesh: in no total."""
    around: Surroundings
    turn: Spread = field(init=False)
    lateness: Spread = field(init=False)
    ticks: Spread = field(init=False)

    def __post_init__(self) -> None:
        for name, series in (("turn", "turns"), ("lateness", "lateness"), ("ticks", "ticks")):
            object.__setattr__(self, name, Spread.of(getattr(self.tally, series)))

    @property
    def failed(self) -> int:
        """Calls that failed."""
        return sum(self.tally.failures.values())

    @property
    def failed_share(self) -> float:
        """Calls that failed, 0 to 1."""
        return self.failed / max(self.tally.placed, 1)

    def cpu_ms(self, *costs: Cost) -> float:
        """Return the processor milliseconds that each second of a call took of these."""
        return (
            1000 * sum(cost.cpu_seconds for cost in costs) / max(self.tally.session_seconds, 1e-9)
        )

    def growth_kib(self, *costs: Cost) -> float:
        """Return how much memory each call took of these, KiB."""
        return sum(cost.growth_bytes for cost in costs) / 1024 / self.calls

    def drift_kib(self, *costs: Cost) -> float:
        """Return by how much memory grew in each minute of the second half, KiB."""
        return sum(cost.drift_bytes for cost in costs) / 1024 / (self.seconds / 2 / 60)

    def noise(self) -> list[str]:
        """Return why these figures cannot be trusted; empty if they can."""
        around, found = self.around, []
        if self.ticks.p99 > LATE_TICK_SECONDS:
            found.append(
                f"the load generator's clock was {self.ticks.p99 * 1000:.1f} ms late (p99)"
            )
        stolen = around.stolen_seconds / (around.seconds * around.cores)
        if stolen > STOLEN_SHARE:
            found.append(f"the host took {stolen:.0%} of the processors away")
        foreign = around.foreign_seconds / around.seconds
        if foreign > FOREIGN_CORES:
            found.append(f"other programs used {foreign:.0%} of a core")
        return found

    def as_json(self) -> dict[str, Any]:
        """Return everything that was measured."""
        tally = self.tally
        return {
            "calls": self.calls,
            "seconds": round(self.seconds, 3),
            "session_seconds": round(tally.session_seconds, 1),
            "failed": self.failed,
            "failures": dict(tally.failures),
            "turn": self.turn.as_json(),
            "mesh_share_of_turn": Spread.of(tally.mesh).as_json(),
            "frame_lateness": self.lateness.as_json(),
            "set_up": Spread.of(tally.setups).as_json(),
            "interruptions": Spread.of(tally.interruptions).as_json()
            | {"unheeded": tally.unheeded_interruptions},
            "early_answers": tally.early_answers,
            "cpu_ms_per_session_second": self._told_cpu(self.costs),
            "memory_kib_per_call": self._told_memory(),
            "idle_memory_mib": {
                cost.name: round(cost.idle_bytes / 1024**2, 1) for cost in self.costs
            },
            "memory_drift_kib_per_minute": {
                cost.name: round(self.drift_kib(cost), 1) for cost in self.costs
            }
            | ({"total": round(self.drift_kib(*self.costs), 1)} if self.costs else {}),
            "placed": tally.placed,
            "loop_lag_p95_ms": {
                cost.name: cost.loop_lag_p95_ms
                for cost in self.costs
                if cost.loop_lag_p95_ms is not None
            },
            "not_in_total": self._told_cpu(self.own),
            "load_generator_lateness": self.ticks.as_json(),
            "noise": self.noise(),
            "notes": list(self.around.notes),
        }

    def _told_cpu(self, costs: tuple[Cost, ...]) -> dict[str, float]:
        told = {cost.name: round(self.cpu_ms(cost), 3) for cost in costs}
        return told | ({"total": round(self.cpu_ms(*costs), 3)} if costs else {})

    def _told_memory(self) -> dict[str, float]:
        told = {cost.name: round(self.growth_kib(cost), 1) for cost in self.costs}
        return told | ({"total": round(self.growth_kib(*self.costs), 1)} if told else {})


def shortcomings(outcome: Outcome, baseline: Outcome) -> list[str]:
    """Return why so many calls cannot be sustained; empty if they can."""
    found = []
    if outcome.failed_share >= FAILED_SHARE:
        found.append(f"{outcome.failed_share:.1%} of the calls failed")
    if not outcome.turn.p95 <= SLOWER * baseline.turn.p95:  # NaN is none at all
        found.append(
            f"p95 turn {outcome.turn.p95 * 1000:.0f} ms is more than "
            f"{SLOWER:g} times the unloaded {baseline.turn.p95 * 1000:.0f} ms"
        )
    if not outcome.lateness.p99 <= LATE_SECONDS:
        found.append(f"p99 frame lateness {outcome.lateness.p99 * 1000:.0f} ms")
    return found
