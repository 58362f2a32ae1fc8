"""Virtual time: things to do, each at its second, in the order in which they were asked for."""

from __future__ import annotations

import heapq
import itertools
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

NEVER = 1e6
"""Seconds after which a test that still waits is stuck."""


class Clock:
    def __init__(self) -> None:
        self.now = 0.0
        self.steps = 0
        """Things that were done."""
        self._count = itertools.count()
        self._heap: list[tuple[float, int, Callable[[], None]]] = []

    def after(self, seconds: float, action: Callable[[], None]) -> None:
        self.at(self.now + seconds, action)

    def at(self, time: float, action: Callable[[], None]) -> None:
        heapq.heappush(self._heap, (max(time, self.now), next(self._count), action))

    @property
    def next_time(self) -> float:
        return self._heap[0][0] if self._heap else NEVER

    def step(self) -> None:
        """Do the next thing."""
        time, _, action = heapq.heappop(self._heap)
        self.now = time
        self.steps += 1
        action()

    def run(self, seconds: float) -> None:
        """Let time pass."""
        end = self.now + seconds
        while self.next_time <= end:
            self.step()
        self.now = end
