"""How long a call has had no orchestrator, and whether something in it ends every session.

A session that breaks as soon as it stands ends no outage. When several in a row have done so and
not one has written anything, the oldest thing that they were told is taken to be the reason. What
kills more slowly is found out more slowly: by chance sessions break in a row, too.
"""

from __future__ import annotations

from enum import Enum

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
FRUITLESS_SECONDS = 10.0
"""How long a session may have stood for the call to be suspected at all."""
FRUITLESS_SESSIONS = 8
"""Sessions in a row that broke sooner than that."""


class Verdict(Enum):
    """Whether the call itself is why its sessions break."""

    INNOCENT = "innocent"
    SUSPECT = "suspect"
    """They break at once."""
    GUILTY = "guilty"
    """They have broken so often that this cannot go on."""


class Outage:
    """Follows the sessions of one call; `now` is in seconds, `sequence` the journal's next."""

    def __init__(self) -> None:
        self._since: float | None = None
        self._stood_at = 0.0
        self._stood_with = 0
        self._stands = False
        self._broken = 0
        self._fruitless = 0
        self._hopeless = False
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
        self._broken = self._fruitless = 0
        self._hopeless = False

    def breaks(self, now: float, sequence: int) -> Verdict:
        """Take note that the session is gone; return whether the call is to blame."""
        if self._since is None:
            self._since = now
        lived = now - self._stood_at
        idle = self._stands and sequence == self._stood_with
        self._broken = self._broken + 1 if idle and lived < STEADY_SECONDS else 0
        self._fruitless = self._fruitless + 1 if idle and lived < FRUITLESS_SECONDS else 0
        self._stands = False
        if self._fruitless >= FRUITLESS_SESSIONS:
            self._broken = self._fruitless = 0
            return Verdict.GUILTY
        if self._broken >= SUSPICIOUS_SESSIONS:
            self._broken = 0
            return Verdict.SUSPECT
        return Verdict.INNOCENT

    def lasts(self, now: float) -> None:
        """Take note that no session can end it any more: the call has no time left."""
        self._since, self._hopeless = now - FALLBACK_SECONDS, True

    def settle(self, now: float) -> None:
        """Let time pass: a session that has stood for long enough ends the outage."""
        if self._stands and not self._hopeless and now - self._stood_at >= STEADY_SECONDS:
            self._since, self._broken = None, 0

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
        if self._since is None or (self._stands and not self._hopeless):
            return 0.0
        return now - self._since
