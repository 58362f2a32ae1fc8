"""Slots read out of what was said."""

from __future__ import annotations

import datetime
import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeAlias

from adapters.language import Slot
from adapters.llm.retrieval.dates import find_dates
from adapters.llm.retrieval.hearing import is_question
from adapters.llm.retrieval.times import find_times
from adapters.llm.retrieval.words import (
    CARDINALS,
    Found,
    cardinal,
    listed,
    ordinal,
    tokens,
    wanted,
    without,
)

Words: TypeAlias = tuple[str, ...]

_NOTHING: Mapping[str, str] = MappingProxyType({})
_DIGIT = {word: str(value) for word, value in CARDINALS.items() if value < 10} | {
    "oh": "0",
    "o": "0",
    "nought": "0",
}
_TIMES = {"double": 2, "triple": 3}
_NAMED = re.compile(
    r"\b(?:my name is|my name's|the name is|the name's|name is|under the name(?: of)?"
    r"|in the name of|(?:put|book|write) it (?:down )?(?:under|as|for)|call me|the name)"
    r"\s+(?P<name>.+)",
    re.IGNORECASE,
)
_MAYBE_NAMED = re.compile(
    r"\b(?:[Tt]his is|[Ii] am|[Ii]'m|[Ii]t is for|[Ii]t's for"
    r"|not \w+, [Ii]t's) (?P<name>[A-Z].+)"
)
_BARE = re.compile(
    r"^(?:(?:yes|yeah|sure|okay|ok|well|um|uh|of course|it is|it's|its|that is|that's|that would be"
    r"|this is|i am|i'm|for|under|oh|please|certainly)[\s,.]+)*(?P<name>.+)$",
    re.IGNORECASE,
)
_NAME_WORD = re.compile(r"[^\W\d_][^\W\d_]*(?:['\u2019-][^\W\d_]+)*\.?$")
_NO_NAME = frozenset(
    listed(
        "a an the i i'm i'd i'll i've you he she we they it is are was be am do does did"
        " don't can can't could would will have has need want like looking calling trying just"
        " not no yes yeah what when where who why how which there here that this and or but so"
        " if for to at on in from with your our their please thanks thank sorry actually hello"
        " hi hey bye goodbye okay ok sure monday tuesday wednesday thursday friday saturday"
        " sunday today tomorrow tonight know time pm am appointment booking mean make pardon"
        " um uh hmm hm wait hold second moment same what's"
    )
)


def read_slots(
    slots: tuple[Slot, ...],
    text: str,
    today: datetime.date,
    asked: str = "",
    *,
    eager: bool,
    before: Mapping[str, str] = _NOTHING,
) -> dict[str, str]:
    """Return the values that were said, by slot name.

    ``asked`` names the slot that the bot asked for; a bare word or number may answer it. ``eager``
    takes a bare number for a time also where it was not asked for. ``before`` is what was said
    earlier: another weekday is sought near the day of then.
    """
    words = tokens(text)
    counting = any(slot.name == asked and slot.kind in _COUNTS for slot in slots)
    values: dict[str, str] = {}
    for slot in sorted(slots, key=lambda slot: _ORDER.get(slot.kind, len(_ORDER))):
        how = _How(slot.name == asked, eager, counting, before.get(slot.name, ""))
        if slot.kind in ("date", "time"):
            found = _found(slot.kind, words, today, how)
            chosen = wanted(words, found)
            value = chosen.value if chosen else ""
            words = without(words, found)
        else:
            value = _other(slot, text, words, how)
        if value:
            values[slot.name] = value
    return values


_ORDER = {"date": 0, "time": 1, "digits": 2, "number": 3}
_COUNTS = frozenset({"digits", "number"})


@dataclass(frozen=True, slots=True)
class _How:
    """In which situation a slot is read."""

    asked: bool
    eager: bool
    counting: bool
    """Whether a number was asked for, so that a bare one is no time and no other number."""
    before: str


def _found(kind: str, words: Words, today: datetime.date, how: _How) -> list[Found]:
    if kind == "time":
        return find_times(words, eager=how.asked or (how.eager and not how.counting))
    try:
        near = datetime.date.fromisoformat(how.before)
    except ValueError:
        near = None
    return find_dates(words, today, eager=how.asked, near=near)


