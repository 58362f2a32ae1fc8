"""What this process knows of its engines: whether they work, how fast they are, who may be hedged.

Shared by all conversations of a process; in memory, without I/O and without a clock.
"""

from __future__ import annotations

import enum
from bisect import bisect_left, insort
from collections import deque

FAILURES = 2
"""Failures in a row that open a circuit; silence past a deadline opens it at once."""
COOL_SECONDS = 5.0
"""From the opening of a circuit to its first probe; doubled after each probe that fails."""
MOST_COOL_SECONDS = 60.0

WINDOW = 256
"""Newest times to a first result that count."""
ENOUGH = 20
"""Fewer times than this tell nothing of the slowest."""
SLOW = 0.95
"""Share of first results that come before an engine counts as slow."""
MOST_HEDGES = 8.0
"""Hedges that may be saved up for a bad time."""


class Circuit(enum.Enum):
    """Whether an engine is used."""

    CLOSED = "closed"
    """In its turn."""
    OPEN = "open"
    """Only when nobody else is left; now and then it is probed beside another one."""


class Latency:
    """The newest times to a first result, seconds."""

    def __init__(self) -> None:
        self._newest: deque[float] = deque()
        self._sorted: list[float] = []

    def add(self, seconds: float) -> None:
        """Take note of one."""
        if len(self._newest) == WINDOW:
            oldest = self._newest.popleft()
            del self._sorted[bisect_left(self._sorted, oldest)]
        self._newest.append(seconds)
        insort(self._sorted, seconds)

    def slow(self) -> float | None:
        """Return what only one in twenty takes longer than; None while too few are known."""
        if len(self._sorted) < ENOUGH:
            return None
        return self._sorted[int(SLOW * len(self._sorted))]


class Standing:
    """What is known of one engine."""

    def __init__(self) -> None:
        self.circuit = Circuit.CLOSED
        self.latency = Latency()
        self._failures = 0
        self._noticed = float("-inf")
        """When the newest failure was."""
        self._cool = COOL_SECONDS
        self._next_probe = 0.0

    def worked(self, seconds: float) -> None:
        """Take note of a first result, which took this long."""
        self.latency.add(seconds)
        self.circuit, self._failures, self._cool = Circuit.CLOSED, 0, COOL_SECONDS

    def lost(self, seconds: float) -> None:
        """Take note that another engine was first, and that this one took longer than that."""
        self.latency.add(seconds)

    def failed(self, now: float, *, began: float, missed: bool) -> None:
        """Take note of a failure of what began then; ``missed``: it was silent past its deadline.

        What was under way when another failure was noticed, such as all that a replica did when it
        died, tells nothing new.
        """
        if began < self._noticed and not missed:
            return
        self._noticed = now
        self._failures += 1
        if self.circuit is Circuit.OPEN:
            self._cool = min(2 * self._cool, MOST_COOL_SECONDS)
        elif missed or self._failures >= FAILURES:
            self.circuit = Circuit.OPEN
        self._next_probe = now + self._cool

    def probe(self, now: float) -> bool:
        """Return whether it is time to see if the engine works again; then nobody else does."""
        if self.circuit is Circuit.CLOSED or now < self._next_probe:
            return False
        self._next_probe = now + self._cool
        return True


class Budget:
    """How many hedges there may be: never more than a percentage of what was asked for."""

    def __init__(self, percent: float) -> None:
        self._share = percent / 100
        self._saved = 0.0

    def asked(self) -> None:
        """Take note that something was asked for."""
        self._saved = min(self._saved + self._share, MOST_HEDGES)

    def spend(self) -> bool:
        """Take one hedge; return False if there is none left."""
        # Ten tenths are less than one.
        if self._saved < 1 - 1e-9:
            return False
        self._saved -= 1
        return True


class Standings:
    """What is known of all engines, by sense and name."""

    def __init__(self) -> None:
        self._engines: dict[tuple[str, str], Standing] = {}
        self._budgets: dict[tuple[str, str, float], Budget] = {}

    def of(self, sense: str, engine: str) -> Standing:
        """Return what is known of an engine."""
        return self._engines.setdefault((sense, engine), Standing())

    def budget(self, sense: str, bot: str, percent: float) -> Budget:
        """Return the hedges of a bot's sense."""
        key = sense, bot, percent
        return self._budgets.setdefault(key, Budget(percent))
