"""What is wrong with a provider, and when: by the seed alone, and one sense at a time.

A provider is sick for a few seconds, then all are well for as long as a caller needs to hear that;
so whatever a caller waits for is one provider's doing.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from enum import StrEnum

SICK_SECONDS = 4.0
WELL_SECONDS = 3.0
SHARE = 0.8
"""Of what is asked of a provider while it is sick, what goes wrong."""


class Ill(StrEnum):
    """What a provider does instead of what it should."""

    STALL = "stall"
    """Nothing comes."""
    LATE_STALL = "late stall"
    """Nothing comes behind the first part."""
    RESET = "reset"
    """The connection breaks at once."""
    LATE_RESET = "late reset"
    """It breaks behind the first part."""
    DRIP = "drip"
    """A byte comes now and then."""
    UNAUTHORISED = "401"
    """It refuses our credentials."""
    FULL = "429"
    """It is full, and says when to come again."""
    BROKEN = "500"
    """It says that it is broken."""
    EMPTY = "empty"
    """It says that it succeeded, and there is nothing: no words, or only silence."""
    GARBAGE = "garbage"
    """What comes is of no form that it should have."""


@dataclass(frozen=True, slots=True)
class Bout:
    """Some seconds in which one provider is sick."""

    sense: str
    begin: float
    end: float


class Sickness:
    """Chooses what goes wrong. Times are seconds from the first moment of chaos."""

    def __init__(self, seed: int, senses: tuple[str, ...] = ("stt", "llm", "tts")) -> None:
        self._seed = seed
        self._senses = senses
        self._bag: list[Ill] = []
        self._asked = 0

    def bout(self, now: float) -> Bout | None:
        """Return who is sick; None: nobody."""
        each = SICK_SECONDS + WELL_SECONDS
        number = int(now // each)
        if now < 0 or now - number * each >= SICK_SECONDS:
            return None
        # Each once before any comes again.
        round_, place = divmod(number, len(self._senses))
        order = _dice(self._seed, round_).sample(self._senses, len(self._senses))
        return Bout(order[place], number * each, number * each + SICK_SECONDS)

    def strike(self, sense: str, now: float) -> Ill | None:
        """Return what goes wrong with something asked now; None: nothing."""
        bout = self.bout(now)
        if bout is None or bout.sense != sense:
            return None
        self._asked += 1
        dice = _dice(self._seed, f"asked {self._asked}")
        if dice.random() >= SHARE:
            return None
        if not self._bag:
            self._bag = dice.sample(list(Ill), len(Ill))
        return self._bag.pop()


def _dice(seed: int, what: object) -> random.Random:
    return random.Random(f"{seed} {what}")  # noqa: S311 - a schedule, no secret
