"""What parsers read out of speech, by example and by property."""

from __future__ import annotations

import datetime

import pytest
from hypothesis import given, strategies as st

from adapters.language import Slot
from adapters.llm.retrieval.dates import MONTHS, find_dates
from adapters.llm.retrieval.slots import (
    read_choice,
    read_digits,
    read_name,
    read_number,
    read_slots,
)
from adapters.llm.retrieval.speaking import filled, pieces, spoken, spoken_date, spoken_time
from adapters.llm.retrieval.times import find_times
from adapters.llm.retrieval.words import CARDINALS, cardinal, ordinal, tokens, wanted

TUESDAY = datetime.date(2026, 11, 24)
DAYS = st.dates(datetime.date(2024, 1, 1), datetime.date(2040, 1, 1))
AHEAD = st.integers(0, 360)
WHEN = Slot("date", "date", "When?"), Slot("time", "time", "What time?")


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("on Tuesday", "2026-12-01"),
        ("this Tuesday", "2026-11-24"),
        ("next Tuesday", "2026-12-01"),
        ("Thursday", "2026-11-26"),
        ("next Thursday", "2026-12-03"),
        ("Tuesday, December 1st.", "2026-12-01"),
        ("Tuesday the first", "2026-12-01"),
        ("the 14th", "2026-12-14"),
        ("the 40th of December", "2026-12-14"),
        ("March 21st", "2027-03-21"),
        ("the twenty first of march", "2027-03-21"),
        ("12/1", "2026-12-01"),
        ("12/1/26", "2026-12-01"),
        ("24/12/2026", "2026-12-24"),
        ("2026-12-24", "2026-12-24"),
        ("tomorrow", "2026-11-25"),
        ("the day after tomorrow", "2026-11-26"),
        ("in three days", "2026-11-27"),
        ("a week from Friday", "2026-12-04"),
        ("two weeks from tomorrow", "2026-12-09"),
        ("December first twenty twenty seven", "2027-12-01"),
        ("not Tuesday, Wednesday", "2026-11-25"),
        ("from Wednesday to Friday", "2026-11-27"),
        ("Wednesday, no, Friday instead of Monday", "2026-11-27"),
        ("may I come on May 2nd", "2027-05-02"),
        ("just a second", ""),
        ("the second one", ""),
        ("the 31st of February", ""),
        ("May I ask something?", ""),
        ("February 29th", "2028-02-29"),
    ],
)
def test_dates(said: str, expected: str) -> None:
    words = tokens(said)
    found = wanted(words, find_dates(words, TUESDAY))
    assert (found.value if found else "") == expected


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("make it Wednesday", "2026-12-09"),
        ("Monday", "2026-12-07"),
        ("this Wednesday", "2026-11-25"),
        ("next Wednesday", "2026-12-02"),
        ("tomorrow", "2026-11-25"),
    ],
)
def test_another_weekday_is_sought_near_the_day_spoken_of(said: str, expected: str) -> None:
    found = find_dates(tokens(said), TUESDAY, near=datetime.date(2026, 12, 8))
    assert [each.value for each in found] == [expected]


def test_a_weekday_that_is_over_is_the_coming_one() -> None:
    found = find_dates(tokens("Monday"), TUESDAY, near=datetime.date(2026, 11, 27))
    assert [each.value for each in found] == ["2026-11-30"]


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("at three", "15:00"),
        ("3 p.m.", "15:00"),
        ("3pm", "15:00"),
        ("3:00 PM.", "15:00"),
        ("3.30", "15:30"),
        ("three thirty in the afternoon", "15:30"),
        ("half past seven", "07:30"),
        ("half past seven in the evening", "19:30"),
        ("quarter to four", "15:45"),
        ("a quarter past nine", "09:15"),
        ("ten past three", "15:10"),
        ("twenty minutes to ten", "09:40"),
        ("nine oh five", "09:05"),
        ("at 330", "15:30"),
        ("at 1530", "15:30"),
        ("one o'clock", "13:00"),
        ("twelve pm", "12:00"),
        ("12 a.m.", "00:00"),
        ("noon", "12:00"),
        ("tonight at eight", "20:00"),
        ("tomorrow morning at eleven", "11:00"),
        ("not at three, at four", "16:00"),
        ("for four people", ""),
        ("in ten minutes", ""),
        ("at three people", ""),
        ("quarter", ""),
        ("25:99", ""),
    ],
)
def test_times(said: str, expected: str) -> None:
    words = tokens(said)
    found = wanted(words, find_times(words))
    assert (found.value if found else "") == expected


@pytest.mark.parametrize(
    ("said", "expected"), [("four", "16:00"), ("ten thirty", "10:30"), ("that one", "")]
)
def test_a_bare_number_is_a_time_when_one_was_asked_for(said: str, expected: str) -> None:
    found = find_times(tokens(said), eager=True)
    assert [each.value for each in found] == ([expected] if expected else [])


@given(DAYS, AHEAD)
def test_every_day_is_understood_as_it_is_spoken(today: datetime.date, ahead: int) -> None:
    date = today + datetime.timedelta(days=ahead)
    month = MONTHS[date.month - 1]
    ways = (
        spoken_date(date),
        f"{month} {date.day}, {date.year}",
        f"{date.day} {month}",
        date.isoformat(),
        f"{date.month}/{date.day}/{date.year}",
        f"the {date.day}th of {month.title()}",
    )
    for said in ways:
        assert [each.value for each in find_dates(tokens(said), today)] == [date.isoformat()], said


