"""Finds the most calls that a mesh sustains: doubles until it fails, then halves the gap."""

from __future__ import annotations

PRECISION = 0.05
"""The search ends when the gap is this share of the answer."""
LEAST_GAP = 2


class Search:
    """Ask `next` how many calls to try, `note` how it went, until there is nothing to try."""

    def __init__(self, first: int = 10, most: int = 1000) -> None:
        self.sustained = 0
        """The most calls known to be sustained."""
        self._first = first
        self._most = most
        self._failed: int | None = None

    def next(self) -> int | None:
        """Return the next number of calls to try; None when the answer is known."""
        low, high = self.sustained, self._failed
        if high is None:
            wanted = min(max(2 * low, self._first), self._most)
            return wanted if wanted > low else None
        if high - low <= max(LEAST_GAP, PRECISION * high):
            return None
        return (low + high) // 2

    def note(self, calls: int, *, sustained: bool) -> None:
        """Take note of a try."""
        if sustained:
            self.sustained = max(self.sustained, calls)
        elif self._failed is None or calls < self._failed:
            self._failed = calls
