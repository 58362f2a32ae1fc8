"""Where a conversation stands, and what surrounds it."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from adapters.language import Intent, Knowledge, Slot, Tool
from adapters.llm.retrieval.calling import Call
from adapters.llm.retrieval.matching import Search


@dataclass(frozen=True, slots=True)
class Setting:
    """What a conversation goes by: the same for all of its turns."""

    knowledge: Knowledge
    tools: tuple[Tool, ...]
    search: Search
    today: datetime.date

    def intent(self, name: str) -> Intent | None:
        """Return the intent of this name."""
        return next((i for i in self.knowledge.intents if i.name == name), None)

    def intent_with(self, tool: str) -> Intent | None:
        """Return the first intent that calls this tool."""
        return next((i for i in self.knowledge.intents if i.tool == tool), None)

    def tool(self, name: str) -> Tool | None:
        """Return the tool of this name, if it may be called."""
        return next((t for t in self.tools if t.name == name), None)


@dataclass(frozen=True, slots=True)
class Settled:
    """What was carried out last, as far as it may still be corrected."""

    intent: str
    slots: Mapping[str, str]
    key: str
    """By what the tool knows it."""
    text: str
    """What was said about it."""


@dataclass(frozen=True, slots=True)
class State:
    """Where the conversation stands."""

    open: str = ""
    """Intent being talked about."""
    slots: Mapping[str, str] = field(default_factory=dict)
    """What is known for it."""
    asked: str = ""
    """Slot that was asked for."""
    misses: int = 0
    """Answers in a row that were not understood."""
    replacing: bool = False
    """Whether the open intent corrects the settled one."""
    failed: Mapping[str, str] | None = None
    """Slots with which the tool failed: it is not called with the same again."""
    offered: str = ""
    """Intent that a yes would begin."""
    settled: Settled | None = None
    known: Mapping[str, str] = field(default_factory=dict)
    """What tools have told so far."""
    calls: Mapping[str, Call] = field(default_factory=dict)
    """Tools called, by the call's id."""
    said: str = ""
    """The reply before, in case it is asked for again."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What to say and do."""

    text: str = ""
    call: Call | None = None


Step: TypeAlias = tuple[State, Reply]


def missing(intent: Intent, slots: Mapping[str, str]) -> Slot | None:
    """Return the first slot that is not known yet."""
    return next((slot for slot in intent.slots if not slots.get(slot.name)), None)


def slot_names(intent: Intent) -> set[str]:
    """Return the names of an intent's slots."""
    return {slot.name for slot in intent.slots}


def closed(state: State) -> State:
    """Return the state without its open intent."""
    return replace(state, open="", slots={}, asked="", misses=0, replacing=False, failed=None)
