"""What a run comes to."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from voicemesh.chaos.gaps import Gaps, find
from voicemesh.chaos.verdict import Finding, Loss, judge

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from voicemesh.chaos.caller import Held
    from voicemesh.chaos.faults import Skipped
    from voicemesh.chaos.gaps import Gap, Struck

LATE_TICK_SECONDS = 0.02
"""p99 of the callers' own clock; later, and the gaps may be theirs."""
_MOST_TOLD = 200
_MOST_GAPS = 20


@dataclass
class Outcome:
    """One run."""

    seed: int
    seconds: float
    callers: int
    began: float
    """The first moment of chaos; before it, everything was calm."""
    held: Sequence[Held]
    struck: Sequence[Struck]
    skipped: Sequence[Skipped]
    results: Mapping[str, str]
    """What the tool answered, by the words it was called with."""
    effects: Mapping[str, int]
    """How often the tool really did something, by the words it was called with."""
    tool_requests: int = 0
    late: Sequence[float] = ()
    """How late the callers' own clock was, seconds."""
    findings: list[Finding] = field(init=False)
    gaps: Gaps = field(init=False)

    def __post_init__(self) -> None:
        self.findings = [
            finding for held in self.held for finding in judge(held.evidence, self.results)
        ]
        self.findings += tool_findings(self.held, self.effects)
        answers = [answer for held in self.held for answer in held.answers]
        self.gaps = find(answers, self.struck, self.began)

    @property
    def turns(self) -> int:
        """Lines that were answered."""
        return sum(len(held.answers) for held in self.held)

    def losses(self) -> dict[str, int]:
        """Return how much of each kind was lost."""
        counted: Counter[Loss] = Counter()
        for finding in self.findings:
            counted[finding.loss] += finding.amount
        return {loss.value: counted[loss] for loss in Loss}

    @property
    def well(self) -> bool:
        """Whether nothing was lost, repeated or wrong."""
        return not self.findings

    def late_p99(self) -> float:
        """Return the p99 lateness of the callers' own clock, seconds."""
        return float(np.percentile(self.late, 99)) if len(self.late) else 0.0

    def as_json(self) -> dict[str, Any]:
        """Return everything; times are milliseconds."""
        gaps = self.gaps.by_fault()
        struck = Counter(each.name for each in self.struck)
        return {
            "seed": self.seed,
            "seconds": self.seconds,
            "callers": self.callers,
            "calls": len(self.held),
            "turns": self.turns,
            "faults": dict(sorted(struck.items())),
            "skipped": [{"fault": one.name, "why": one.why} for one in self.skipped],
            **self.losses(),
            "tool_calls": len(self.effects),
            "tool_requests": self.tool_requests,
            "usual_answer_ms": {sort: _ms(wait) for sort, wait in self.gaps.usual.items()},
            "gaps": {name or "no fault": spread(gaps[name]) for name in sorted(gaps)},
            "longest_gaps": [self._told(gap) for gap in self.gaps.longest(_MOST_GAPS)],
            "own_clock_late_p99_ms": _ms(self.late_p99()),
            "findings": [
                {
                    "loss": one.loss.value,
                    "call": one.call,
                    "detail": one.detail,
                    "amount": one.amount,
                }
                for one in self.findings[:_MOST_TOLD]
            ],
        }

    def _told(self, gap: Gap) -> dict[str, Any]:
        return {
            "call": gap.call,
            "at_seconds": round(gap.begin - self.began, 2),
            "ms": _ms(gap.seconds),
            "waiting": gap.waiting,
            "fault": gap.cause.name if gap.cause else None,
            "process": gap.cause.process if gap.cause else None,
        }


def tool_findings(calls: Sequence[Held], effects: Mapping[str, int]) -> list[Finding]:
    """Return which tools were called twice, or not at all in a call that was not lost."""
    found = []
    for held in calls:
        call = held.evidence.call
        for text in held.tools:
            count = effects.get(text, 0)
            if count > 1:
                found.append(Finding(Loss.TOOLS, call, f"done twice: {text}", count - 1))
            elif not count and not held.evidence.failure:
                found.append(Finding(Loss.TOOLS_LOST, call, f"never done: {text}"))
    return found


def spread(seconds: Sequence[float]) -> dict[str, float | int]:
    """Return count, p50, p99 and the longest, in milliseconds."""
    p50, p99 = np.percentile(seconds, (50, 99))
    return {
        "count": len(seconds),
        "p50_ms": _ms(float(p50)),
        "p99_ms": _ms(float(p99)),
        "max_ms": _ms(max(seconds)),
    }


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 1)
