"""Times of day as callers say them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TypeAlias

from adapters.llm.retrieval.words import Found, cardinal, listed, word_at

Words: TypeAlias = tuple[str, ...]
Reading: TypeAlias = "tuple[int, int, int] | None"
"""(hour, minute, tokens used), if a time begins at the place asked about."""

_NAMED = {"noon": 12, "midday": 12, "midnight": 0}
_LEADS = frozenset({"at", "around", "by", "until", "till", "past"})
_NO_HOUR = frozenset(
    listed("minute minutes hour hours day days week weeks people persons of percent dollars th")
)
_NOT_BEFORE = frozenset(listed("that this which the any another no each every or"))
_PM = frozenset({"afternoon", "evening", "tonight", "night", "dinner"})


def find_times(words: Words, *, eager: bool = False) -> list[Found]:
    """Return the times said, in order; ``eager`` takes a bare number for an hour."""
    return list(_times(words, eager))


def _times(words: Words, eager: bool) -> Iterator[Found]:
    at = 0
    while at < len(words):
        hit = _named(words, at) or _relative(words, at) or _clock(words, at, eager)
        if hit:
            hour, minute, used = hit
            yield Found(f"{hour:02d}:{minute:02d}", at, at + used)
        at += hit[2] if hit else 1


def _named(words: Words, at: int) -> Reading:
    hour = _NAMED.get(words[at])
    return None if hour is None else (hour, 0, 1)


def _relative(words: Words, at: int) -> Reading:
    """Read "half past seven", "a quarter to four", "ten past three"."""
    start = at + (words[at] == "a" and word_at(words, at + 1) == "quarter")
    word = word_at(words, start)
    named = {"half": 30, "quarter": 15}.get(word)
    minutes = (named, 1) if named else cardinal(words, start)
    if not minutes or not 1 <= minutes[0] <= 30:
        return None
    link = start + minutes[1]
    link += word_at(words, link) == "minutes"
    before = word_at(words, link) in ("to", "of", "till", "before")
    if not before and word_at(words, link) not in ("past", "after"):
        return None
    if before and not named and word_at(words, link) in ("of", "before"):
        return None
    hour = cardinal(words, link + 1)
    if not hour or not 1 <= hour[0] <= 12:
        return None
    end, full = _finish(words, link + 1 + hour[1], hour[0])
    total = full * 60 + (-minutes[0] if before else minutes[0])
    return (total // 60) % 24, total % 60, end - at


def _clock(words: Words, at: int, eager: bool) -> Reading:
    """Read "3:30", "3 pm", "three thirty", "3 o'clock", "at 330", "at three"."""
    if match := re.fullmatch(r"(\d{1,2})[:.](\d\d)", words[at]):
        hour, minute, behind, sure = int(match[1]), int(match[2]), at + 1, True
    else:
        parts = _spoken(words, at)
        if not parts:
            return None
        hour, minute, behind, sure = parts
    end, full = _finish(words, behind, hour)
    sure = sure or end > behind or _led(words, at) or (eager and _free(words, at))
    if not sure or full > 23 or minute > 59 or word_at(words, end) in _NO_HOUR:
        return None
    return full, minute, end - at


def _spoken(words: Words, at: int) -> tuple[int, int, int, bool] | None:
    """Return (hour, minute, place behind, whether it can be nothing else)."""
    if re.fullmatch(r"\d{3,4}", words[at]):
        return int(words[at][:-2]), int(words[at][-2:]), at + 1, False
    hour = cardinal(words, at)
    if not hour or hour[0] > 23:
        return None
    behind = at + hour[1]
    if word_at(words, behind) in ("oh", "o") and (unit := cardinal(words, behind + 1)):
        return (hour[0], unit[0], behind + 1 + unit[1], True) if unit[0] < 10 else None
    minute = cardinal(words, behind)
    if minute and 10 <= minute[0] <= 59 and hour[0] > 0:
        return hour[0], minute[0], behind + minute[1], False
    return hour[0], 0, behind, False


def _led(words: Words, at: int) -> bool:
    before = word_at(words, at - 1)
    if before in ("about", "exactly", "say"):
        before = word_at(words, at - 2)
    return before in _LEADS


def _free(words: Words, at: int) -> bool:
    return word_at(words, at - 1) not in _NOT_BEFORE


def _finish(words: Words, behind: int, hour: int) -> tuple[int, int]:
    """Return (place behind "o'clock", "pm" and the like, hour of 24)."""
    end, half = behind, ""
    if word_at(words, end) in ("o'clock", "oclock"):
        end += 1
    elif words[end : end + 2] == ("o", "clock"):
        end += 2
    if word_at(words, end) in ("am", "pm"):
        half, end = words[end], end + 1
    elif words[end : end + 2] == ("in", "the") and word_at(words, end + 2) in _PM | {"morning"}:
        half, end = ("am" if words[end + 2] == "morning" else "pm"), end + 3
    elif words[end : end + 2] == ("at", "night"):
        half, end = "pm", end + 2
    return end, _of_24(hour, half or _part_of_day(words))


def _part_of_day(words: Words) -> str:
    if any(word in _PM for word in words):
        return "pm"
    return "am" if "morning" in words else ""


def _of_24(hour: int, half: str) -> int:
    """Return the hour of 24. Unless said otherwise one to six is after noon, as offices keep."""
    if half == "pm" or (not half and 1 <= hour <= 6):
        return hour + 12 if hour < 12 else hour
    return 0 if half == "am" and hour == 12 else hour