@given(st.integers(0, 23), st.integers(0, 59))
def test_every_time_is_understood_as_it_is_spoken(hour: int, minute: int) -> None:
    half = "a.m." if hour < 12 else "p.m."
    ways = (
        spoken_time(hour, minute),
        f"at {(hour - 1) % 12 + 1}:{minute:02d} {half}",
        f"{(hour - 1) % 12 + 1}:{minute:02d}{half}",
    )
    for said in ways:
        found = [each.value for each in find_times(tokens(said))]
        assert found == [f"{hour:02d}:{minute:02d}"], said


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=200), DAYS)
def test_no_text_breaks_the_parsers(text: str, today: datetime.date) -> None:
    _holds(text, today)


VOCABULARY = [*CARDINALS, "the", "first", "of", "may", "at", "past", "to", "half", "pm", "o'clock"]
VOCABULARY += [
    "next",
    "tuesday",
    "week",
    "from",
    "in",
    "a",
    "not",
    "12/31",
    "3:30",
    "40th",
    "hundred",
]


@given(st.lists(st.sampled_from(VOCABULARY), max_size=12), DAYS)
def test_no_salad_of_numbers_breaks_the_parsers(words: list[str], today: datetime.date) -> None:
    _holds(" ".join(words), today)


def _holds(text: str, today: datetime.date) -> None:
    words = tokens(text)
    for date in find_dates(words, today, eager=True):
        datetime.date.fromisoformat(date.value)
        assert 0 <= date.first < date.end <= len(words)
    for time in find_times(words, eager=True):
        datetime.time.fromisoformat(time.value)
        assert 0 <= time.first < time.end <= len(words)
    read_digits(words)
    read_number(words, asked=True)
    read_name(text, bare=True)
    assert "".join(pieces(text)).split() == text.split()


@given(st.integers(0, 9999))
def test_numbers_are_read_in_figures(value: int) -> None:
    assert cardinal((str(value),), 0) == (value, 1)


@pytest.mark.parametrize(
    ("said", "value"),
    [
        ("two hundred and forty five", 245),
        ("nineteen", 19),
        ("ninety nine", 99),
        ("two thousand twenty six", 2026),
        ("one hundred", 100),
    ],
)
def test_numbers_are_read_in_words(said: str, value: int) -> None:
    words = tokens(said)
    assert cardinal(words, 0) == (value, len(words))


def test_ordinals() -> None:
    assert ordinal(tokens("twenty first"), 0) == (21, 2)
    assert ordinal(tokens("31st"), 0) == (31, 1)
    assert ordinal(tokens("twenty"), 0) is None


@given(st.text("0123456789", min_size=3, max_size=12))
def test_digits_are_understood_as_they_are_spoken(digits: str) -> None:
    assert read_digits(tokens(spoken(digits))) == digits
    assert read_digits(tokens(" ".join(digits))) == digits


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("It's 4821.", "4821"),
        ("forty eight twenty one", "4821"),
        ("four eight double two", "4822"),
        ("oh one triple seven", "01777"),
        ("4-8-2-1", "4821"),
        ("I don't have it", ""),
    ],
)
def test_digits(said: str, expected: str) -> None:
    assert read_digits(tokens(said)) == expected


@pytest.mark.parametrize(
    ("said", "bare", "expected"),
    [
        ("My name is John Smith.", False, "John Smith"),
        ("This is Maria Lopez, I'd like to book.", False, "Maria Lopez"),
        ("this is great", False, ""),
        ("I'm sick", False, ""),
        ("john smith", True, "John Smith"),
        ("Sure, it's Peter Miller.", True, "Peter Miller"),
        ("Anna. A-N-N-A.", True, "Anna"),
        ("O'BRIEN", True, "O'Brien"),
        ("Jean-Luc Picard", True, "Jean-Luc Picard"),
        ("José García", True, "José García"),
        ("What do you need that for?", True, ""),
        ("Hmm.", True, ""),
        ("I don't know", True, ""),
        ("put it under Miller", False, "Miller"),
        ("", True, ""),
    ],
)
def test_names(said: str, bare: bool, expected: str) -> None:
    assert read_name(said, bare=bare) == expected


@pytest.mark.parametrize(
    ("said", "asked", "expected"),
    [
        ("the blue one", False, "blue"),
        ("Dark blue, please.", False, "dark blue"),
        ("the second one", True, "dark blue"),
        ("gren", True, "green"),
        ("gren", False, ""),
        ("pink", True, ""),
    ],
)
def test_choices(said: str, asked: bool, expected: str) -> None:
    assert read_choice(("blue", "dark blue", "green"), tokens(said), asked=asked) == expected


def test_numbers_of_things() -> None:
    assert read_number(tokens("a table for four people"), asked=False) == "4"
    assert read_number(tokens("a couple of us"), asked=False) == "2"
    assert read_number(tokens("none at all"), asked=True) == ""


def test_one_utterance_fills_many_slots() -> None:
    slots = (*WHEN, Slot("name", "name", "Who?"), Slot("people", "number", "How many?"))
    said = "A table for six people on Friday at half past seven in the evening, my name is Ada."
    assert read_slots(slots, said, TUESDAY, eager=False) == {
        "date": "2026-11-27",
        "time": "19:30",
        "people": "6",
        "name": "Ada",
    }


def test_templates_are_filled_as_they_are_spoken() -> None:
    values = {"date": "2026-12-01", "time": "15:00", "number": "4821", "count": 4821, "ok": True}
    assert filled("On {date}, at {time}: {number}.", values) == (
        "On Tuesday, the first of December, at three pm: four eight two one."
    )
    assert filled("{count} {ok} {missing}.", values) == "4821 yes."


def test_a_reply_comes_in_pieces() -> None:
    text = "One. Two is longer! " + "word " * 30 + "end."
    assert len(list(pieces(text))) > 4
    assert "".join(pieces(text)) == text
