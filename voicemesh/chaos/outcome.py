"""What a run comes to."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from voicemesh.chaos.caller import HALT_SECONDS
from voicemesh.chaos.gaps import Gaps, find
from voicemesh.chaos.verdict import Finding, Loss, judge

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from voicemesh.chaos.caller import Held
    from voicemesh.chaos.faults import Skipped
    from voicemesh.chaos.gaps import Gap, Struck

TICK_SECONDS = 0.02
LATE_TICK_SECONDS = 0.02
"""p99 of the callers' own clock; later, and the gaps may be theirs."""
STOLEN_SHARE = 0.02
"""Of the machine's time; when its host takes more, gaps may be the host's."""
_MOST_TOLD = 200
_MOST_GAPS = 20


@dataclass(slots=True)
class OwnClock:
    """How late the process of the callers was."""

    late: list[float] = field(default_factory=list)
    """Seconds, for each tick."""
    stalls: list[tuple[float, float]] = field(default_factory=list)
    """When it stood still, and for how long."""

    def tick(self, due: float, now: float) -> None:
        """Take note of a tick."""
        self.late.append(max(now - due, 0.0))
        if now - due >= HALT_SECONDS:
            self.stalls.append((due, now - due))

    def p99(self) -> float:
        """Return the p99 lateness, seconds."""
        return float(np.percentile(self.late, 99)) if self.late else 0.0


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
    most_silence: float | None = None
    """Longest gap that there may be, seconds; None: any."""
    stolen_share: float = 0.0
    """What the host of this machine took of its time, 0 to 1."""
    clock: OwnClock = field(default_factory=OwnClock)
    """Of the process that the callers live in."""
    refused: int = field(init=False)
    """New calls that were told the mesh was busy: no call was lost, and callers tried again."""
    findings: list[Finding] = field(init=False)
    gaps: Gaps = field(init=False)

    def __post_init__(self) -> None:
        self.refused = sum(held.refused for held in self.held)
        self.held = [held for held in self.held if not held.refused]
        self.findings = [
            finding for held in self.held for finding in judge(held.evidence, self.results)
        ]
        self.findings += tool_findings(self.held, self.effects)
        answers = [answer for held in self.held for answer in held.answers]
        self.gaps = find(answers, self.struck, self.began)
        if self.most_silence is not None:
            self.findings += silence_findings(self.gaps, self.most_silence)

    @property
    def turns(self) -> int:
        """Lines that were answered."""
        return sum(len(held.answers) for held in self.held)

    @property
    def halting(self) -> int:
        """Lines that are not judged: the callers' own process stood still while they were said."""
        return sum(line.halting for held in self.held for line in held.evidence.said)

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

    def noise(self) -> list[str]:
        """Return why these figures cannot be trusted; empty if they can."""
        found = []
        if self.clock.p99() > LATE_TICK_SECONDS:
            found.append(f"the callers' own clock was {_ms(self.clock.p99()):.0f} ms late (p99)")
        if self.stolen_share > STOLEN_SHARE:
            found.append(f"the host took {self.stolen_share:.0%} of the processors away")
        for at, seconds in self.clock.stalls:
            found.append(
                f"the callers stood still for {_ms(seconds):.0f} ms at {at - self.began:.1f} s"
            )
        return found

    def as_json(self) -> dict[str, Any]:
        """Return everything; times are milliseconds."""
        gaps = self.gaps.by_fault()
        struck = Counter(each.name for each in self.struck)
        return {
            "seed": self.seed,
            "seconds": self.seconds,
            "callers": self.callers,
            "calls": len(self.held),
            "refused": self.refused,
            "turns": self.turns,
            "faults": dict(sorted(struck.items())),
            "schedule": [
                {
                    "at_seconds": round(one.at - self.began, 2),
                    "fault": one.name,
                    "process": one.process,
                    "lasts_ms": _ms(one.until - one.at),
                    "alone": one.alone,
                }
                for one in self.struck
            ],
            "skipped": [{"fault": one.name, "why": one.why} for one in self.skipped],
            **self.losses(),
            "lines_left_out": self.halting,
            "tool_calls": len(self.effects),
            "tool_requests": self.tool_requests,
            "usual_answer_ms": {sort: _ms(wait) for sort, wait in self.gaps.usual.items()},
            "gaps": {name or "no fault": gap_figures(gaps[name]) for name in sorted(gaps)},
            "longest_gaps": [self._told(gap) for gap in self.gaps.longest(_MOST_GAPS)],
            "own_clock_late_p99_ms": _ms(self.clock.p99()),
            "own_clock_stalls": [
                {"at_seconds": round(at - self.began, 2), "ms": _ms(seconds)}
                for at, seconds in self.clock.stalls
            ],
            "noise": self.noise(),
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

    def accounts(self) -> list[dict[str, Any]]:
        """Return everything that is known of each call; times are seconds of chaos."""
        return [
            {
                "call": held.evidence.call,
                "caller": held.row,
                "began": round(held.began - self.began, 3),
                "failure": held.evidence.failure,
                "said": [[line.text, line.start, line.end] for line in held.evidence.said],
                "heard": held.evidence.heard,
                "answers": [
                    {
                        "asked": round(answer.asked - self.began, 3),
                        "heard_late_ms": _ms(answer.tail),
                        "runs": [
                            [round(begin - self.began, 3), round(end - self.began, 3)]
                            for begin, end in answer.runs
                        ],
                        "replicas": sorted(answer.replicas),
                    }
                    for answer in held.answers
                ],
                "journal": list(held.evidence.journal),
            }
            for held in self.held
        ]

    def _told(self, gap: Gap) -> dict[str, Any]:
        return {
            "call": gap.call,
            "at_seconds": round(gap.begin - self.began, 2),
            "ms": _ms(gap.seconds),
            "waiting": gap.waiting,
            "fault": gap.fault or None,
            "process": gap.cause.process if gap.cause else None,
            "also": [f"{one.name}: {one.process}" for one in gap.also],
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


def silence_findings(gaps: Gaps, most: float) -> list[Finding]:
    """Return the gaps that are longer than any may be."""
    return [
        Finding(
            Loss.SILENCE, gap.call, f"{gap.seconds:.2f} s of dead air: {gap.fault or 'no fault'}"
        )
        for gap in gaps.found
        if gap.seconds > most
    ]


def gap_figures(gaps: Sequence[Gap]) -> dict[str, Any]:
    """Return what `spread` does, for all gaps and for each of the two kinds."""
    holes = [gap.seconds for gap in gaps if not gap.waiting]
    late = [gap.seconds for gap in gaps if gap.waiting]
    return {
        **spread([gap.seconds for gap in gaps]),
        "in_speech": spread(holes) if holes else None,
        "late_answers": spread(late) if late else None,
    }


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
