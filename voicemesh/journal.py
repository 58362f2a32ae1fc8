"""A call's memory: an append-only list of entries, and what they add up to.

The orchestrator writes an entry before its effect leaves, and applies it to its own ``Memory`` by
the same fold that rebuilds one from a journal; so nothing that it knows is missing there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from voicemesh.api.journal.v1 import journal_pb2
from voicemesh.compaction import restore
from voicemesh.errors import InvalidInput, OutOfOrder
from voicemesh.memory import Memory, ReplyState, Sentence, ToolUse, Turn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

__all__ = [
    "Entry",
    "Journal",
    "Memory",
    "ReplyState",
    "Sentence",
    "ToolUse",
    "Turn",
    "fold",
    "remember",
]

Entry: TypeAlias = journal_pb2.Entry


class Journal:
    """The list itself, kept by whoever holds the call's media leg.

    It keeps every entry. Of the compactions it keeps only what the newest says, since that
    replaces what the ones before it said; at the end of the call, not even that.
    """

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        """`entries` may begin with a compaction."""
        self._entries: list[Entry] = []
        self._first = 0
        self._compacted: int | None = None
        for entry in entries:
            if not self._entries and _is_compaction(entry):
                self._first = entry.sequence
            self.append(entry)

    @property
    def entries(self) -> Sequence[Entry]:
        """All of them, oldest first."""
        return self._entries

    @property
    def open_part(self) -> Sequence[Entry]:
        """What a replica needs to go on: from the newest compaction, or the beginning."""
        return self._entries[self._compacted or 0 :]

    @property
    def next_sequence(self) -> int:
        """Sequence number of the entry to come."""
        return self._first + len(self._entries)

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
        if _is_compaction(entry):
            self._empty_compaction()
            self._compacted = len(self._entries)
        self._entries.append(entry)
        if entry.HasField("call_ended"):
            self._empty_compaction()
        return True

    def _empty_compaction(self) -> None:
        # One that the list begins with stands for entries that are not here.
        if not self._compacted:
            return
        emptied = Entry()
        emptied.CopyFrom(self._entries[self._compacted])
        emptied.compacted.Clear()
        self._entries[self._compacted] = emptied
        self._compacted = None


def _is_compaction(entry: Entry) -> bool:
    return entry.HasField("compacted") and entry.compacted.HasField("started")


def fold(entries: Iterable[Entry]) -> Memory:
    """Return what the entries add up to. Raise OutOfOrder or InvalidInput if they contradict.

    They begin with entry 0 or with a compaction. What follows is the same either way: a compaction
    takes the place of everything before it, wherever it stands.
    """
    memory = Memory()
    for entry in entries:
        remember(memory, entry)
    return memory


def remember(memory: Memory, entry: Entry) -> None:
    """Add one entry to the memory."""
    if memory.started is None and _is_compaction(entry):
        memory.next_sequence = entry.sequence
    if entry.sequence != memory.next_sequence:
        raise OutOfOrder(
            "journal.sequence",
            f"is {entry.sequence}, but {memory.next_sequence} comes next",
            reason="JOURNAL_GAP",
            limit=memory.next_sequence,
        )
    kind = _allowed(memory, entry)
    memory.next_sequence += 1
    memory.open_entries += 1
    memory.open_bytes += entry.ByteSize()
    memory.consumed_offset = max(memory.consumed_offset, entry.consumed_offset)
    if kind != "caller_unheard":
        # That one is the gateway's: it says nothing of what the gateway was told.
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
    first = kind == "call_started" or (memory.started is None and _is_compaction(entry))
    if (memory.started is None) != first or (kind == "call_started" and entry.sequence):
        raise OutOfOrder(
            f"journal.{kind}",
            "a journal begins with call_started, entry 0 and no other, or with a compaction",
            sequence=entry.sequence,
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
    _open_turn(memory, event.turn, event.meaning or event.digits)


def _caller_unheard(memory: Memory, event: journal_pb2.CallerUnheard) -> None:
    # A turn without words: the bot asks for them.
    if event.turn:
        _open_turn(memory, event.turn)


def _reply_started(memory: Memory, event: journal_pb2.ReplyStarted) -> None:
    newest = memory.turn
    turn = newest if newest and newest.number == event.turn else _open_turn(memory, event.turn)
    turn.reply = ReplyState.OPEN
    turn.literal = event.literal


def _sentence_planned(memory: Memory, event: journal_pb2.SentencePlanned) -> None:
    sentence = Sentence(event.sentence, event.text, aside=event.aside)
    memory.sentences[event.sentence] = sentence
    memory.next_sentence = event.sentence + 1
    _turn(memory, event.turn).parts.append(sentence)


def _sentence_finished(memory: Memory, event: journal_pb2.SentenceFinished) -> None:
    sentence = memory.sentences[event.sentence]
    sentence.start_offset, sentence.end_offset = event.start_offset, event.end_offset
    sentence.taken_over = None
    memory.bot_offset = event.end_offset


def _sentence_taken_over(memory: Memory, event: journal_pb2.SentenceTakenOver) -> None:
    memory.sentences[event.sentence].taken_over = (event.start_offset, event.character)


def _reply_finished(memory: Memory, event: journal_pb2.ReplyFinished) -> None:
    _turn(memory, event.turn).reply = ReplyState.FINISHED


def _reply_interrupted(memory: Memory, event: journal_pb2.ReplyInterrupted) -> None:
    turn = _turn(memory, event.turn)
    turn.reply = ReplyState.INTERRUPTED
    turn.heard_text = event.heard_text
    for sentence in turn.sentences:
        sentence.taken_over = None
    memory.bot_offset = event.next_offset
    memory.barge_in_offset = event.barge_in_offset
    memory.owed_flush = (event.heard_offset, event.next_offset)
    heard = event.heard_offset
    memory.actions = {k: act for k, act in memory.actions.items() if act.after_offset <= heard}


def _tool_intended(memory: Memory, event: journal_pb2.ToolIntended) -> None:
    tool = ToolUse(event.key, event.turn, event.name, event.arguments_json)
    memory.tools[event.key] = tool
    memory.tools_intended += 1
    _turn(memory, event.turn).parts.append(tool)


def _tool_answered(memory: Memory, event: journal_pb2.ToolAnswered) -> None:
    tool = memory.tools[event.key]
    tool.result_json, tool.error, tool.answered = event.result_json, event.error, True


def _action_ordered(memory: Memory, event: journal_pb2.ActionOrdered) -> None:
    memory.actions[event.key] = event
    memory.actions_ordered += 1


def _brain_noted(memory: Memory, event: journal_pb2.BrainNoted) -> None:
    if event.value_json:
        memory.notes[event.name] = event.value_json
    else:
        memory.notes.pop(event.name, None)


def _compacted(memory: Memory, event: journal_pb2.Compacted) -> None:
    if event.HasField("started"):
        restore(memory, event)


def _call_ended(memory: Memory, event: journal_pb2.CallEnded) -> None:
    memory.end_reason = event.reason or "failed"


_FOLDS: dict[str, Callable[[Memory, Any], None]] = {
    "caller_said": _caller_said,
    "digits_pressed": _digits_pressed,
    "reply_started": _reply_started,
    "sentence_planned": _sentence_planned,
    "sentence_finished": _sentence_finished,
    "sentence_taken_over": _sentence_taken_over,
    "reply_finished": _reply_finished,
    "reply_interrupted": _reply_interrupted,
    "tool_intended": _tool_intended,
    "tool_answered": _tool_answered,
    "action_ordered": _action_ordered,
    "brain_noted": _brain_noted,
    "call_ended": _call_ended,
    "caller_unheard": _caller_unheard,
    "compacted": _compacted,
}
