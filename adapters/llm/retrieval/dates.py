"""Dates as callers say them, relative to today."""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import TypeAlias

from adapters.llm.retrieval.words import Found, cardinal, listed, ordinal, word_at

WEEKDAYS = listed("monday tuesday wednesday thursday friday saturday sunday")
MONTHS = listed(
    "january february march april may june july august september october november december"
)

_WEEKDAY = (
    {name: day for day, name in enumerate(WEEKDAYS)}
    | {name + "s": day for day, name in enumerate(WEEKDAYS)}
    | {name + "'s": day for day, name in enumerate(WEEKDAYS)}
    | {"tue": 1, "tues": 1, "thu": 3, "thurs": 3, "fri": 4}
)
_MONTH = {name: month for month, name in enumerate(MONTHS, start=1)} | {
    name[:3]: month for month, name in enumerate(MONTHS, start=1) if name != "may"
}
_NEAR = {"today": 0, "tonight": 0, "tomorrow": 1, "tomorrow's": 1}
_NO_DAY = frozenset({"one", "time", "thing", "floor", "visit", *MONTHS})
"""What an ordinal is of if it is no day; a month that does not have it, too."""
_DAY = datetime.timedelta(days=1)

Words: TypeAlias = tuple[str, ...]
Reading: TypeAlias = "tuple[datetime.date, int] | None"
"""(date, tokens used), if one begins at the place asked about."""


def find_dates(
    words: Words,
    today: datetime.date,
    *,
    eager: bool = False,
    near: datetime.date | None = None,
) -> list[Found]:
    """Return the dates said, in order.

    ``eager`` takes a bare ordinal for a day. ``near`` is a date spoken of before: "Wednesday" is
    then the one of the same week, unless it is over.
    """
    return list(_dates(words, today, eager, near))


def _dates(
    words: Words, today: datetime.date, eager: bool, near: datetime.date | None
) -> Iterator[Found]:
    readings = (_written, _near, _distance, _month_day, partial(_weekday, near=near))
    at = 0
    while at < len(words):
        reads = (*readings, _day_month, _only_day)
        found = next((hit for read in reads if (hit := read(words, at, today))), None)
        if found is None and eager:
            found = _bare_day(words, at, today)
        if found:
            yield Found(found[0].isoformat(), at, at + found[1])
        at += found[1] if found else 1


def _written(words: Words, at: int, today: datetime.date) -> Reading:
    word = words[at]
    if match := re.fullmatch(r"(\d{4})-(\d+)-(\d+)", word):
        date = _date(int(match[1]), int(match[2]), int(match[3]))
        return (date, 1) if date else None
    if match := re.fullmatch(r"(\d+)/(\d+)(?:/(\d+))?", word):
        month, day = int(match[1]), int(match[2])
        if month > 12:
            month, day = day, month
        year = int(match[3]) if match[3] else 0
        date = _in_year(month, day, year + 2000 if 0 < year < 100 else year, today)
        return (date, 1) if date else None
    return None


def _near(words: Words, at: int, today: datetime.date) -> Reading:
    word = words[at]
    if words[at : at + 3] == ("day", "after", "tomorrow"):
        return today + 2 * _DAY, 3
    if word in _NEAR:
        return today + _NEAR[word] * _DAY, 1
    if word == "this" and word_at(words, at + 1) in ("morning", "afternoon", "evening"):
        return today, 1
    return None


def _distance(words: Words, at: int, today: datetime.date) -> Reading:
    """Read "in three days", "two weeks from Tuesday", "a week from today"."""
    start = at + (words[at] == "in")
    count = (1, 1) if word_at(words, start) in ("a", "one") else cardinal(words, start)
    if not count or count[0] > 400:
        return None
    unit = {"day": 1, "days": 1, "week": 7, "weeks": 7}.get(word_at(words, start + count[1]))
    behind = start + count[1] + 1
    if unit is None:
        return None
    if word_at(words, behind) == "from":
        base = next(
            (r for read in (_near, _weekday) if (r := _try(read, words, behind + 1, today))), None
        )
        return (base[0] + count[0] * unit * _DAY, behind + 1 + base[1] - at) if base else None
    return (today + count[0] * unit * _DAY, behind - at) if words[at] == "in" else None


def _try(
    read: Callable[[Words, int, datetime.date], Reading],
    words: Words,
    at: int,
    today: datetime.date,
) -> Reading:
    return read(words, at, today) if at < len(words) else None


def _weekday(
    words: Words, at: int, today: datetime.date, near: datetime.date | None = None
) -> Reading:
    """Read "Tuesday", "next Tuesday", "Tuesday the 1st", "Tuesday, December 1st"."""
    prefix = words[at] if words[at] in ("next", "this", "coming") else ""
    start = at + bool(prefix)
    weekday = _WEEKDAY.get(word_at(words, start))
    if weekday is None:
        return None
    behind = start + 1
    exact = _try(_month_day, words, behind, today) or _try(_day_month, words, behind, today)
    if exact:
        return exact[0], behind + exact[1] - at
    day = _the_day(words, behind)
    if day:
        return _matching(weekday, day[0], today), behind + day[1] - at
    same = near + (weekday - near.weekday()) * _DAY if near and not prefix else today
    return same if same > today else _coming(weekday, prefix, today), behind - at


