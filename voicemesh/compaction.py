"""A memory in one entry, so that a long call's journal is no longer to send than a short one's.

What is compacted and restored is the same memory again, apart from turns that count no more. The
orchestrator that writes a compaction restores it as well; so it goes on with exactly what any other
replica would begin with.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from google.protobuf.timestamp_pb2 import Timestamp

from voicemesh.api.journal.v1 import journal_pb2 as pb
from voicemesh.memory import Memory, ReplyState, Sentence, ToolUse, Turn, newest

if TYPE_CHECKING:
    from collections.abc import Iterator

FIRST_ENTRIES = 200
"""Entries of a journal that are sent before it is compacted for the first time."""
FIRST_BYTES = 32 * 1024
"""Bytes of the same."""
OPEN_ENTRIES = 8
"""Entries behind a compaction that are sent with it before the next one is due: few, so that it
does not matter when a call is resumed."""
OPEN_BYTES = 8 * 1024
"""Bytes of the same."""

_STATES = {
    ReplyState.NONE: pb.REPLY_STATE_NONE,
    ReplyState.OPEN: pb.REPLY_STATE_OPEN,
    ReplyState.FINISHED: pb.REPLY_STATE_FINISHED,
    ReplyState.INTERRUPTED: pb.REPLY_STATE_INTERRUPTED,
}
_REPLIES = {proto: state for state, proto in _STATES.items()}


def due(memory: Memory) -> bool:
    """Whether the journal has become so long that it is to be compacted."""
    entries, size = (OPEN_ENTRIES, OPEN_BYTES) if memory.compacted else (FIRST_ENTRIES, FIRST_BYTES)
    return memory.open_entries >= entries or memory.open_bytes >= size


def compact(memory: Memory) -> pb.Compacted:
    """Return the memory as an entry; not to be written while an answer is being worked out."""
    turns = newest(memory.turns)
    kept = {tool.key for turn in turns for tool in turn.tools}
    return pb.Compacted(
        started=memory.started,
        start_time=Timestamp(seconds=memory.started_seconds),
        turns=[_turn(turn) for turn in turns],
        pending_tools=[_tool(tool) for tool in memory.pending_tools() if tool.key not in kept],
        actions=memory.actions.values(),
        notes=[pb.BrainNoted(name=k, value_json=v) for k, v in memory.notes.items()],
        next_sentence=memory.next_sentence,
        tools_intended=memory.tools_intended,
        actions_ordered=memory.actions_ordered,
        said_offset=memory.said_offset,
        digits_offset=memory.digits_offset,
        barge_in_offset=memory.barge_in_offset,
        bot_offset=memory.bot_offset,
    )


def restore(memory: Memory, event: pb.Compacted) -> None:
    """Make the memory what the compaction says; its place in the journal is left alone."""
    memory.started = event.started
    memory.started_seconds = event.start_time.seconds
    memory.turns = [_restored_turn(turn) for turn in event.turns]
    tools = [tool for turn in memory.turns for tool in turn.tools]
    tools = [*(_restored_tool(tool) for tool in event.pending_tools), *tools]
    memory.tools = {tool.key: tool for tool in tools}
    memory.sentences = {each.number: each for turn in memory.turns for each in turn.sentences}
    memory.actions = {action.key: action for action in event.actions}
    memory.notes = {note.name: note.value_json for note in event.notes}
    memory.next_sentence = event.next_sentence
    memory.tools_intended = event.tools_intended
    memory.actions_ordered = event.actions_ordered
    memory.said_offset = event.said_offset
    memory.digits_offset = event.digits_offset
    memory.barge_in_offset = event.barge_in_offset
    memory.bot_offset = event.bot_offset
    memory.owed_flush = None
    memory.open_entries = memory.open_bytes = 0
    memory.compacted = True


def _turn(turn: Turn) -> pb.CompactedTurn:
    return pb.CompactedTurn(
        turn=turn.number,
        caller_text=turn.caller_text,
        literal=turn.literal,
        reply=_STATES[turn.reply],
        parts=_parts(turn),
        heard_text=turn.heard_text,
    )


def _parts(turn: Turn) -> Iterator[pb.CompactedPart]:
    for part in turn.parts:
        if isinstance(part, ToolUse):
            yield pb.CompactedPart(tool=_tool(part))
        else:
            sentence = pb.CompactedSentence(sentence=part.number, text=part.text, aside=part.aside)
            if part.start_offset is not None and part.end_offset is not None:
                sentence.start_offset, sentence.end_offset = part.start_offset, part.end_offset
            yield pb.CompactedPart(sentence=sentence)


def _tool(tool: ToolUse) -> pb.CompactedTool:
    intended = pb.ToolIntended(
        key=tool.key, turn=tool.turn, name=tool.name, arguments_json=tool.arguments_json
    )
    if not tool.answered:
        return pb.CompactedTool(intended=intended)
    answered = pb.ToolAnswered(key=tool.key, result_json=tool.result_json, error=tool.error)
    return pb.CompactedTool(intended=intended, answered=answered)


def _restored_turn(turn: pb.CompactedTurn) -> Turn:
    parts = [
        _restored_tool(part.tool) if part.HasField("tool") else _restored_sentence(part.sentence)
        for part in turn.parts
    ]
    reply = _REPLIES.get(turn.reply, ReplyState.NONE)
    return Turn(turn.turn, turn.caller_text, turn.literal, reply, parts, turn.heard_text)


def _restored_sentence(sentence: pb.CompactedSentence) -> Sentence:
    restored = Sentence(sentence.sentence, sentence.text, aside=sentence.aside)
    if sentence.HasField("end_offset"):
        restored.start_offset, restored.end_offset = sentence.start_offset, sentence.end_offset
    return restored


def _restored_tool(tool: pb.CompactedTool) -> ToolUse:
    intended, answered = tool.intended, tool.answered
    return ToolUse(
        intended.key,
        intended.turn,
        intended.name,
        intended.arguments_json,
        answered.result_json,
        answered.error,
        tool.HasField("answered"),
    )
