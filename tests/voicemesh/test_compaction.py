from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from voicemesh import memory as bounds
from voicemesh.api.journal.v1 import journal_pb2 as pb
from voicemesh.compaction import FIRST_BYTES, FIRST_ENTRIES, OPEN_ENTRIES, compact, due
from voicemesh.errors import OutOfOrder
from voicemesh.journal import Journal, Memory, ReplyState, fold, remember
from voicemesh.memory import MAX_TURNS, Sentence, Turn, newest

STARTED = pb.CallStarted(bot="desk", sample_rate_hertz=8000, variables={"name": "Ada"})


def append(journal: Journal, memory: Memory, **event: Any) -> pb.Entry:  # noqa: ANN401
    """Write an entry as an orchestrator does."""
    entry = pb.Entry(sequence=memory.next_sequence, consumed_offset=memory.next_sequence, **event)
    remember(memory, entry)
    journal.append(entry)
    return entry


def begun() -> tuple[Journal, Memory]:
    journal, memory = Journal(), Memory()
    append(journal, memory, call_started=STARTED)
    return journal, memory


def turn_of(number: int, how: str) -> list[dict[str, Any]]:
    """Return the entries of a whole turn."""
    key, said = f"call-{number}", pb.CallerSaid(turn=number, text=f"text {number}", end_offset=1)
    middle: dict[str, list[dict[str, Any]]] = {
        "plain": [],
        "tool": [
            {"tool_intended": pb.ToolIntended(key=key, turn=number, name="look")},
            {"tool_answered": pb.ToolAnswered(key=key, result_json="{}")},
        ],
        "failed": [
            {"tool_intended": pb.ToolIntended(key=key, turn=number, name="look")},
            {"tool_answered": pb.ToolAnswered(key=key, error="no")},
        ],
        "pending": [{"tool_intended": pb.ToolIntended(key=key, turn=number, name="look")}],
        "note": [{"brain_noted": pb.BrainNoted(name=f"n{number % 3}", value_json="1")}],
        "forgets": [{"brain_noted": pb.BrainNoted(name=f"n{number % 3}")}],
        "order": [{"action_ordered": pb.ActionOrdered(key=key, kind="hang_up", after_offset=9)}],
    }
    planned = pb.SentencePlanned(turn=number, sentence=number, text=f"answer {number}")
    finished = pb.SentenceFinished(sentence=number, start_offset=number, end_offset=number + 1)
    last: dict[str, Any] = {"reply_finished": pb.ReplyFinished(turn=number)}
    if how == "interrupted":
        last = {
            "reply_interrupted": pb.ReplyInterrupted(
                turn=number, heard_offset=number, heard_text="ans", barge_in_offset=7
            )
        }
    return [
        {"caller_said": said},
        {"reply_started": pb.ReplyStarted(turn=number)},
        *middle.get(how, []),
        {"sentence_planned": planned},
        {"sentence_finished": finished},
        last,
    ]


KINDS = ["plain", "tool", "failed", "pending", "note", "forgets", "order", "interrupted"]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(KINDS), st.booleans()), max_size=60))
def test_a_fold_from_the_newest_compaction_is_the_fold_of_everything(
    turns: list[tuple[str, bool]],
) -> None:
    journal, memory = begun()
    for number, (how, compacts) in enumerate(turns, 1):
        for event in turn_of(number, how):
            append(journal, memory, **event)
            assert fold(journal.open_part) == memory
        if compacts:
            append(journal, memory, compacted=compact(memory))
            assert fold(journal.open_part) == memory
    assert fold(journal.entries) == memory
    assert [entry.sequence for entry in journal.entries] == list(range(memory.next_sequence))


def test_nothing_but_old_turns_is_lost() -> None:
    journal, memory = begun()
    for number in range(1, MAX_TURNS + 11):
        for event in turn_of(number, KINDS[number % len(KINDS)]):
            append(journal, memory, **event)
    pending = [tool.key for tool in memory.pending_tools()]
    before = fold(journal.entries)
    append(journal, memory, compacted=compact(memory))
    assert memory.turns == before.turns[-MAX_TURNS:]
    assert [tool.key for tool in memory.pending_tools()] == pending
    for field in ("notes", "actions", "next_sentence", "tools_intended", "bot_offset", "started"):
        assert getattr(memory, field) == getattr(before, field), field


