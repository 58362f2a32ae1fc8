"""Which engine is tried next, after what pause, and when there is no hope left."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Sequence


class Named(Protocol):
    """An engine of a bot's file."""

    @property
    def name(self) -> str:
        """Name of the engine."""

    @property
    def deadline_seconds(self) -> float:
        """How long it may take."""


ChoiceT = TypeVar("ChoiceT", bound=Named)

GIVE_UP_SECONDS = 8.0
"""How long after the need arose engines are still tried that may come back."""
PAUSES = (0.05, 0.1, 0.2, 0.4)
"""Seconds between attempts once every engine has failed; the last one repeats. Short at first: a
replica that is starting, or unhurt and about to be found again, is there within moments."""


class Attempts(Generic[ChoiceT]):
    """The attempts at one utterance, answer or sentence.

    Each engine is tried at once when the one before it failed, the first a second time. After that
    attempts go on with pauses as long as any failure was of the kind that passes (a replica is
    starting, or full), but not for ever.
    """

    def __init__(self, choices: Sequence[ChoiceT], first: int = 0) -> None:
        self._choices = choices
        self._first = first
        self._hope = False
        self._since: float | None = None
        self.count = 0
        """Attempts that failed."""

    @property
    def choice(self) -> ChoiceT:
        """The engine whose turn it is."""
        return self._choices[(self._first + self.count) % len(self._choices)]

    def renewed(self) -> Attempts[ChoiceT]:
        """Return attempts at the next thing, beginning with the engine that works now."""
        return Attempts(self._choices, self._first + self.count)

    def hurry(self, now: float) -> None:
        """Somebody waits from now on; before that no attempt is the last, while there is hope."""
        if self._since is None:
            self._since = now

    def failed(self, now: float, *, lasting: bool) -> float | None:
        """Return the pause before the next attempt in seconds; None: give up.

        ``lasting``: trying the same engine again cannot help.
        """
        self._hope = self._hope or not lasting
        self.count += 1
        extra = self.count - len(self._choices) - 1
        if extra < 0:
            return 0.0
        waited = 0.0 if self._since is None else now - self._since
        if not self._hope or waited >= GIVE_UP_SECONDS:
            return None
        return PAUSES[min(extra, len(PAUSES) - 1)]
