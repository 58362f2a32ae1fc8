"""What callers say and what must be answered, exactly.

Every line of every call is different, so that a word which appears anywhere belongs to one place.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from voicemesh.audio import tonetext

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from voicemesh.audio import Samples

GREETING = "Hello, this is chaos."
EXTRAS = frozenset({"One moment, please."})
"""Sentences that may be said besides the expected ones, when an answer is held up."""
TOOL_TURN = 3
"""Every so many lines, one asks for the tool."""
MOST_TURNS = 24
"""A brain is asked with the newest 200 messages only, and counts turns in them."""
_FEWEST_TURNS = 2
_WORDS = tuple(
    word
    for line in (
        "alpha bravo charlie delta echo foxtrot golf hotel india juliett kilo lima mike november",
        "oscar papa quebec romeo sierra tango uniform victor whiskey xray yankee zulu",
    )
    for word in line.split()
)
_TOOL = re.compile(r"call tool \w+", re.IGNORECASE)


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """Something that a caller says."""

    text: str
    """Its words."""
    samples: Samples
    """Their sound, at 8000 Hz."""
    answers: int
    """How many sentences answer it."""
    uses_tool: bool = False


class Talk(Protocol):
    """What one call is about."""

    readable: bool
    """Whether words can be read from the bot's sound."""
    turns: int
    """How many lines the caller says."""
    greeting: tuple[str, ...]

    def line(self, turn: int) -> Line:
        """Return what is said in a turn, from 1."""

    def answer(self, turn: int, heard: str, results: Mapping[str, str]) -> tuple[str, ...]:
        """Return the sentences that must answer a turn in which the bot understood `heard`.

        `results` has what the tool answered, by the words that it was called with.
        """

    def same(self, said: str, understood: str) -> bool:
        """Return whether these are the same words."""


class ScriptedTalk:
    """A call with the scripted engines, in sound that machines read."""

    readable = True
    greeting: tuple[str, ...] = (GREETING,)

    def __init__(self, seed: int, call: int) -> None:
        self._seed = seed
        self._call = call
        self.turns = self._dice(0).randint(_FEWEST_TURNS, MOST_TURNS)

    def line(self, turn: int) -> Line:
        dice = self._dice(turn)
        words = " ".join(dice.choices(_WORDS, k=dice.choice((1, 2, 3, 3, 4, 8))))
        text = f"call {self._call} turn {turn} {words}"
        if turn % TOOL_TURN == self._call % TOOL_TURN:
            text += " call tool note"
            return Line(text, tonetext.encode(text), 1, uses_tool=True)
        return Line(text, tonetext.encode(text), 2)

    def answer(self, turn: int, heard: str, results: Mapping[str, str]) -> tuple[str, ...]:
        said = heard.strip().rstrip(".?!")
        if _TOOL.search(said):
            return (f"The tool said: {results.get(said, '(nothing)')}.",)
        return f"You said: {said}.", f"That was turn {turn}."

    def same(self, said: str, understood: str) -> bool:
        return said == understood

    def _dice(self, turn: int) -> random.Random:
        return random.Random(f"{self._seed} {self._call} {turn}")  # noqa: S311 - words, no secret


class RehearsedTalk:
    """A call whose answers are those of an undisturbed one: for engines that nobody scripts."""

    readable = False

    def __init__(self, lines: Sequence[Line], greeting: tuple[str, ...], script: Script) -> None:
        self._lines = lines
        self._script = script
        self.greeting = greeting
        self.turns = len(lines)

    def line(self, turn: int) -> Line:
        return self._lines[turn - 1]

    def answer(self, turn: int, heard: str, _results: Mapping[str, str]) -> tuple[str, ...]:
        return self._script[turn - 1] if turn <= len(self._script) else ()

    def same(self, said: str, understood: str) -> bool:
        return plain(said) == plain(understood)


Script = list[tuple[str, ...]]
_PLAIN = re.compile(r"[a-z0-9']+")


def plain(text: str) -> str:
    """Return the words alone, in lower case."""
    return " ".join(_PLAIN.findall(text.lower()))
