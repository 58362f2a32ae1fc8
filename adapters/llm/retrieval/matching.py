"""Which of the things that a bot knows is meant."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from adapters.language import Fact, Intent, Knowledge
from adapters.llm.retrieval.embedding import Encoder, Vectors
from adapters.llm.retrieval.words import listed, tokens

MEANT = 0.55
"""Score from which on something is meant. tests/adapters/llm/test_matching.py holds what the demo
bot is asked, and what it cannot know, against it."""
SURE = 0.75
"""Score from which on nothing else can be meant."""

_INDEXES = 64
"""Bots whose index is kept."""
_FRAME = frozenset(
    listed(
        "a an the i i'd i'm i'll you your you're he she it it's its we they me my our us is are was"
        " were be been am do does did have has had having can could would will shall should may"
        " might must to of for in on at by with from and or but so if that this these those there"
        " here please like just some any get okay ok well um uh hi hello"
    )
)
"""Words that most questions are made with. They make "do you have a pool" and "do you have a car
park" look alike, so what is left without them counts as much as the whole."""


@dataclass(frozen=True, slots=True)
class Match:
    """The nearest thing that the bot knows."""

    topic: Fact | Intent
    score: float
    """Mean cosine of the whole and of what it is about, -1 to 1."""


@dataclass(frozen=True, slots=True)
class _Index:
    topics: tuple[Fact | Intent, ...]
    whole: Vectors
    about: Vectors


Search: TypeAlias = Callable[[str], Match | None]
"""What is nearest to a text; None if the bot knows nothing, or nothing was said."""


class Matcher:
    """Finds the fact or intent nearest to what was said."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self._indexes: OrderedDict[Knowledge, _Index] = OrderedDict()

    def of(self, knowledge: Knowledge) -> Search:
        """Return the search in a bot's knowledge, made ready if it is the first."""
        index = self._indexes.get(knowledge)
        if index is None:
            index = self._indexes[knowledge] = self._index(knowledge)
            if len(self._indexes) > _INDEXES:
                self._indexes.popitem(last=False)
        self._indexes.move_to_end(knowledge)
        return lambda text: self._best(index, text)

    def _index(self, knowledge: Knowledge) -> _Index:
        known: list[tuple[str, Fact | Intent]] = []
        known += [(question, fact) for fact in knowledge.facts for question in fact.questions]
        known += [(text, intent) for intent in knowledge.intents for text in intent.examples]
        if not known:
            return _Index((), np.zeros((0, 1), np.float32), np.zeros((0, 1), np.float32))
        return _Index(
            tuple(topic for _, topic in known),
            self._encoder([text for text, _ in known]),
            self._encoder([about(text) for text, _ in known]),
        )

    def _best(self, index: _Index, text: str) -> Match | None:
        if not index.topics or not text.strip():
            return None
        whole, core = self._encoder([text, about(text)])
        scores = (index.whole @ whole + index.about @ core) / 2
        at = int(np.argmax(scores))
        return Match(index.topics[at], float(scores[at]))


def about(text: str) -> str:
    """Return the words that a text is about; all of it if it has no other."""
    return " ".join(word for word in tokens(text) if word not in _FRAME) or text
