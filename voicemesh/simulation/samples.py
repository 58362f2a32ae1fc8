"""What was seen of each region, interval by interval."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from voicemesh.simulation.story import Story


@dataclass
class Tally:
    """Counts of one region since the last sample."""

    offered: int = 0
    """Calls that began to be placed here, or came here to go on."""
    accepted: int = 0
    overflowed: int = 0
    """Openings that went on to another region."""
    refused: int = 0
    """New calls that no region took."""
    lost: int = 0
    """Calls that went on and could not."""
    resumed: int = 0
    """Calls that went on elsewhere."""
    waits: list[tuple[float, int]] = field(default_factory=list)
    """Waits of openings beyond an idle mesh's, seconds, and of how many."""

    def percentile(self, share: float) -> float:
        """Return a percentile of the waits, seconds; 0 where there were none."""
        if not self.waits:
            return 0.0
        ordered = sorted(self.waits)
        counts = np.cumsum([count for _, count in ordered])
        at = int(np.searchsorted(counts, share * counts[-1]))
        return ordered[min(at, len(ordered) - 1)][0]


@dataclass(frozen=True)
class Point:
    """One region at one time."""

    seconds: float
    region: str
    calls: int
    """Calls that came in here."""
    brains: int
    """Calls whose orchestrator is here."""
    offered: int
    accepted: int
    overflowed: int
    refused: int
    lost: int
    resumed: int
    waiting: int
    """Openings in line for a processor."""
    busiest: str
    """Kind of process that is closest to its end."""
    utilisation: float
    """Of the busiest kind, 0 to 1."""
    set_up_p50_ms: float | None
    set_up_p99_ms: float | None
    turn_p50_ms: float | None


@dataclass(frozen=True)
class Result:
    """A whole run."""

    story: Story
    points: tuple[Point, ...]
    processes: dict[str, dict[str, int]]
    """By region and kind, as they were at the beginning."""

    @property
    def regions(self) -> list[str]:
        """Names of the regions."""
        return list(self.processes)

    def total(self, name: str) -> int:
        """Return the sum of one of the counts over everything."""
        return sum(getattr(point, name) for point in self.points)

    def at(self, seconds: float) -> list[Point]:
        """Return every region at the last sample not later than a time."""
        times = {point.seconds for point in self.points if point.seconds <= seconds + 1e-9}
        last = max(times, default=0.0)
        return [point for point in self.points if point.seconds == last]

    def peak(self) -> int:
        """Return the most calls there were at once, all regions."""
        times = {point.seconds for point in self.points}
        return max(sum(point.calls for point in self.at(one)) for one in times)

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        names = ("offered", "accepted", "overflowed", "refused", "lost", "resumed")
        return {
            "story": asdict(self.story),
            "processes": self.processes,
            "peak_calls": self.peak(),
            "total": {name: self.total(name) for name in names},
            "points": [asdict(point) for point in self.points],
        }