def test_compaction_is_due_late_first_and_then_often() -> None:
    journal, memory = begun()
    for number in range(FIRST_ENTRIES - 1):
        assert not due(memory)
        append(journal, memory, brain_noted=pb.BrainNoted(name="n", value_json=str(number)))
    assert due(memory)
    append(journal, memory, compacted=compact(memory))
    for number in range(OPEN_ENTRIES):
        assert not due(memory)
        append(journal, memory, brain_noted=pb.BrainNoted(name="n", value_json=str(number)))
    assert due(memory)


def test_long_entries_make_it_due_as_well() -> None:
    journal, memory = begun()
    value = '"' + "x" * FIRST_BYTES + '"'
    append(journal, memory, brain_noted=pb.BrainNoted(name="n", value_json=value))
    assert due(memory)


def test_a_journal_that_begins_with_a_compaction_goes_on_behind_it() -> None:
    journal, memory = begun()
    append(journal, memory, caller_said=pb.CallerSaid(turn=1, text="hello", end_offset=1))
    append(journal, memory, compacted=compact(memory))
    again = Journal(journal.open_part)
    assert again.next_sequence == 3
    assert list(again.open_part) == list(again.entries)
    added = append(again, memory, reply_started=pb.ReplyStarted(turn=1))
    assert journal.append(added)
    assert fold(again.entries) == fold(journal.entries) == memory
    # It stands for what is not in this list, so it stays.
    append(again, memory, compacted=compact(memory))
    append(again, memory, call_ended=pb.CallEnded(reason="failed"))
    assert fold(again.entries).end_reason == "failed"


def test_a_finished_record_has_everything_and_nothing_twice() -> None:
    journal, memory = begun()
    for number in range(1, MAX_TURNS + 11):
        for event in turn_of(number, "plain"):
            append(journal, memory, **event)
        append(journal, memory, compacted=compact(memory))
    append(journal, memory, call_ended=pb.CallEnded(reason="failed"))
    assert not any(entry.compacted.turns for entry in journal.entries)
    assert len(fold(journal.entries).turns) == MAX_TURNS + 10


def test_an_emptied_compaction_is_no_beginning() -> None:
    with pytest.raises(OutOfOrder):
        fold([pb.Entry(sequence=0, compacted=pb.Compacted())])
    with pytest.raises(OutOfOrder):
        fold([pb.Entry(sequence=7, compacted=pb.Compacted())])


def test_what_the_caller_was_not_heard_to_say_is_a_turn_without_words() -> None:
    _, memory = begun()
    unheard = pb.CallerUnheard(turn=1, start_offset=5, end_offset=9)
    remember(memory, pb.Entry(sequence=1, consumed_offset=9, caller_unheard=unheard))
    assert memory.consumed_offset == 9
    assert [(turn.number, turn.caller_text, turn.reply) for turn in memory.turns] == [
        (1, "", ReplyState.NONE)
    ]
    unheard = pb.CallerUnheard(start_offset=9, end_offset=10)
    remember(memory, pb.Entry(sequence=2, consumed_offset=10, caller_unheard=unheard))
    assert len(memory.turns) == 1


@given(st.lists(st.integers(0, bounds.MAX_TURN_BYTES), max_size=2 * MAX_TURNS), st.data())
def test_who_forgot_old_turns_finds_the_same_newest(
    lengths: list[int], data: st.DataObject
) -> None:
    turns = [Turn(n, parts=[Sentence(n, "x" * size)]) for n, size in enumerate(lengths)]
    known = data.draw(st.integers(0, len(turns)))
    forgetful = [*newest(turns[:known]), *turns[known:]]
    assert newest(forgetful) == newest(turns)
    assert bool(newest(turns)) == bool(turns)
    assert len(newest(turns)) <= MAX_TURNS
