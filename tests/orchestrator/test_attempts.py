from __future__ import annotations

from hypothesis import given, strategies as st

from orchestrator.attempts import GIVE_UP_SECONDS, Attempts
from voicemesh.bots import LanguageChoice

CHOICES = [LanguageChoice(name="one"), LanguageChoice(name="two")]


def test_each_engine_is_tried_at_once_the_first_twice() -> None:
    attempts = Attempts(CHOICES)
    attempts.hurry(0.0)
    tried = [attempts.choice.name]
    while attempts.failed(0.0, lasting=True) is not None:
        tried.append(attempts.choice.name)
    assert tried == ["one", "two", "one"]


def test_failures_that_pass_are_waited_for() -> None:
    attempts = Attempts(CHOICES)
    attempts.hurry(10.0)
    pauses = [attempts.failed(10.0, lasting=False) for _ in range(7)]
    assert pauses == [0.0, 0.0, 0.05, 0.1, 0.2, 0.4, 0.4]
    assert attempts.failed(10.0 + GIVE_UP_SECONDS, lasting=False) is None


def test_one_failure_that_passes_is_hope_enough() -> None:
    attempts = Attempts(CHOICES)
    attempts.hurry(0.0)
    assert [attempts.failed(0.0, lasting=number != 1) for number in range(3)] == [0.0, 0.0, 0.05]


def test_nobody_waits_so_nothing_is_the_last() -> None:
    attempts = Attempts(CHOICES)
    for now in range(100):
        assert attempts.failed(float(now), lasting=False) is not None


@given(st.integers(0, 9))
def test_next_thing_begins_with_the_engine_that_works(failures: int) -> None:
    attempts = Attempts(CHOICES)
    for _ in range(failures):
        attempts.failed(0.0, lasting=False)
    again = attempts.renewed()
    assert again.choice is attempts.choice
    assert again.count == 0
