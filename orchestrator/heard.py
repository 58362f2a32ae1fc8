"""Which words of the bot the caller heard, told from offsets."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

SECONDS_PER_CHARACTER = 0.065
"""Length of a sentence whose audio is not complete yet: what English voices need on average."""


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
        heard.append(_part(text, (heard_offset - start) / max(1, end - start)))
    return " ".join(part for part in heard if part)


def _part(text: str, share: float) -> str:
    if share >= 1:
        return text
    words = text.split()
    total = sum(map(len, words))
    said, spoken = 0.0, []
    for word in words:
        # A word counts as heard once its middle was.
        if (said + len(word) / 2) / total > share:
            break
        said += len(word)
        spoken.append(word)
    return " ".join(spoken)
