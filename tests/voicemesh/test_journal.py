from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, strategies as st

from voicemesh.api.journal.v1 import journal_pb2 as pb
from voicemesh.errors import InvalidInput, OutOfOrder
from voicemesh.journal import Journal, Memory, ReplyState, fold, remember

STARTED: dict[str, Any] = {"call_started": pb.CallStarted(bot="desk", sample_rate_hertz=8000)}


def entries(*events: dict[str, Any]) -> list[pb.Entry]:
    return [pb.Entry(sequence=number, **event) for number, event in enumerate((STARTED, *events))]


def said(turn: int, text: str, end: int = 10) -> dict[str, Any]:
    return {"caller_said": pb.CallerSaid(turn=turn, text=text, end_offset=end)}


def planned(turn: int, sentence: int, text: str) -> dict[str, Any]:
    return {"sentence_planned": pb.SentencePlanned(turn=turn, sentence=sentence, text=text)}


def finished(sentence: int, start: int, end: int) -> dict[str, Any]:
    done = pb.SentenceFinished(sentence=sentence, start_offset=start, end_offset=end)
    return {"sentence_finished": done}


def replies(turn: int) -> dict[str, Any]:
    return {"reply_started": pb.ReplyStarted(turn=turn)}


REPLY_DONE: dict[str, Any] = {"reply_finished": pb.ReplyFinished(turn=1)}


# Keeping.


def test_entries_are_kept_once_and_without_a_gap() -> None:
    first, second, third = entries(said(1, "a"), replies(1))
    journal = Journal([first])
    assert journal.append(second)
    assert not journal.append(second)
    assert not journal.append(first)
    assert journal.next_sequence == 2
    assert journal.append(third)
    assert list(journal.entries) == [first, second, third]


def test_gap_is_refused() -> None:
    journal = Journal(entries())
    with pytest.raises(OutOfOrder) as caught:
        journal.append(pb.Entry(sequence=2, **REPLY_DONE))
    assert caught.value.reason == "JOURNAL_GAP"
    assert caught.value.details["limit"] == "1"


@given(st.lists(st.integers(0, 3), max_size=12))
def test_journal_is_the_entries_in_order_whatever_is_repeated(again: list[int]) -> None:
    known = entries(said(1, "a"), replies(1), REPLY_DONE)
    journal = Journal()
    for entry in known:
        journal.append(entry)
        for number in again:
            journal.append(known[min(number, entry.sequence)])
    assert list(journal.entries) == known


# Folding.


def test_turn_is_put_together() -> None:
    memory = fold(
        entries(
            said(1, "book it"),
            replies(1),
            planned(1, 0, "Wait."),
            {"tool_intended": pb.ToolIntended(key="k", turn=1, name="book", arguments_json="{}")},
            finished(0, 0, 400),
            {"tool_answered": pb.ToolAnswered(key="k", result_json="7")},
            planned(1, 1, "Booked."),
            finished(1, 400, 900),
            REPLY_DONE,
        )
    )
    [turn] = memory.turns
    assert (turn.caller_text, turn.reply) == ("book it", ReplyState.FINISHED)
    assert [sentence.text for sentence in turn.sentences] == ["Wait.", "Booked."]
    assert [(tool.name, tool.result_json, tool.answered) for tool in turn.tools] == [
        ("book", "7", True)
    ]
    assert turn.parts[1] is turn.tools[0]
    assert memory.bot_offset == 900
    assert memory.next_sentence == 2
    assert not memory.pending_tools()


def test_interruption_moves_the_bot_and_drops_what_waited_for_it() -> None:
    def act(key: str, after: int) -> dict[str, Any]:
        return {"action_ordered": pb.ActionOrdered(key=key, kind="hang_up", after_offset=after)}

    interrupted = pb.ReplyInterrupted(
        turn=1, heard_offset=300, heard_text="Hel", next_offset=1000, barge_in_offset=77
    )
    known = entries(
        said(1, "a"),
        replies(1),
        planned(1, 0, "Hello."),
        finished(0, 0, 800),
        act("early", 200),
        act("late", 800),
        {"reply_interrupted": interrupted},
    )
    memory = fold(known)
    assert memory.turns[0].reply is ReplyState.INTERRUPTED
    assert memory.turns[0].heard_text == "Hel"
    assert list(memory.actions) == ["early"]
    assert memory.actions_ordered == 2
    assert (memory.bot_offset, memory.barge_in_offset) == (1000, 77)
    assert memory.owed_flush == (300, 1000)
    # Whatever was written later, the gateway has the flush.
    remember(memory, pb.Entry(sequence=len(known), **said(2, "b")))
    assert memory.owed_flush is None


def test_noise_digits_notes_and_the_end() -> None:
    memory = fold(
        entries(
            said(0, "uh huh", end=50),
            {"digits_pressed": pb.DigitsPressed(turn=1, digits="12", end_offset=60)},
            {"brain_noted": pb.BrainNoted(name="a", value_json="1")},
            {"brain_noted": pb.BrainNoted(name="a", value_json="2")},
            {"call_ended": pb.CallEnded(reason="caller_hung_up")},
        )
    )
    assert [turn.caller_text for turn in memory.turns] == ["12"]
    assert (memory.said_offset, memory.digits_offset) == (50, 60)
    assert memory.notes == {"a": "2"}
    assert memory.end_reason == "caller_hung_up"


def test_consumed_offset_never_decreases() -> None:
    known = entries(said(1, "a"), said(2, "b"))
    known[1].consumed_offset = 500
    known[2].consumed_offset = 100
    assert fold(known).consumed_offset == 500


@given(st.integers(0, 4))
def test_folding_goes_on_from_any_prefix(cut: int) -> None:
    known = entries(said(1, "a"), replies(1), planned(1, 0, "Hi."), finished(0, 0, 9), REPLY_DONE)
    memory = fold(known[:cut])
    for entry in known[cut:]:
        remember(memory, entry)
    assert memory == fold(known)


def test_nothing_folds_to_nothing() -> None:
    assert fold([]) == Memory()
    assert Memory().turn is None


@pytest.mark.parametrize(
    ("events", "kind", "field"),
    [
        ([pb.Entry(sequence=0)], InvalidInput, "journal.event"),
        ([pb.Entry(sequence=1, **STARTED)], OutOfOrder, "journal.sequence"),
        ([pb.Entry(sequence=0, **replies(1))], OutOfOrder, "journal.reply_started"),
        (entries(STARTED), OutOfOrder, "journal.call_started"),
        (
            entries({"call_ended": pb.CallEnded(reason="x")}, replies(1)),
            OutOfOrder,
            "journal.reply_started",
        ),
        (entries(planned(3, 0, "a")), InvalidInput, "journal.turn"),
        (entries(finished(3, 0, 1)), InvalidInput, "journal.sentence_finished"),
        (
            entries({"tool_answered": pb.ToolAnswered(key="k")}),
            InvalidInput,
            "journal.tool_answered",
        ),
        (entries(REPLY_DONE), InvalidInput, "journal.turn"),
        (
            entries({"tool_intended": pb.ToolIntended(key="k", turn=9)}),
            InvalidInput,
            "journal.turn",
        ),
    ],
)
def test_contradictions_are_refused(
    events: list[pb.Entry], kind: type[InvalidInput], field: str
) -> None:
    with pytest.raises(kind) as caught:
        fold(events)
    assert caught.value.details["field"] == field
