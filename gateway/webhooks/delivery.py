"""Which event is sent when: in order for each call, again until it is taken. No I/O.

Of each call one event is on its way at a time, so a receiver that fails one keeps those behind it
waiting; other calls go on. What fails is sent again after a wait that doubles, with jitter, up to
half a minute. As soon as anything is taken, everything that waits is due: the receiver is back.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from tenacity import RetryCallState, wait_exponential_jitter

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_ON_THE_WAY = 16
FIRST_WAIT_SECONDS = 0.5
LONGEST_WAIT_SECONDS = 30.0


def backoff(attempt: int) -> float:
    """Return how long to wait behind a failed attempt, the first being 1; seconds."""
    wait = wait_exponential_jitter(
        multiplier=FIRST_WAIT_SECONDS, max=LONGEST_WAIT_SECONDS, jitter=FIRST_WAIT_SECONDS
    )
    state = RetryCallState(None, None, (), {})  # type: ignore[arg-type] # only counts attempts
    state.attempt_number = attempt
    return float(wait(state))


class _Line:
    """The events of one call that are not taken yet, by number."""

    def __init__(self) -> None:
        self.numbers: deque[int] = deque()
        self.failures = 0
        self.due = 0.0
        self.on_the_way = False


class Deliveries:
    """Orders deliveries; ``now`` is in seconds, events are known by growing numbers."""

    def __init__(self, wait: Callable[[int], float] = backoff) -> None:
        """``wait`` returns seconds from the number of failures in a row."""
        self._wait = wait
        self._lines: dict[str, _Line] = {}
        self._calls: dict[int, str] = {}
        self._on_the_way = 0

    def __len__(self) -> int:
        return len(self._calls)

    def add(self, call_id: str, number: int) -> None:
        """Take an event; it comes behind those of its call that were added before."""
        self._calls[number] = call_id
        self._lines.setdefault(call_id, _Line()).numbers.append(number)

    def due(self, now: float) -> list[int]:
        """Return what is to be sent now; the answer to each is expected."""
        found: list[int] = []
        for line in self._lines.values():
            if self._on_the_way >= MAX_ON_THE_WAY:
                break
            if not line.on_the_way and line.due <= now:
                line.on_the_way = True
                self._on_the_way += 1
                found.append(line.numbers[0])
        return found

    def next_due(self) -> float | None:
        """Return when something is to be sent again; None if nothing waits for a time."""
        if self._on_the_way >= MAX_ON_THE_WAY:
            return None
        waiting = [line.due for line in self._lines.values() if not line.on_the_way]
        return min(waiting, default=None)

    def taken(self, number: int) -> None:
        """Take note that the receiver has an event."""
        self.drop(number)
        for line in self._lines.values():
            if not line.on_the_way:
                line.due, line.failures = 0.0, 0

    def drop(self, number: int) -> None:
        """Forget an event that was sent: the next of its call is due."""
        line = self._answered(number)
        line.failures, line.due = 0, 0.0
        line.numbers.popleft()
        call_id = self._calls.pop(number)
        if not line.numbers:
            del self._lines[call_id]

    def failed(self, number: int, now: float) -> None:
        """Take note that the receiver has not taken an event."""
        line = self._answered(number)
        line.failures += 1
        line.due = now + self._wait(line.failures)

    def _answered(self, number: int) -> _Line:
        line = self._lines[self._calls[number]]
        line.on_the_way = False
        self._on_the_way -= 1
        return line
