from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from adapters.stt.guards import is_made_up, without_loops


@pytest.mark.parametrize(
    ("text", "seconds", "kept"),
    [
        ("Ten of clubs. Ten of clubs. Ten of clubs.", 1.1, "Ten of clubs."),
        (
            "The order number is 80337. The order number is 80337.",
            3.6,
            "The order number is 80337.",
        ),
        ("Yes. Yes.", 0.3, "Yes."),
        ("hello and and and and and and and and bye now", 1.5, "hello and bye now"),
        ("I want to go " * 6, 9.0, "I want to go"),
    ],
)
def test_what_nobody_could_have_said_is_kept_once(text: str, seconds: float, kept: str) -> None:
    assert without_loops(text, seconds) == kept


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("No, no, no.", 1.0),
        ("My number is five five five five zero.", 3.0),
        ("5 5 5 5 5 5", 1.0),
        ("You know, you know, I think so.", 2.0),
        ("", 1.0),
    ],
)
def test_what_people_say_is_left_alone(text: str, seconds: float) -> None:
    assert without_loops(text, seconds) == text


@given(st.lists(st.sampled_from(["a", "b", "cd"]), max_size=30), st.floats(0.1, 30))
def test_words_only_go_and_the_first_stays(words: list[str], seconds: float) -> None:
    kept = without_loops(" ".join(words), seconds).split()
    assert len(kept) <= len(words)
    assert kept[:1] == words[:1]
    assert set(kept) <= set(words)


@pytest.mark.parametrize(
    ("text", "score", "no_speech", "expected"),
    [
        ("Thank you.", -1.31, 0.76, True),
        ("you", -1.28, 0.99, True),
        (". . . . .", -0.12, 0.91, True),
        ("You You", -2.98, 0.4, True),
        ("No.", -0.89, 0.31, False),
        ("Thank you very much. Goodbye.", -0.16, 0.03, False),
    ],
)
def test_words_without_speech_are_made_up(
    text: str, score: float, no_speech: float, expected: bool
) -> None:
    assert is_made_up(text, score, no_speech) is expected
