"""An utterance taken apart: what it wants, what it asks to know, what it fills in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from adapters.language import Fact, Intent, Slot
from adapters.llm.retrieval import hearing
from adapters.llm.retrieval.dates import find_dates
from adapters.llm.retrieval.matching import MEANT, SURE, Match
from adapters.llm.retrieval.slots import read_slots
from adapters.llm.retrieval.state import Setting, State
from adapters.llm.retrieval.times import find_times
from adapters.llm.retrieval.words import tokens, without
from voicemesh.bots import HANG_UP

_SMALL_TALK = 2
"""Words up to which a sentence beside others is a mere greeting."""
_PREPOSITIONS = frozenset({"on", "at", "for", "by"})
_FREE = frozenset({"name", "text"})
"""Kinds of slots that nearly anything can fill."""


@dataclass(frozen=True, slots=True)
class Heard:
    """An utterance, taken apart."""

    wish: Match | None = None
    """The intent that it is about."""
    facts: tuple[Fact, ...] = ()
    """What it asks to know."""
    values: Mapping[str, str] = field(default_factory=dict)
    """What it fills in, of the open intent, else of the settled one."""
    said: str = ""
    """The part of it that asks nothing."""


def understand(setting: Setting, state: State, text: str) -> Heard:
    """Take an utterance apart, clause by clause; each asks to know, or wants or fills in."""
    slots = _slots(setting, state)
    parts = hearing.clauses(text)
    parts = [part for part in parts if not hearing.is_beginning(part)] or parts
    wish: Match | None = None
    facts: dict[Fact, str] = {}
    said: list[str] = []
    for part in parts:
        match = _meant(setting, part)
        fact = match.topic if match and isinstance(match.topic, Fact) else None
        if fact is None or _fills_in(setting, state, slots, part, match):
            said.append(part)
            wish = _higher(wish, match if fact is None else None)
        elif len(parts) == 1 or len(tokens(part)) > _SMALL_TALK:
            facts.setdefault(fact, part)
    if len(parts) > 1 and wish is None and not facts:
        wish, facts = _whole(setting, text)
    if wish and isinstance(wish.topic, Intent) and wish.topic.tool == HANG_UP:
        # Whoever says "Thank you. Goodbye." is not to be asked whether there is anything else.
        facts = {fact: part for fact, part in facts.items() if hearing.is_question(part)}
    rest = " ".join(said)
    return Heard(wish, tuple(facts), read(setting, state, slots, rest), rest)


def read(
    setting: Setting, state: State, slots: tuple[Slot, ...], text: str, asked: str | None = None
) -> dict[str, str]:
    """Return the values of slots in a text."""
    return read_slots(
        slots,
        text,
        setting.today,
        state.asked if asked is None else asked,
        eager=hearing.corrects(text),
        before=state.slots if state.open else state.settled.slots if state.settled else {},
    )


def _slots(setting: Setting, state: State) -> tuple[Slot, ...]:
    name = state.open or (state.settled.intent if state.settled else "")
    intent = setting.intent(name)
    return intent.slots if intent else ()


def _meant(setting: Setting, text: str) -> Match | None:
    """Return what a clause is about.

    A day or time in it must not hide what is wanted, nor must what follows a comma.
    """
    match = _wanted(setting, setting.search(text), text)
    if match is None or match.score < MEANT:
        for part in text.split(",") if "," in text else ():
            match = _wanted(setting, match, part)
    return match if match and match.score >= MEANT else None


def _wanted(setting: Setting, match: Match | None, text: str) -> Match | None:
    """Return the intent that the text is nearest to apart from its dates and times, if nearer."""
    bare = _timeless(setting, text)
    other = setting.search(bare) if bare else None
    return _higher(match, other) if other and isinstance(other.topic, Intent) else match


def _timeless(setting: Setting, text: str) -> str:
    """Return the text without its dates and times; "" if it has none, or is nothing else."""
    words = tokens(text)
    dates = find_dates(words, setting.today)
    times = find_times(without(words, dates))
    left = [word for word in without(words, dates + times) if word and word not in _PREPOSITIONS]
    return " ".join(left) if dates or times else ""


def _fills_in(
    setting: Setting, state: State, slots: tuple[Slot, ...], text: str, match: Match | None
) -> bool:
    """Whether a clause that resembles a question fills in slots all the same."""
    values = read(setting, state, slots, text)
    if not values or match is None or hearing.changes(text):
        return bool(values)
    free = all(slot.kind in _FREE for slot in slots if slot.name in values)
    if free:
        return match.score < SURE and not hearing.is_question(text)
    if hearing.is_question(text):
        return hearing.asks_for(text) and match.score < SURE
    return match.score < SURE or hearing.corrects(text)


def _higher(wish: Match | None, other: Match | None) -> Match | None:
    if wish is None or other is None:
        return wish or other
    return max(wish, other, key=lambda match: match.score)


def _whole(setting: Setting, text: str) -> tuple[Match | None, dict[Fact, str]]:
    """Return what several sentences are about together ("Okay. Thank you.")."""
    match = _meant(setting, text)
    if match is None:
        return None, {}
    if isinstance(match.topic, Intent):
        return match, {}
    return None, {match.topic: text}
