from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest

from adapters.language import Fact, Intent, Knowledge
from adapters.llm.retrieval.embedding import CachedEncoder, MiniLm, package_file
from adapters.llm.retrieval.matching import MEANT, Matcher, Search, about
from tests.adapters.llm.scenario import base_request
from voicemesh.bots import Bots
from voicemesh.errors import MissingModel

HERE = Path(__file__).parent
KNOWN = (HERE / "utterances" / "known.txt").read_text().splitlines()
UNKNOWN = (HERE / "utterances" / "unknown.txt").read_text().splitlines()


@cache
def search() -> Search:
    bot = Bots.load(HERE.parents[2] / "bots").get("frontdesk")
    return Matcher(CachedEncoder(MiniLm())).of(base_request(bot).knowledge)


@pytest.mark.models
@pytest.mark.parametrize("line", KNOWN)
def test_what_callers_say_finds_its_answer(line: str) -> None:
    expected, _, said = line.partition(" < ")
    match = search()(said)
    assert match is not None
    found = match.topic.name if isinstance(match.topic, Intent) else match.topic.answer
    assert found.startswith(expected)
    assert match.score >= MEANT + 0.02


@pytest.mark.models
@pytest.mark.parametrize("said", UNKNOWN)
def test_what_the_bot_cannot_know_finds_nothing(said: str) -> None:
    match = search()(said)
    assert match is not None
    assert match.score < MEANT - 0.02, match.topic


def test_a_bot_that_knows_nothing_finds_nothing() -> None:
    matcher = Matcher(lambda texts: np.ones((len(texts), 4), np.float32))
    assert matcher.of(Knowledge())("anything") is None
    knowing = Knowledge(facts=(Fact(("Where?",), "Here."),))
    assert matcher.of(knowing)("  ") is None


def test_an_index_is_made_once_per_knowledge() -> None:
    seen: list[str] = []

    def encode(texts: object) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
        assert isinstance(texts, list)
        seen.extend(texts)
        return np.ones((len(texts), 4), np.float32)

    matcher = Matcher(encode)
    for _ in range(3):
        matcher.of(Knowledge(facts=(Fact(("Where is it?",), "Here."),)))
    assert seen == ["Where is it?", "where"]


def test_a_text_is_about_the_words_that_not_every_text_has() -> None:
    assert about("Do you have a swimming pool?") == "swimming pool"
    assert about("Can you?") == "Can you?"


def test_vectors_are_kept_and_forgotten() -> None:
    calls: list[str] = []

    def encode(texts: object) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
        assert isinstance(texts, list)
        calls.extend(texts)
        return np.ones((len(texts), 4), np.float32)

    encoder = CachedEncoder(encode, limit=2)
    encoder(["a", "b", "a", "c", "a", "b"])
    assert calls == ["a", "b", "c", "b"]


def test_a_missing_package_is_told() -> None:
    with pytest.raises(
        MissingModel, match=r"needs the package 'no-such-thing': run `make install`"
    ):
        package_file("no_such_thing", "model.onnx", "retrieval", "no-such-thing")