def _month_day(words: Words, at: int, today: datetime.date) -> Reading:
    """Read "December 1", "December the first", "December 1st 2026"."""
    month = _MONTH.get(words[at])
    if month is None:
        return None
    start = at + 1 + (word_at(words, at + 1) == "the")
    day = _day_number(words, start)
    return _with_year(words, start + day[1], month, day[0], today, at) if day else None


def _day_month(words: Words, at: int, today: datetime.date) -> Reading:
    """Read "the first of December", "1 December", "14th of June 2027"."""
    start = at + (words[at] == "the")
    day = _day_number(words, start)
    if not day:
        return None
    behind = start + day[1]
    behind += word_at(words, behind) == "of"
    month = _MONTH.get(word_at(words, behind))
    return _with_year(words, behind + 1, month, day[0], today, at) if month else None


def _only_day(words: Words, at: int, today: datetime.date) -> Reading:
    day = _the_day(words, at)
    return (_next_day(day[0], today), day[1]) if day else None


def _bare_day(words: Words, at: int, today: datetime.date) -> Reading:
    day = ordinal(words, at)
    return (_next_day(day[0], today), day[1]) if day and 1 <= day[0] <= 31 else None


def _the_day(words: Words, at: int) -> tuple[int, int] | None:
    """Read "the 14th", "the fourteenth", "14th"; a bare word like "second" may be none."""
    the = word_at(words, at) == "the"
    day = ordinal(words, at + the)
    if not day or not 1 <= (value := _unmisheard(day[0])) <= 31:
        return None
    written = words[at + the][0].isdigit()
    behind = at + the + day[1]
    if word_at(words, behind) in _NO_DAY or word_at(words, behind + 1) in _MONTH:
        return None
    return (value, the + day[1]) if written or (the and value > 2) or _on(words, at) else None


def _on(words: Words, at: int) -> bool:
    return word_at(words, at - 1) == "on" or word_at(words, at - 1) in _WEEKDAY


def _day_number(words: Words, at: int) -> tuple[int, int] | None:
    day = ordinal(words, at) or cardinal(words, at)
    if not day or not 1 <= (value := _unmisheard(day[0])) <= 31:
        return None
    return value, day[1]


def _unmisheard(day: int) -> int:
    """Return what was said: "fourteenth" is often heard as "40th", which no month has."""
    return 10 + day // 10 if day in (40, 50, 60, 70, 80, 90) else day


def _with_year(
    words: Words, behind: int, month: int, day: int, today: datetime.date, at: int
) -> Reading:
    year, used = _year(words, behind)
    date = _in_year(month, day, year, today)
    return (date, behind + used - at) if date else None


def _year(words: Words, at: int) -> tuple[int, int]:
    """Return (year, tokens used), (0, 0) where none is said."""
    word = word_at(words, at)
    if re.fullmatch(r"20\d\d", word):
        return int(word), 1
    if word == "twenty" and (rest := cardinal(words, at + 1)) and 20 <= rest[0] <= 99:
        return 2000 + rest[0], 1 + rest[1]
    if words[at : at + 2] == ("two", "thousand") and (full := cardinal(words, at)):
        return full
    return 0, 0


def _date(year: int, month: int, day: int) -> datetime.date | None:
    try:
        return datetime.date(year, month, day)
    except ValueError:
        return None


def _in_year(month: int, day: int, year: int, today: datetime.date) -> datetime.date | None:
    """Return the date in that year; if 0 is given, the next such day that is not over."""
    if year:
        return _date(year, month, day)
    dates = (_date(today.year + ahead, month, day) for ahead in range(9))
    return next((date for date in dates if date and date >= today), None)


def _next_day(day: int, today: datetime.date) -> datetime.date:
    return next(d for ahead in range(63) if (d := today + ahead * _DAY).day == day)


def _matching(weekday: int, day: int, today: datetime.date) -> datetime.date:
    """Return the next day of that number; on that weekday, if there is one within 100 days."""
    for ahead in range(100):
        date = today + ahead * _DAY
        if date.day == day and date.weekday() == weekday:
            return date
    return _next_day(day, today)


def _coming(weekday: int, prefix: str, today: datetime.date) -> datetime.date:
    ahead = (weekday - today.weekday()) % 7
    if prefix == "this":
        return today + ahead * _DAY
    date = today + (ahead or 7) * _DAY
    if prefix == "next" and date - today < (7 - today.weekday()) * _DAY:
        # "Next" skips what is left of this week.
        date += 7 * _DAY
    return date
