"""What the caller had to wait for, and which fault it was.

A gap is silence that an undisturbed call would not have had: a hole within the bot's answer, or an
answer that came later than answers of its kind do while nothing goes wrong.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

FAINTEST_SECONDS = 0.02
"""A shorter hole is one late frame, and inaudible."""
LATER_SECONDS = 0.1
"""An answer that is less late than this is as other answers are."""
REACH_SECONDS = 3.0
"""How long after a fault was over it may still be the reason for a gap."""
AT_WORK_SECONDS = 1.0
"""How long after a fault was over it is as likely a reason as a newer one: others notice it, calls
are moved, and a process that takes the dead one's place starts."""
SEVERAL = "several at once"
"""Stands for the names of faults that were at work at the same time."""


@dataclass(frozen=True, slots=True)
class Heard:
    """One answer as the caller heard it; times are seconds of one clock."""

    call: str
    row: int
    """Which caller."""
    sort: str
    """What takes equally long while nothing goes wrong."""
    asked: float
    """When the caller had said the last word."""
    runs: tuple[tuple[float, float], ...]
    """From when until when something was heard."""
    replicas: frozenset[str] = frozenset()
    """The orchestrators and gateways that had the call, as far as is known."""
    tail: float = 0.0
    """How much later than it was the mesh took the caller's last word to end, seconds."""

    @property
    def wait(self) -> float:
        """How long the answer took, from where the mesh took the caller's last word to end."""
        return self.runs[0][0] - self.asked - self.tail


@dataclass(frozen=True, slots=True)
class Struck:
    """A fault that struck."""

    name: str
    """Kind and target."""
    process: str
    at: float
    until: float
    service: str = ""
    alone: bool = False
    """Whether no other replica could have taken over."""


@dataclass(frozen=True, slots=True)
class Gap:
    """Silence at the caller."""

    call: str
    row: int
    begin: float
    end: float
    waiting: bool
    """Whether the caller waited for an answer; otherwise the bot was speaking."""
    cause: Struck | None = None
    """The newest fault that can be the reason."""
    also: tuple[Struck, ...] = ()
    """Others that were at work as well: then it says nothing about any of them alone."""

    @property
    def seconds(self) -> float:
        """How long it was."""
        return self.end - self.begin

    @property
    def fault(self) -> str:
        """Name of what caused it; "" is nothing that is known."""
        if self.cause is None:
            return ""
        if self.cause.alone:
            return f"{self.cause.name} (none left)"
        return SEVERAL if self.also else self.cause.name


@dataclass(slots=True)
class Gaps:
    """All gaps of a run."""

    usual: Mapping[str, float] = field(default_factory=dict)
    """How long an answer of each sort takes while nothing goes wrong."""
    found: list[Gap] = field(default_factory=list)

    def longest(self, count: int) -> list[Gap]:
        """Return the longest gaps, longest first."""
        return sorted(self.found, key=lambda gap: -gap.seconds)[:count]

    def by_fault(self) -> dict[str, list[Gap]]:
        """Return the gaps by the name of the fault that caused them; "" is none that is known."""
        named: dict[str, list[Gap]] = defaultdict(list)
        for gap in self.found:
            named[gap.fault].append(gap)
        return dict(named)


def find(answers: Sequence[Heard], faults: Sequence[Struck], calm_until: float) -> Gaps:
    """Return the gaps in the answers; until `calm_until` nothing had gone wrong yet.

    Where speech ends is heard up to 0.12 s late in every call, as its last sounds are and as they
    lie in the windows of voice activity. That is no gap; what goes beyond undisturbed calls may be.
    """
    longest = max((each.tail for each in answers if _is_calm(each, calm_until)), default=0.0)
    answers = [replace(each, tail=min(max(each.tail, 0.0), longest)) for each in answers]
    usual = _usual(answers, calm_until)
    gaps = Gaps(usual)
    for heard in answers:
        for begin, end, waiting in _silences(heard, usual):
            cause, also = _causes(begin, end, heard, faults)
            gaps.found.append(Gap(heard.call, heard.row, begin, end, waiting, cause, also))
    return gaps


def _usual(answers: Iterable[Heard], calm_until: float) -> dict[str, float]:
    calm: dict[str, list[float]] = defaultdict(list)
    every: dict[str, list[float]] = defaultdict(list)
    for heard in answers:
        every[heard.sort].append(heard.wait)
        if _is_calm(heard, calm_until):
            calm[heard.sort].append(heard.wait)
    return {sort: median(calm.get(sort) or waits) for sort, waits in every.items()}


def _is_calm(heard: Heard, calm_until: float) -> bool:
    return heard.runs[-1][1] <= calm_until


def _silences(heard: Heard, usual: Mapping[str, float]) -> Iterable[tuple[float, float, bool]]:
    due = heard.asked + heard.tail + usual[heard.sort]
    if heard.runs[0][0] - due >= LATER_SECONDS:
        yield due, heard.runs[0][0], True
    for (_, end), (begin, _) in zip(heard.runs, heard.runs[1:], strict=False):
        if begin - end >= FAINTEST_SECONDS:
            yield end, begin, False


def _causes(
    begin: float, end: float, heard: Heard, faults: Iterable[Struck]
) -> tuple[Struck | None, tuple[Struck, ...]]:
    """Return the newest fault that can be the reason, and what else was at work.

    One that left no replica comes before all others.
    """
    near = [each for each in faults if each.at <= end and each.until + REACH_SECONDS >= begin]
    on_path = [each for each in near if _on_path(each, heard)]
    cause = max(on_path, key=lambda each: (each.alone, each.at), default=None)
    also = [each for each in on_path if each is not cause]
    return cause, tuple(each for each in also if each.until + AT_WORK_SECONDS >= begin)


def _on_path(fault: Struck, heard: Heard) -> bool:
    known = {replica.rpartition("-")[0] for replica in heard.replicas}
    return fault.process in heard.replicas if fault.service in known else True
