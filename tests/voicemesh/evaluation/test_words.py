from __future__ import annotations

import pytest

pytest.importorskip("whisper_normalizer")

from voicemesh.evaluation import Normaliser

NORMALISE = Normaliser()


@pytest.mark.parametrize(
    ("said", "written"),
    [
        ("four seven two nine one six", "472916"),
        ("four seven two nine one six", "4 7 2, 9-1-6."),
        ("four seven two nine one six", "472-916"),
        ("four one five five five five zero one nine eight", "415-555-0198"),
        ("at half past seven", "At 7:30."),
        ("at half past seven", "at 7.30"),
        ("at quarter to eight", "at 7:45"),
        ("a quarter to one", "a 12:45"),
        ("ten past nine", "9:10"),
        ("at three thirty in the afternoon", "at 3:30 in the afternoon"),
        ("at one thirty", "at 1:30"),
        ("at three o'clock", "at 3"),
        ("march twenty first", "March 21st"),
        ("november nineteen eighty four", "November 1984"),
        ("two hundred and forty five dollars", "$245"),
        ("five hundred dollars", "$500"),
        ("one hundred and twenty two baker street", "122 Baker Street"),
        ("sarah dot miller at example dot com", "Sarah.Miller@example.com."),
        ("i would like to", "I'd like to"),
        ("six six one four", "6614"),
        ("oh two oh seven", "0207"),
        ("we would like the colour", "we'd like the color"),
    ],
)
def test_two_spellings_of_the_same_words(said: str, written: str) -> None:
    assert NORMALISE(said) == NORMALISE(written)


@pytest.mark.parametrize(
    ("said", "written"),
    [
        ("half past seven", "half past eight"),
        ("quarter to eight", "8:15"),
        ("four seven two", "427"),
        ("no thank you", "know thank you"),
        ("fourteenth of june", "40th of June"),
        ("one room", "two rooms"),
    ],
)
def test_other_words_stay_other_words(said: str, written: str) -> None:
    assert NORMALISE(said) != NORMALISE(written)
