"""Replies as they are spoken: templates filled, dates and times in words, cut into pieces."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator, Mapping

from adapters.llm.retrieval.dates import MONTHS, WEEKDAYS
from adapters.llm.retrieval.words import CARDINALS, ORDINALS

_CARDINAL = {value: word for word, value in CARDINALS.items()}
_ORDINAL = {value: word for word, value in ORDINALS.items()}
_PLACEHOLDER = re.compile(r"\{(\w+)\}")
_SENTENCE_END = re.compile(r"(?<=[.?!])(?=\s)")
_GROUP = 12
"""Words in a piece, at most."""


def filled(template: str, values: Mapping[str, object]) -> str:
    """Return the template with its placeholders spoken; an unknown one leaves its place empty."""
    text = _PLACEHOLDER.sub(lambda match: spoken(values.get(match[1], "")), template)
    return re.sub(r"\s+([.,?!])", r"\1", re.sub(r"\s{2,}", " ", text)).strip()


def spoken(value: object) -> str:
    """Return a value as it is said: dates and times in words, long numbers digit by digit."""
    if value is None or isinstance(value, bool):
        return "yes" if value else "no" if value is False else ""
    text = str(value)
    if re.fullmatch(r"\d{4}-\d\d-\d\d", text) and (date := _date(text)):
        return spoken_date(date)
    if match := re.fullmatch(r"([01]?\d|2[0-3]):([0-5]\d)(?::\d\d)?", text):
        return spoken_time(int(match[1]), int(match[2]))
    if isinstance(value, str) and re.fullmatch(r"\d{3,}", text):
        return " ".join(_CARDINAL[int(digit)] for digit in text)
    return text


def _date(text: str) -> datetime.date | None:
    try:
        return datetime.date.fromisoformat(text)
    except ValueError:
        return None


def spoken_date(date: datetime.date) -> str:
    """Return like "Tuesday, the first of December"."""
    weekday, month = WEEKDAYS[date.weekday()].title(), MONTHS[date.month - 1].title()
    return f"{weekday}, the {_spoken_ordinal(date.day)} of {month}"


def _spoken_ordinal(value: int) -> str:
    if value in _ORDINAL:
        return _ORDINAL[value]
    return f"{_CARDINAL[value // 10 * 10]}-{_ORDINAL[value % 10]}"


def spoken_time(hour: int, minute: int) -> str:
    """Return like "three thirty pm", "noon"."""
    if minute == 0 and hour in (0, 12):
        return "noon" if hour else "midnight"
    parts = [_CARDINAL[(hour - 1) % 12 + 1]]
    if minute:
        parts.append(_spoken_minute(minute))
    return " ".join([*parts, "am" if hour < 12 else "pm"])


def _spoken_minute(minute: int) -> str:
    if minute < 10:
        return f"oh {_CARDINAL[minute]}"
    return _CARDINAL.get(minute) or f"{_CARDINAL[minute // 10 * 10]}-{_CARDINAL[minute % 10]}"


def pieces(text: str) -> Iterator[str]:
    """Cut a reply into sentences, long ones into groups of words; joined they are the reply."""
    for sentence in _SENTENCE_END.split(text):
        words = re.findall(r"\s*\S+", sentence)
        for at in range(0, len(words), _GROUP):
            yield "".join(words[at : at + _GROUP])


def echo(values: list[str]) -> str:
    """Return values as a sentence of their own, to show that they were understood."""
    text = ", at ".join(spoken(value) for value in values)
    return f"{text[:1].upper()}{text[1:]}." if text else ""
