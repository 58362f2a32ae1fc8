"""What Whisper is known to make up, taken out: loops, and words where nobody spoke."""

from __future__ import annotations

import re

HURRY = 4.5
"""Words per second that nobody speaks for a whole utterance; every digit is a word."""
LOOP = 5
"""Copies of a phrase in a row that are a loop at any speed."""

# Measured over clean, telephone and noisy speech against noise, clicks, hum and breath: speech
# scores above -1.0 with a no-speech probability below 0.5, noise on the other side of both.
_UNSURE, _GUESSING = -1.0, -2.2
_NO_SPEECH = 0.5

_WORD = re.compile(r"[\w'\u2019]+")
_LONGEST_PHRASE = 12


def is_made_up(text: str, score: float, no_speech: float) -> bool:
    """Tell whether the words are the decoder's own: it is unsure and hears no speech.

    `score` is the mean log probability of a token.
    """
    if not _WORD.search(text) or score < _GUESSING:
        return True
    return score < _UNSURE and no_speech > _NO_SPEECH


def without_loops(text: str, seconds: float) -> str:
    """Keep one copy of a phrase that repeats faster, or more often, than people do.

    Callers do repeat themselves ("no, no, no", "five five five five"), so only text that nobody
    could have said in the time is judged, or many copies of two words and more. Bare digits never
    are.
    """
    words = list(_WORD.finditer(text))
    keys = [word.group().lower() for word in words]
    spoken = sum(max(1, sum(map(str.isdigit, key))) for key in keys)
    loop = _find_loop(keys, hurried=spoken > HURRY * seconds)
    if loop is None:
        return text
    start, size, copies = loop
    end = start + copies * size
    kept = text[: words[start + size - 1].end()] + _closing(text, words[end - 1].end())
    rest = text[words[end].start() :] if end < len(words) else ""
    return without_loops(f"{kept} {rest}".strip(), seconds)


def _find_loop(keys: list[str], *, hurried: bool) -> tuple[int, int, int] | None:
    """Return where the first loop of the shortest phrase starts, its words and its copies."""
    for size in range(1, min(_LONGEST_PHRASE, len(keys) // 2) + 1):
        for start in range(len(keys) - 2 * size + 1):
            copies = _copies(keys, start, size)
            has_letters = any(not key.isdigit() for key in keys[start : start + size])
            if has_letters and _is_loop(copies, size, len(keys), hurried=hurried):
                return start, size, copies
    return None


def _copies(keys: list[str], start: int, size: int) -> int:
    phrase, copies = keys[start : start + size], 1
    while keys[start + copies * size : start + (copies + 1) * size] == phrase:
        copies += 1
    return copies


def _is_loop(copies: int, size: int, words: int, *, hurried: bool) -> bool:
    if hurried:
        return copies * size == words or copies > 2
    return copies >= LOOP and size > 1


def _closing(text: str, end: int) -> str:
    """Return the punctuation behind the last copy."""
    match = re.match(r"[^\w\s]*", text[end:])
    return match.group() if match else ""
