"""When a crashed process starts again, and when it no longer does. No clock, no I/O."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Backoff:
    """Limits: delay = min(first x 2^(crashes in a row - 1), longest)."""

    first: float = 0.1
    """Seconds after the first crash."""
    longest: float = 5.0
    """Seconds at most."""
    patience: int = 10
    """Crashes in a row until it is given up."""
    calm: float = 5.0
    """Seconds of service after which earlier crashes are forgotten: who served is wanted back at
    once, whatever killed it; only who cannot serve is waited for."""


class Crashes:
    """Counts the crashes of one process."""

    def __init__(self, backoff: Backoff | None = None) -> None:
        self._backoff = backoff or Backoff()
        self.total = 0
        self._in_a_row = 0

    def crashed(self, served_seconds: float) -> float | None:
        """Return the seconds to wait before the next start; None to give up."""
        if served_seconds >= self._backoff.calm:
            self._in_a_row = 0
        self.total += 1
        self._in_a_row += 1
        if self._in_a_row > self._backoff.patience:
            return None
        # The exponent stays small: patience bounds it.
        return float(min(self._backoff.first * 2 ** (self._in_a_row - 1), self._backoff.longest))
