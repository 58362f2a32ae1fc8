"""What several rounds of a comparison add up to. No I/O."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any

from voicemesh.bench.figures import FAILED_SHARE, LATE_SECONDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voicemesh.bench.figures import Outcome


@dataclass(frozen=True, slots=True)
class Sample:
    """One measurement of one system."""

    cpu_ms: float
    """Processor milliseconds of all its processes, user and system, for each second of a call."""
    turn_ms: float
    """Median time from the end of the caller's speech to the bot's voice."""
    turns: int
    """Answers that were heard in the measured time."""
    late_p99_ms: float
    """Lateness of the bot's frames."""
    failed_share: float
    """Calls that failed, 0 to 1."""
    noise: tuple[str, ...] = ()
    """Why the figures cannot be trusted; empty if they can."""

    @classmethod
    def of(cls, outcome: Outcome) -> Sample:
        """Return what matters of a measurement."""
        return cls(
            outcome.cpu_ms(*outcome.costs),
            1000 * outcome.turn.p50,
            outcome.turn.count,
            1000 * outcome.lateness.p99,
            outcome.failed_share,
            tuple(outcome.noise()),
        )

    @property
    def sustained(self) -> bool:
        """Whether every call was served, and in time."""
        return (
            self.turns > 0
            and self.failed_share < FAILED_SHARE
            and self.late_p99_ms <= LATE_SECONDS * 1000
        )

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "cpu_ms_per_session_second": round(self.cpu_ms, 3),
            "turn_p50_ms": _told(self.turn_ms),
            "turns": self.turns,
            "frame_lateness_p99_ms": _told(self.late_p99_ms),
            "failed_share": round(self.failed_share, 4),
            "noise": list(self.noise),
        }


@dataclass(frozen=True, slots=True)
class Spread:
    """Several values of one thing."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Return their spread; there must be one at least."""
        return cls(median(values), min(values), max(values))

    def as_json(self) -> dict[str, float]:
        """Return it as JSON values."""
        told = {"median": self.median, "min": self.least, "max": self.most}
        return {name: round(value, 3) for name, value in told.items()}


@dataclass(frozen=True)
class Comparison:
    """A peer and voicemesh under the same load, measured in turn; both have a sample per round."""

    setting: str
    """How the peer notices speech."""
    calls: int
    peer: tuple[Sample, ...]
    ours: tuple[Sample, ...]
    goal: float
    """How many times less processor time we want to use."""

    @property
    def ratio(self) -> Spread:
        """How many times the peer's cost is ours under the same load."""
        return self.ratio_to(self.ours)

    def ratio_to(self, ours: Sequence[Sample]) -> Spread:
        """Return how many times the peer's cost is ours, round by round.

        Rounds are kept together because what slows the machine slows both.
        """
        pairs = zip(self.peer, ours, strict=True)
        return Spread.of([theirs.cpu_ms / max(mine.cpu_ms, 1e-9) for theirs, mine in pairs])

    @property
    def met(self) -> bool:
        """Whether the median reaches the goal."""
        return self.ratio.median >= self.goal

    def doubts(self) -> list[str]:
        """Return why the comparison should not be believed; empty if it should."""
        found = []
        for name, samples in (("the peer", self.peer), ("voicemesh", self.ours)):
            lost = sum(not sample.sustained for sample in samples)
            if 2 * lost > len(samples):
                found.append(
                    f"{name} did not sustain {self.calls} calls in {lost} of {len(samples)} "
                    "rounds: compare fewer calls (--calls)"
                )
            noisy = [sample for sample in samples if sample.noise]
            if noisy:
                found.append(
                    f"{len(noisy)} of {len(samples)} rounds of {name} were noisy, the last: "
                    + "; ".join(noisy[-1].noise)
                )
        return found

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "voice_activity": self.setting,
            "calls": self.calls,
            "ratio": self.ratio.as_json(),
            "goal": self.goal,
            "met": self.met,
            "peer": [sample.as_json() for sample in self.peer],
            "voicemesh": [sample.as_json() for sample in self.ours],
            "doubts": self.doubts(),
        }


def _told(milliseconds: float) -> float | None:
    """JSON has no NaN."""
    return None if milliseconds != milliseconds else round(milliseconds, 2)
