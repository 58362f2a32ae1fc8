"""How long a call has had no orchestrator, and whether something in it ends every session.

A session that breaks as soon as it stands ends no outage. When several in a row have done so and
not one has written anything, the oldest thing that they were told is taken to be the reason.
"""

from __future__ import annotations

HOLDING_SECONDS = 1.3
"""After so long without a session the caller is told: with the 600 ms that it may take to notice
that one hangs, that is within 2 s."""
HOLDING_AGAIN_SECONDS = 10.0
"""Between two such lines."""
FALLBACK_SECONDS = 10.0
"""How long a call lives without a session."""
PATIENCE_SECONDS = 5.0
"""How much longer it lives while the caller speaks."""
STEADY_SECONDS = 1.0
"""How long a session has to stand, if nothing comes of it before, for an outage to be over."""
SUSPICIOUS_SESSIONS = 4
"""Sessions in a row that broke sooner than that."""


class Outage:
    """Follows the sessions of one call; `now` is in seconds, `sequence` the journal's next."""

    def __init__(self) -> None:
        self._since: float | None = None
        self._stood_at = 0.0
        self._stood_with = 0
        self._stands = False
        self._broken = 0
        self._held_at: float | None = None

    def __bool__(self) -> bool:
        """Whether there is one."""
        return self._since is not None

    def stands(self, now: float, sequence: int) -> None:
        """Take note of a new session."""
        self._stands, self._stood_at, self._stood_with = True, now, sequence

    def grew(self) -> None:
        """Take note that a session has written something: it is of use."""
        self._since = None
        self._broken = 0

    def breaks(self, now: float, sequence: int) -> bool:
        """Take note that the session is gone; return whether the call is to blame."""
        if self._since is None:
            self._since = now
        soon = now - self._stood_at < STEADY_SECONDS and sequence == self._stood_with
        self._broken = self._broken + 1 if soon and self._stands else 0
        self._stands = False
        if self._broken < SUSPICIOUS_SESSIONS:
            return False
        self._broken = 0
        return True

    def lasts(self, now: float) -> None:
        """Take note that there will be no session any more: the call has no time left."""
        self._since, self._stands = now - FALLBACK_SECONDS, False

    def settle(self, now: float) -> None:
        """Let time pass: a session that has stood for long enough ends the outage."""
        if self._stands and now - self._stood_at >= STEADY_SECONDS:
            self.grew()

    def wants_line(self, now: float) -> bool:
        """Whether the caller should be told, as soon as nobody speaks."""
        again = self._held_at is None or now - self._held_at >= HOLDING_AGAIN_SECONDS
        return again and self._lasted(now) >= HOLDING_SECONDS

    def line_said(self, now: float) -> None:
        """Take note that the caller was told."""
        self._held_at = now

    def too_long(self, now: float, *, speaking: bool) -> bool:
        """Whether it is time to give up, as soon as the bot has been heard to the end."""
        patience = PATIENCE_SECONDS if speaking else 0.0
        return self._lasted(now) >= FALLBACK_SECONDS + patience

    def _lasted(self, now: float) -> float:
        return now - self._since if self._since is not None and not self._stands else 0.0