def _other(slot: Slot, text: str, words: Words, how: _How) -> str:
    if slot.kind == "digits":
        return read_digits(words, at_least=1 if how.asked else 4)
    if slot.kind == "number":
        free = how.asked or not (how.counting or (how.before and not how.eager))
        return read_number(words, asked=how.asked) if free else ""
    if slot.kind == "name":
        return read_name(text, bare=how.asked and not is_question(text))
    if slot.kind == "choice":
        return read_choice(slot.choices, words, asked=how.asked)
    return text.strip() if how.asked else ""


def read_digits(words: Words, at_least: int = 1) -> str:
    """Return the longest run of digits said ("four eight, double two", "48 21")."""
    best = run = ""
    at = 0
    while at < len(words):
        digits, used = _digits_at(words, at)
        run = run + digits if digits else ""
        best = max(best, run, key=len)
        at += used
    return best if len(best) >= at_least else ""


def _digits_at(words: Words, at: int) -> tuple[str, int]:
    word = words[at]
    if word.isdigit():
        return word, 1
    if re.fullmatch(r"[\d/.:-]+", word):
        return re.sub(r"\D", "", word), 1
    if word in _TIMES and at + 1 < len(words):
        digit, used = _digits_at(words, at + 1)
        return (digit * _TIMES[word], 1 + used) if len(digit) == 1 else ("", 1)
    if word in _DIGIT:
        return _DIGIT[word], 1
    number = cardinal(words, at)
    return (str(number[0]), number[1]) if number else ("", 1)


def read_number(words: Words, *, asked: bool) -> str:
    """Return the first number said, "a couple" included."""
    for at, word in enumerate(words):
        if word == "couple":
            return "2"
        if number := cardinal(words, at):
            follows = words[at + 1] if at + 1 < len(words) else ""
            if asked or follows not in ("one", ""):
                return str(number[0])
    return ""


def read_name(text: str, *, bare: bool) -> str:
    """Return a person's name, said as one ("my name is …") or, if ``bare``, said alone."""
    for sentence in re.split(r"[.?!;]\s+|[?!;.]$", text):
        for pattern in (_NAMED, _MAYBE_NAMED):
            if (match := pattern.search(sentence)) and (name := _as_name(match["name"])):
                return name
        if bare and (match := _BARE.match(sentence.strip())) and (name := _as_name(match["name"])):
            return name
    return ""


def _as_name(text: str) -> str:
    """Return up to four words that may be a name, or "" if they cannot be."""
    kept: list[str] = []
    for part in re.split(r"[\s,]+", text.strip()):
        word = part.strip('.,;:"()').replace("\u2019", "'")
        if kept and word == kept[0]:
            kept.clear()  # "Robert, Robert De Niro"
        if not word or word.lower() in _NO_NAME or not _NAME_WORD.match(word) or len(kept) == 4:
            break
        if re.fullmatch(r"(?:[A-Za-z]-)+[A-Za-z]", word):
            break  # spelled after it was said
        kept.append(word)
    if not kept or len(kept[0]) < 2:
        return ""
    return " ".join(_cased(word) for word in kept)


def _cased(word: str) -> str:
    if not word.islower() and not word.isupper():
        return word
    return re.sub(r"[^\W\d_]+", _capital, word)


def _capital(match: re.Match[str]) -> str:
    """Return O'Brien and Smith-Jones, but Anna's."""
    word = match[0]
    return word.lower() if len(word) == 1 and match.start() else word.capitalize()


def read_choice(choices: tuple[str, ...], words: Words, *, asked: bool) -> str:
    """Return the choice that was said; "the second one" and near misses if it was asked for."""
    spoken = [word for word in words if word]
    exact = [choice for choice in choices if _contains(spoken, tokens(choice))]
    if exact:
        return max(exact, key=len)
    if not asked:
        return ""
    near = {tokens(choice): choice for choice in choices}
    for size in {len(known) for known in near}:
        for at in range(len(spoken) - size + 1):
            said = " ".join(spoken[at : at + size])
            close = difflib.get_close_matches(said, [" ".join(k) for k in near], 1, 0.8)
            if close:
                return near[tuple(close[0].split())]
    place = next((hit[0] for at in range(len(words)) if (hit := ordinal(words, at))), 0)
    return choices[place - 1] if 1 <= place <= len(choices) else ""


def _contains(spoken: list[str], wanted_words: Words) -> bool:
    size = len(wanted_words)
    return size > 0 and any(
        tuple(spoken[at : at + size]) == wanted_words for at in range(len(spoken) - size + 1)
    )


def constants(slots: tuple[Slot, ...]) -> Mapping[str, str]:
    """Return the slots that nobody need be asked for: choices of one."""
    return {slot.name: slot.choices[0] for slot in slots if len(slot.choices) == 1}
