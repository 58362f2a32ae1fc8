"""Which words of the bot the caller heard, told from offsets."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from voicemesh.journal import Sentence

SECONDS_PER_CHARACTER = 0.065
"""Length of a sentence whose audio is not complete yet: what English voices need on average."""


def heard_text(sentences: Iterable[Sentence], heard_offset: int) -> str:
    """Return the words up to ``heard_offset``; a sentence cut in the middle ends at a word.

    Sentences whose ``start_offset`` is not known were not heard. One without an ``end_offset``
    must carry the best estimate of it.
    """
    heard = []
    for sentence in sentences:
        start, end = sentence.start_offset, sentence.end_offset
        if start is None or end is None or heard_offset <= start:
            break
        heard.append(_part(sentence.text, (heard_offset - start) / max(1, end - start)))
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
