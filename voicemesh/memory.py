"""What a call's journal adds up to: the values that `voicemesh.journal` folds entries into."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voicemesh.api.journal.v1 import journal_pb2

MAX_TURNS = 40
"""Turns that anything may depend on; a brain is told of no older ones."""
MAX_TURN_BYTES = 24 * 1024
"""Of these, the newest that have no more words than this."""


class ReplyState(enum.Enum):
    """How far the answer to a turn has come."""

    NONE = "none"
    OPEN = "open"
    FINISHED = "finished"
    INTERRUPTED = "interrupted"


@dataclass(slots=True)
class Sentence:
    """One sentence of the bot; ``end_offset`` is None until its audio is complete."""

    number: int
    text: str
    start_offset: int | None = None
    end_offset: int | None = None
    taken_over: tuple[int, int] | None = None
    """While it is spoken: from which offset and which character on by another voice."""
    aside: bool = False
    """Whether it only bridges a wait."""

    @property
    def size(self) -> int:
        """How many bytes its words take."""
        return _size(self.text)


@dataclass(slots=True)
class ToolUse:
    """One call of a tool; pending while neither result nor error is known."""

    key: str
    turn: int
    name: str
    arguments_json: str
    result_json: str = ""
    error: str = ""
    answered: bool = False

    @property
    def size(self) -> int:
        """How many bytes its words take."""
        return _size(self.name, self.arguments_json, self.result_json, self.error)


@dataclass(slots=True)
class Turn:
    """What one side said and the other answered."""

    number: int
    caller_text: str = ""
    literal: str = ""
    reply: ReplyState = ReplyState.NONE
    parts: list[Sentence | ToolUse] = field(default_factory=list)
    heard_text: str = ""

    @property
    def sentences(self) -> list[Sentence]:
        """Its sentences, in order."""
        return [part for part in self.parts if isinstance(part, Sentence)]

    @property
    def tools(self) -> list[ToolUse]:
        """Its tool calls, in order."""
        return [part for part in self.parts if isinstance(part, ToolUse)]

    @property
    def size(self) -> int:
        """How many bytes its words take, as far as they only ever grow."""
        return _size(self.caller_text, self.literal) + sum(part.size for part in self.parts)


@dataclass(slots=True)
class Memory:
    """What the entries of a journal add up to."""

    next_sequence: int = 0
    consumed_offset: int = 0
    started: journal_pb2.CallStarted | None = None
    started_seconds: int = 0
    turns: list[Turn] = field(default_factory=list)
    sentences: dict[int, Sentence] = field(default_factory=dict)
    """Those of the turns above."""
    tools: dict[str, ToolUse] = field(default_factory=dict)
    """Those of the turns above, and older ones that have not answered."""
    actions: dict[str, journal_pb2.ActionOrdered] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    said_offset: int = 0
    """Caller offset behind the last utterance that is in the journal."""
    digits_offset: int = -1
    """Caller offset of the last digit that is in the journal."""
    barge_in_offset: int = -1
    """Caller offset of the last barge-in that is in the journal."""
    bot_offset: int = 0
    """Bot offset at which the next sentence's audio begins."""
    owed_flush: tuple[int, int] | None = None
    """What the gateway may not have been told yet to play no more: the newest entry says so."""
    next_sentence: int = 0
    """Number of the sentence to come."""
    tools_intended: int = 0
    """How many tools were ever intended."""
    actions_ordered: int = 0
    """How many actions were ever ordered."""
    open_entries: int = 0
    """How many entries there are behind the newest compaction, or in all."""
    open_bytes: int = 0
    """How long they are."""
    compacted: bool = False
    """Whether there was a compaction."""
    end_reason: str = ""

    @property
    def turn(self) -> Turn | None:
        """The newest turn."""
        return self.turns[-1] if self.turns else None

    def pending_tools(self) -> list[ToolUse]:
        """Return the tools whose answer is not known yet."""
        return [tool for tool in self.tools.values() if not tool.answered]


def newest(turns: Sequence[Turn]) -> list[Turn]:
    """Return the turns that still count: the newest, at least one.

    It depends on nothing but the turns, and older ones never count again; so whoever forgets
    those finds the same as whoever remembers them.
    """
    room, count = MAX_TURN_BYTES, 0
    for turn in reversed(turns[-MAX_TURNS:]):
        room -= turn.size
        if room < 0 and count:
            break
        count += 1
    return list(turns[len(turns) - count :])


def _size(*texts: str) -> int:
    return sum(len(text.encode()) for text in texts)
