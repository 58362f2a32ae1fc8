"""When a gateway opens a session again: the rule, shared with the simulation that predicts it."""

from __future__ import annotations

ATTEMPTS_AT_ONCE = 3
"""Two on the normal route, and one with the order of regions reversed."""
FULL_ATTEMPTS = 3
"""Refusals after which a new call is told that the mesh is full."""
FIRST_BACKOFF_SECONDS = 0.1
LAST_BACKOFF_SECONDS = 1.0


def backoff(attempt: int, jitter: float) -> float:
    """Return how long to wait before an attempt (the first is 1), seconds; `jitter` is 0 to 1."""
    if attempt <= ATTEMPTS_AT_ONCE:
        return 0.0
    doubled = FIRST_BACKOFF_SECONDS * 2.0 ** min(attempt - ATTEMPTS_AT_ONCE - 1, 10)
    return min(doubled, LAST_BACKOFF_SECONDS) * (0.5 + jitter / 2)
