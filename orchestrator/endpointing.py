"""Has the caller finished? How much silence it takes, by what was said and the bot's patience."""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass


class Completeness(enum.Enum):
    """Whether words sound like all that is to be said."""

    COMPLETE = "complete"
    UNCLEAR = "unclear"
    INCOMPLETE = "incomplete"


@dataclass(frozen=True, slots=True)
class Patience:
    """Silence after which the caller is taken to have finished, seconds."""

    complete: float
    unclear: float
    incomplete: float

    def silence(self, completeness: Completeness) -> float:
        """Return the silence that it takes, seconds."""
        match completeness:
            case Completeness.COMPLETE:
                return self.complete
            case Completeness.UNCLEAR:
                return self.unclear
            case Completeness.INCOMPLETE:
                return self.incomplete


PATIENCE = {
    "brisk": Patience(0.28, 0.40, 0.80),
    "normal": Patience(0.36, 0.60, 1.20),
    "patient": Patience(0.70, 1.10, 2.20),
}

# Words after which English goes on. A recogniser puts a full stop behind them all the same.
_HANGING_WORDS = (
    "a an the my your his her our their this and or but so because if when while to for of with at "
    "on in from by about into is are was were be am i'm it's i i'd i'll you we they like um uh er "
    "hmm maybe than then can could would will need want number"
)
_HANGING = frozenset(_HANGING_WORDS.split())
_BACKCHANNEL = re.compile(
    r"(?:(?:uh|mm|mhm|hm|hmm|ah|oh|aha|ok|okay|yeah|yep|yes|right|sure|i see|got it|uh huh|mm hmm)"
    r"\s*)+"
)
_WORD = re.compile(r"[a-z0-9']+")


def completeness(text: str) -> Completeness:
    """Judge the words of an utterance so far."""
    words = _WORD.findall(text.lower())
    if not words:
        return Completeness.UNCLEAR
    if text.rstrip().endswith("?"):
        return Completeness.COMPLETE
    if words[-1] in _HANGING or text.rstrip().endswith((",", "-", "...", "…", ":")):
        return Completeness.INCOMPLETE
    if words[-1].isdigit() and "number" in words:
        return Completeness.UNCLEAR
    return Completeness.COMPLETE


def has_words(text: str) -> bool:
    """Whether anything was said at all."""
    return bool(_WORD.search(text.lower()))


def is_backchannel(text: str) -> bool:
    """Whether the words only say "I am listening" ("uh-huh", "okay"); no words count too."""
    plain = " ".join(_WORD.findall(text.lower()))
    return not plain or _BACKCHANNEL.fullmatch(plain) is not None
