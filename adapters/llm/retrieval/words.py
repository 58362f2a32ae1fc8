"""What was said, as tokens and numbers; made for what speech recognition writes."""

from __future__ import annotations

import re
from dataclasses import dataclass


def listed(words: str) -> list[str]:
    """Return the words of a line."""
    return words.split()


_UNITS = listed(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen"
    " fifteen sixteen seventeen eighteen nineteen"
)
_TENS = listed("twenty thirty forty fifty sixty seventy eighty ninety")
_ORDINAL_UNITS = listed(
    "zeroth first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth"
    " thirteenth fourteenth fifteenth sixteenth seventeenth eighteenth nineteenth"
)
_ORDINAL_TENS = listed(
    "twentieth thirtieth fortieth fiftieth sixtieth seventieth eightieth ninetieth"
)

CARDINALS = {word: value for value, word in enumerate(_UNITS)} | {
    word: value * 10 for value, word in enumerate(_TENS, start=2)
}
ORDINALS = {word: value for value, word in enumerate(_ORDINAL_UNITS)} | {
    word: value * 10 for value, word in enumerate(_ORDINAL_TENS, start=2)
}

_TOKEN = re.compile(
    r"\d{4}-\d{1,2}-\d{1,2}|\d{1,2}/\d{1,2}(?:/\d{2,4})?|\d{1,2}[:.]\d{2}(?!\d)"
    r"|\d+(?:st|nd|rd|th)\b|\d+|[a-zà-ÿ]+(?:'[a-zà-ÿ]+)*"
)
_MERIDIEM = re.compile(r"\b([ap])\s?\.?\s?m\b\.?")
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}\b)")


@dataclass(frozen=True, slots=True)
class Found:
    """A value that was said, and the tokens that said it."""

    value: str
    first: int
    """Its first token."""
    end: int
    """Behind its last token."""


def normalised(text: str) -> str:
    """Return the text in lower case, with plain quotes, ``am`` and ``pm``."""
    text = text.lower().replace("\u2019", "'").replace("\u2018", "'")
    text = _THOUSANDS.sub("", text)
    text = re.sub(r"(?<=\d)(?=[ap]\.?\s?m\b)", " ", text)
    return _MERIDIEM.sub(r"\1m", text)


def tokens(text: str) -> tuple[str, ...]:
    """Return words, numbers, clock times and written dates; no other punctuation."""
    return tuple(_TOKEN.findall(normalised(text)))


def cardinal(words: tuple[str, ...], at: int) -> tuple[int, int] | None:
    """Return (value, tokens used) of the number below 10000 that begins here."""
    if at >= len(words):
        return None
    if words[at].isdigit():
        return (int(words[at]), 1) if len(words[at]) <= 4 else None
    small = _below_hundred(words, at)
    if small is None:
        return None
    value, used = small
    scale = {"hundred": 100, "thousand": 1000}.get(_word(words, at + used), 0)
    if not scale or value == 0:
        return small
    used += 1
    skip = 1 if _word(words, at + used) == "and" else 0
    rest = cardinal(words, at + used + skip) if _is_word(words, at + used + skip) else None
    if rest and rest[0] < scale:
        return value * scale + rest[0], used + skip + rest[1]
    return value * scale, used


def _below_hundred(words: tuple[str, ...], at: int) -> tuple[int, int] | None:
    value = CARDINALS.get(_word(words, at))
    if value is None:
        return None
    unit = CARDINALS.get(_word(words, at + 1), 0)
    if value >= 20 and 1 <= unit <= 9:
        return value + unit, 2
    return value, 1


def ordinal(words: tuple[str, ...], at: int) -> tuple[int, int] | None:
    """Return (value, tokens used) of the ordinal below 100 that begins here."""
    word = _word(words, at)
    if word[:1].isdigit() and word[-2:] in ("st", "nd", "rd", "th"):
        return int(word[:-2]), 1
    if word in ORDINALS:
        return ORDINALS[word], 1
    tens, unit = CARDINALS.get(word, 0), ORDINALS.get(_word(words, at + 1), 0)
    if tens >= 20 and 1 <= unit <= 9:
        return tens + unit, 2
    return None


def _word(words: tuple[str, ...], at: int) -> str:
    return words[at] if 0 <= at < len(words) else ""


def _is_word(words: tuple[str, ...], at: int) -> bool:
    return _word(words, at) in CARDINALS


def word_at(words: tuple[str, ...], at: int) -> str:
    """Return a token, or "" where there is none."""
    return _word(words, at)


_NEGATIONS = (("not",), ("instead", "of"), ("rather", "than"), ("from",), ("than",), ("isn't",))
_LINKS = frozenset({"on", "at", "the", "for", "a", "this", "next", "to", "about"})


def negated(words: tuple[str, ...], first: int) -> bool:
    """Whether the value that begins here is the one that is not wanted ("not on Tuesday")."""
    at = first
    while _word(words, at - 1) in _LINKS:
        at -= 1
    return any(words[max(0, at - len(words_)) : at] == words_ for words_ in _NEGATIONS)


def wanted(words: tuple[str, ...], found: list[Found]) -> Found | None:
    """Return the value that the speaker settled on: the last that is not negated."""
    return next((each for each in reversed(found) if not negated(words, each.first)), None)


def without(words: tuple[str, ...], found: list[Found]) -> tuple[str, ...]:
    """Return the tokens with those of the values blanked, so that places stay."""
    taken = {at for each in found for at in range(each.first, each.end)}
    return tuple("" if at in taken else word for at, word in enumerate(words))
