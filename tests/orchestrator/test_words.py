"""What words tell: whether they are complete, where sentences end, which of them were heard."""

from __future__ import annotations

import itertools
import re

import pytest
from hypothesis import given, strategies as st

from orchestrator.endpointing import (
    PATIENCE,
    Completeness,
    completeness,
    has_words,
    is_backchannel,
)
from orchestrator.heard import Spoken, heard_text
from orchestrator.sentences import MAX_CHARACTERS, SentenceCutter


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", Completeness.UNCLEAR),
        ("...", Completeness.UNCLEAR),
        ("I want an appointment.", Completeness.COMPLETE),
        ("I want to.", Completeness.INCOMPLETE),
        ("Can I come to", Completeness.INCOMPLETE),
        ("What is it for?", Completeness.COMPLETE),
        ("On Monday,", Completeness.INCOMPLETE),
        ("Well…", Completeness.INCOMPLETE),
        ("My number is 12", Completeness.UNCLEAR),
        ("At 12", Completeness.COMPLETE),
    ],
)
def test_completeness(text: str, expected: Completeness) -> None:
    assert completeness(text) is expected


@pytest.mark.parametrize("name", PATIENCE)
def test_whoever_sounds_incomplete_is_waited_for_longest(name: str) -> None:
    waits = [PATIENCE[name].silence(each) for each in Completeness]
    assert waits == sorted(waits)
    assert 0 < waits[0] < waits[-1] < 3


@pytest.mark.parametrize(
    "text", ["Uh-huh.", "Okay, okay.", "mm hmm", "Yes.", "I see", "got it", "...", ""]
)
def test_signs_of_listening(text: str) -> None:
    assert is_backchannel(text)


@pytest.mark.parametrize("text", ["No.", "Yes please", "okay stop", "uh what", "Wait."])
def test_words_that_mean_more(text: str) -> None:
    assert not is_backchannel(text)
    assert has_words(text)


# Sentences.


def cut(text: str, size: int) -> list[str]:
    cutter = SentenceCutter()
    pieces = [text[begin : begin + size] for begin in range(0, len(text), size)]
    return [sentence for piece in pieces for sentence in cutter.feed(piece)] + cutter.finish()


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("Hello. How are you? Fine!", ["Hello.", "How are you?", "Fine!"]),
        ("It costs 3.50 dollars. Ok?", ["It costs 3.50 dollars.", "Ok?"]),
        ("Dr. Chen is in. Call her.", ["Dr. Chen is in.", "Call her."]),
        ("At 3 p.m. on Friday. Bye.", ["At 3 p.m. on Friday.", "Bye."]),
        ("At 3 p.m. The doctor is in.", ["At 3 p.m.", "The doctor is in."]),
        ('He said "no." Then left.', ['He said "no."', "Then left."]),
        ("One\nTwo", ["One", "Two"]),
        ("Wait... what?", ["Wait...", "what?"]),
        ("Really?! Yes.", ["Really?!", "Yes."]),
        ("... * Hello. -", ["* Hello."]),
        ("", []),
    ],
)
@pytest.mark.parametrize("size", [1, 3, 1000])
def test_sentences(text: str, sentences: list[str], size: int) -> None:
    assert cut(text, size) == sentences


TEXT = st.text(st.sampled_from('ab .!?…\n"p.m.Dr'), max_size=60) | st.text(max_size=60)


@given(TEXT, st.integers(1, 9))
def test_no_word_is_lost_however_it_comes(text: str, size: int) -> None:
    spoken = "".join(cut(text, size))
    assert re.findall(r"\w", spoken) == re.findall(r"\w", text)


@given(TEXT)
def test_no_sentence_is_silent(text: str) -> None:
    assert all(re.search(r"\w", sentence) for sentence in cut(text, 4))


def test_endless_words_are_cut_at_a_space() -> None:
    sentences = cut("word " * 300, 7)
    assert all(len(sentence) <= MAX_CHARACTERS for sentence in sentences)
    assert " ".join(sentences).split() == ["word"] * 300
    assert all(len(sentence) <= MAX_CHARACTERS for sentence in cut("x" * 1500, 50))


# What was heard.

STORY = [
    Spoken("Once upon a time there was a king.", 0, 16000),
    Spoken("He had three daughters.", 16000, 28000),
]


@pytest.mark.parametrize(
    ("heard", "text"),
    [
        (0, ""),
        (100, ""),
        (4000, "Once upon"),
        (16000, "Once upon a time there was a king."),
        (22000, "Once upon a time there was a king. He had three"),
        (28000, "Once upon a time there was a king. He had three daughters."),
        (99999, "Once upon a time there was a king. He had three daughters."),
    ],
)
def test_heard_text(heard: int, text: str) -> None:
    assert heard_text(STORY, heard) == text


@given(
    st.lists(
        st.tuples(st.text(st.sampled_from("ab c"), max_size=20), st.integers(0, 99)), max_size=4
    ),
    st.lists(st.integers(0, 400), min_size=2, max_size=9),
)
def test_whoever_listens_longer_hears_no_less(
    sentences: list[tuple[str, int]], offsets: list[int]
) -> None:
    spoken, start = [], 0
    for text, length in sentences:
        spoken.append(Spoken(text, start, start + length))
        start += length
    heard = [heard_text(spoken, offset).split() for offset in sorted(offsets)]
    for less, more in itertools.pairwise(heard):
        assert more[: len(less)] == less
