"""Which words of the bot the caller heard, told from offsets."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

SECONDS_PER_CHARACTER = 0.065
"""Length of a sentence whose audio is not complete yet: what English voices need on average."""
DOUBT = 1.3
"""So much longer may a sentence be than a voice of unknown pace needs for it on average."""

LEAST_SECONDS_PER_CHARACTER = 0.02
"""Nobody speaks faster than this, letters and digits alone counted."""

_WORD = re.compile(r"\S+")


class Spoken(NamedTuple):
    """A sentence and where its audio lies; the end may be an estimate."""

    text: str
    start_offset: int
    end_offset: int


def heard_text(spoken: Iterable[Spoken], heard_offset: int) -> str:
    """Return the words up to ``heard_offset``; a sentence cut in the middle ends at a word."""
    heard = []
    for text, start, end in spoken:
        if heard_offset <= start:
            break
        share = (heard_offset - start) / max(1, end - start)
        heard.append(text if share >= 1 else " ".join(text[: unsaid_from(text, share)].split()))
    return " ".join(part for part in heard if part)


def unsaid_from(text: str, share: float) -> int:
    """Return the index of the first word not said when this share of the sound was heard.

    A word counts as said once its middle was; the length of the text if all were.
    """
    words = list(_WORD.finditer(text))
    total = sum(len(word[0]) for word in words)
    said = 0.0
    for word in words:
        if (said + len(word[0]) / 2) / total > share:
            return word.start()
        said += len(word[0])
    return len(text)


def too_short(text: str, seconds: float) -> bool:
    """Whether sound of this length cannot be all of a text, such as an error taken for sound."""
    return seconds < LEAST_SECONDS_PER_CHARACTER * sum(map(str.isalnum, text))


class Pace:
    """How fast voices speak, by what they said in this call."""

    def __init__(self) -> None:
        self._said: dict[str, tuple[int, float]] = {}

    def learn(self, voice: str, text: str, seconds: float) -> None:
        """Take note how long a voice needed for a text."""
        characters, known = self._said.get(voice, (0, 0.0))
        self._said[voice] = characters + _length(text), known + seconds

    def rest(self, voice: str, text: str, seconds: float) -> int:
        """Return the index of the first word that a voice had not said after so long.

        Words of a voice of unknown pace are taken to be left as long as there may be some.
        """
        characters, known = self._said.get(voice, (0, 0.0))
        pace = known / characters if characters else SECONDS_PER_CHARACTER
        share = seconds / max(pace * _length(text), 1e-3)
        if share >= (1 if characters else DOUBT):
            return len(text)
        last = max((word.start() for word in _WORD.finditer(text)), default=0)
        return min(unsaid_from(text, share), last)


def _length(text: str) -> int:
    return sum(map(len, text.split()))
