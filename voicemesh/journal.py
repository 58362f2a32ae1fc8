"""A call's memory: an append-only list of entries, and what they add up to.

The orchestrator writes an entry before its effect leaves, and applies it to its own ``Memory`` by
the same fold that rebuilds one from a journal; so nothing that it knows is missing there.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from voicemesh.api.journal.v1 import journal_pb2
from voicemesh.errors import InvalidInput, OutOfOrder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

Entry: TypeAlias = journal_pb2.Entry


class Journal:
    """The list itself, kept by whoever holds the call's media leg."""

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self._entries: list[Entry] = []
        for entry in entries:
            self.append(entry)

    @property
    def entries(self) -> Sequence[Entry]:
        """All of them, oldest first."""
        return self._entries

    @property
    def next_sequence(self) -> int:
        """Sequence number of the entry to come."""
        return len(self._entries)

    def append(self, entry: Entry) -> bool:
        """Keep an entry; return False if it was there already. Raise OutOfOrder on a gap."""
        if entry.sequence > self.next_sequence:
            raise OutOfOrder(
                "journal.sequence",
                f"is {entry.sequence}, but {self.next_sequence} comes next",
                reason="JOURNAL_GAP",
                limit=self.next_sequence,
            )
        if entry.sequence < self.next_sequence:
            return False
        self._entries.append(entry)
        return True


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


@dataclass(slots=True)
class Memory:
    """What the entries of a journal add up to."""

    next_sequence: int = 0
    consumed_offset: int = 0
    started: journal_pb2.CallStarted | None = None
    started_seconds: int = 0
    turns: list[Turn] = field(default_factory=list)
    sentences: dict[int, Sentence] = field(default_factory=dict)
    tools: dict[str, ToolUse] = field(default_factory=dict)
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
    actions_ordered: int = 0
    """How many actions were ever ordered."""
    end_reason: str = ""

    @property
    def turn(self) -> Turn | None:
        """The newest turn."""
        return self.turns[-1] if self.turns else None

    @property
    def next_sentence(self) -> int:
        """Number of the sentence to come."""
        return len(self.sentences)

    def pending_tools(self) -> list[ToolUse]:
        """Return the tools whose answer is not known yet."""
        return [tool for tool in self.tools.values() if not tool.answered]


def fold(entries: Iterable[Entry]) -> Memory:
    """Return what the entries add up to. Raise OutOfOrder or InvalidInput if they contradict."""
    memory = Memory()
    for entry in entries:
        remember(memory, entry)
    return memory


def remember(memory: Memory, entry: Entry) -> None:
    """Add one entry to the memory."""
    if entry.sequence != memory.next_sequence:
        raise OutOfOrder(
            "journal.sequence",
            f"is {entry.sequence}, but {memory.next_sequence} comes next",
            reason="JOURNAL_GAP",
            limit=memory.next_sequence,
        )
    kind = _allowed(memory, entry)
    memory.next_sequence += 1
    memory.consumed_offset = max(memory.consumed_offset, entry.consumed_offset)
    memory.owed_flush = None
    if kind == "call_started":
        memory.started = entry.call_started
        memory.started_seconds = entry.write_time.seconds
        return
    try:
        _FOLDS[kind](memory, getattr(entry, kind))
    except KeyError as error:
        raise InvalidInput(
            f"journal.{kind}", f"names {error}, which no entry before it did"
        ) from error


def _allowed(memory: Memory, entry: Entry) -> str:
    """Return what the entry tells of; raise if that cannot be its place."""
    kind = entry.WhichOneof("event")
    if kind is None:
        raise InvalidInput("journal.event", "is not set", sequence=entry.sequence)
    if (kind == "call_started") != (entry.sequence == 0):
        raise OutOfOrder(
            f"journal.{kind}", "call_started is entry 0 and no other", sequence=entry.sequence
        )
    if memory.end_reason:
        raise OutOfOrder(f"journal.{kind}", "nothing follows call_ended", sequence=entry.sequence)
    return kind


