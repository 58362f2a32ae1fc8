"""Whether one more call may begin on a replica: the rule, without a clock and without I/O.

Whoever says no says it before its first answer, so that Envoy asks the next replica, and then the
next region inside the fence. Calls that live come before calls that want in: a call that goes on
here because another replica died is turned away only when no place is left at all.

=========== ============================================================ =====================
reason      when                                                         whom
=========== ============================================================ =====================
FULL        as many streams as there are places                          everybody
LAGGING     p95 of the event loop's lag, over 2 s, reached the limit;    new calls
            until it has fallen to half of it
MEMORY      the process has as much memory as it may have                new calls
BEHIND_FULL an adapter turned a stream away within the last second       new calls
=========== ============================================================ =====================

Lag counts from 8 streams on: what an idle replica's loop waits for is not taken from it by
refusing calls.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

LAG_SAMPLES = 20
"""At one each 0.1 s: 2 s."""
LEAST_STREAMS = 8
BEHIND_SECONDS = 1.0
RETRY_SECONDS = {"FULL": 1.0, "LAGGING": 2.0, "MEMORY": 5.0, "BEHIND_FULL": 1.0}
"""How soon it may be worth it to ask the same replica again, by reason."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a replica takes on; 0 is no limit."""

    streams: int
    lag_seconds: float = 0.0
    memory_bytes: int = 0


class Admission:
    """The state of one replica, as far as it decides; ``now`` in seconds."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._lags: deque[float] = deque(maxlen=LAG_SAMPLES)
        self._lagging = False
        self._memory = 0
        self._behind_until = float("-inf")

    def lagged(self, seconds: float) -> None:
        """Take note of how late the event loop was; to be told each 0.1 s."""
        self._lags.append(seconds)
        worst = sorted(self._lags)[int(0.95 * (len(self._lags) - 1))]
        limit = self.limits.lag_seconds
        self._lagging = bool(limit) and worst >= (limit / 2 if self._lagging else limit)

    def grew(self, memory_bytes: int) -> None:
        """Take note of how much memory the process has."""
        self._memory = memory_bytes

    def turned_away(self, now: float) -> None:
        """Take note that an adapter had no place for a stream of a call here."""
        self._behind_until = now + BEHIND_SECONDS

    def refusal(self, streams: int, now: float, *, new: bool) -> str:
        """Return why one more stream is not admitted beside those there are; empty if it is."""
        if streams >= self.limits.streams:
            return "FULL"
        if not new:
            return ""
        if self._lagging and streams >= LEAST_STREAMS:
            return "LAGGING"
        if self.limits.memory_bytes and self._memory >= self.limits.memory_bytes:
            return "MEMORY"
        return "BEHIND_FULL" if now < self._behind_until else ""