def _open_turn(memory: Memory, number: int, text: str = "") -> Turn:
    turn = Turn(number, text)
    memory.turns.append(turn)
    return turn


def _turn(memory: Memory, number: int) -> Turn:
    for turn in reversed(memory.turns):
        if turn.number == number:
            return turn
    raise InvalidInput("journal.turn", f"there is no turn {number}")


def _caller_said(memory: Memory, event: journal_pb2.CallerSaid) -> None:
    memory.said_offset = max(memory.said_offset, event.end_offset)
    if event.turn:
        _open_turn(memory, event.turn, event.text)


def _digits_pressed(memory: Memory, event: journal_pb2.DigitsPressed) -> None:
    memory.digits_offset = event.end_offset
    _open_turn(memory, event.turn, event.digits)


def _reply_started(memory: Memory, event: journal_pb2.ReplyStarted) -> None:
    newest = memory.turn
    turn = newest if newest and newest.number == event.turn else _open_turn(memory, event.turn)
    turn.reply = ReplyState.OPEN
    turn.literal = event.literal


def _sentence_planned(memory: Memory, event: journal_pb2.SentencePlanned) -> None:
    sentence = Sentence(event.sentence, event.text)
    memory.sentences[event.sentence] = sentence
    _turn(memory, event.turn).parts.append(sentence)


def _sentence_finished(memory: Memory, event: journal_pb2.SentenceFinished) -> None:
    sentence = memory.sentences[event.sentence]
    sentence.start_offset, sentence.end_offset = event.start_offset, event.end_offset
    memory.bot_offset = event.end_offset


def _reply_finished(memory: Memory, event: journal_pb2.ReplyFinished) -> None:
    _turn(memory, event.turn).reply = ReplyState.FINISHED


def _reply_interrupted(memory: Memory, event: journal_pb2.ReplyInterrupted) -> None:
    turn = _turn(memory, event.turn)
    turn.reply = ReplyState.INTERRUPTED
    turn.heard_text = event.heard_text
    memory.bot_offset = event.next_offset
    memory.barge_in_offset = event.barge_in_offset
    memory.owed_flush = (event.heard_offset, event.next_offset)
    heard = event.heard_offset
    memory.actions = {k: act for k, act in memory.actions.items() if act.after_offset <= heard}


def _tool_intended(memory: Memory, event: journal_pb2.ToolIntended) -> None:
    tool = ToolUse(event.key, event.turn, event.name, event.arguments_json)
    memory.tools[event.key] = tool
    _turn(memory, event.turn).parts.append(tool)


def _tool_answered(memory: Memory, event: journal_pb2.ToolAnswered) -> None:
    tool = memory.tools[event.key]
    tool.result_json, tool.error, tool.answered = event.result_json, event.error, True


def _action_ordered(memory: Memory, event: journal_pb2.ActionOrdered) -> None:
    memory.actions[event.key] = event
    memory.actions_ordered += 1


def _brain_noted(memory: Memory, event: journal_pb2.BrainNoted) -> None:
    memory.notes[event.name] = event.value_json


def _call_ended(memory: Memory, event: journal_pb2.CallEnded) -> None:
    memory.end_reason = event.reason or "failed"


_FOLDS: dict[str, Callable[[Memory, Any], None]] = {
    "caller_said": _caller_said,
    "digits_pressed": _digits_pressed,
    "reply_started": _reply_started,
    "sentence_planned": _sentence_planned,
    "sentence_finished": _sentence_finished,
    "reply_finished": _reply_finished,
    "reply_interrupted": _reply_interrupted,
    "tool_intended": _tool_intended,
    "tool_answered": _tool_answered,
    "action_ordered": _action_ordered,
    "brain_noted": _brain_noted,
    "call_ended": _call_ended,
}
