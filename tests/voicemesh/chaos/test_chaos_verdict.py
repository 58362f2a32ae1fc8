"""Each kind of loss is planted into the account of a flawless call, and must be found."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hypothesis import given, strategies as st

from voicemesh.audio.tonetext import DAMAGED
from voicemesh.chaos.talk import ScriptedTalk
from voicemesh.chaos.verdict import Evidence, Loss, Said, compare, judge, uncovered

if TYPE_CHECKING:
    from collections.abc import Sequence

TURNS = 5
SECOND = 8000


def results(talk: ScriptedTalk) -> dict[str, str]:
    lines = [talk.line(turn) for turn in range(1, TURNS + 1)]
    return {line.text: str(1000 + turn) for turn, line in enumerate(lines) if line.uses_tool}


def flawless() -> Evidence:
    """Return the account of a call in which nothing went wrong."""
    talk = ScriptedTalk(7, 3)
    evidence = Evidence("call-3", talk)
    journal: list[dict[str, Any]] = [{"call_started": {"bot": "chaos"}}]
    sentences = [*talk.greeting]
    journal += [{"sentence_planned": {"text": text}} for text in sentences]
    for turn in range(1, TURNS + 1):
        text, start = talk.line(turn).text, turn * 10 * SECOND
        end = start + SECOND
        evidence.said.append(Said(text, start, end))
        # As protobuf writes 64-bit numbers in JSON.
        said = {"turn": turn, "text": text, "start_offset": str(start), "end_offset": str(end)}
        journal.append({"caller_said": said})
        answer = talk.answer(turn, text, results(talk))
        journal += [{"sentence_planned": {"turn": turn, "text": each}} for each in answer]
        sentences += answer
    evidence.heard = sentences
    evidence.journal = journal
    return evidence


def found(evidence: Evidence) -> dict[Loss, int]:
    counted: dict[Loss, int] = {}
    for finding in judge(evidence, results(ScriptedTalk(7, 3))):
        counted[finding.loss] = counted.get(finding.loss, 0) + finding.amount
    return counted


def of(evidence: Evidence, kind: str, turn: int) -> dict[str, Any]:
    """Return the first entry of this kind in a turn."""
    for entry in evidence.journal:
        if entry.get(kind, {}).get("turn") == turn:
            told: dict[str, Any] = entry[kind]
            return told
    raise AssertionError(f"no {kind} in turn {turn}")


def without(evidence: Evidence, kind: str, turn: int) -> Sequence[dict[str, Any]]:
    gone = of(evidence, kind, turn)
    return [dict(entry) for entry in evidence.journal if entry.get(kind) is not gone]


def test_nothing_is_found_in_a_flawless_call() -> None:
    assert found(flawless()) == {}


def test_a_call_that_broke_off_is_lost_and_nothing_else() -> None:
    evidence = flawless()
    evidence.failure = "Unavailable"
    evidence.heard = []
    assert found(evidence) == {Loss.CALLS: 1}


def test_a_sentence_that_was_not_heard_is_lost() -> None:
    evidence = flawless()
    evidence.heard.remove("That was turn 2.")
    assert found(evidence) == {Loss.LOST: 1}


def test_a_sentence_that_was_neither_journalled_nor_heard_is_lost_once() -> None:
    evidence = flawless()
    evidence.heard.remove("That was turn 2.")
    gone = [entry for entry in evidence.journal if "That was turn 2." in str(entry)]
    evidence.journal = [entry for entry in evidence.journal if entry not in gone]
    assert found(evidence) == {Loss.LOST: 1}


def test_a_sentence_heard_twice_is_repeated() -> None:
    evidence = flawless()
    place = evidence.heard.index("That was turn 2.")
    evidence.heard.insert(place, "That was turn 2.")
    assert found(evidence) == {Loss.REPEATED: 1}


def test_a_sentence_begun_and_then_said_whole_is_repeated() -> None:
    evidence = flawless()
    place = evidence.heard.index("That was turn 2.")
    evidence.heard.insert(place, f"That was t{DAMAGED}")
    assert found(evidence) == {Loss.REPEATED: 1}


def test_a_sentence_of_which_the_end_is_missing_is_wrong() -> None:
    evidence = flawless()
    place = evidence.heard.index("That was turn 2.")
    evidence.heard[place] = "That was"
    assert found(evidence)[Loss.WORDS] >= 1


def test_a_wrong_word_is_counted() -> None:
    evidence = flawless()
    place = evidence.heard.index("That was turn 2.")
    evidence.heard[place] = f"That w{DAMAGED}s turn 2."
    assert found(evidence) == {Loss.WORDS: 1}


def test_words_that_nobody_expects_are_wrong() -> None:
    evidence = flawless()
    evidence.heard.append("Are you still there?")
    assert found(evidence) == {Loss.WORDS: 4}


def test_a_holding_line_is_no_loss() -> None:
    evidence = flawless()
    evidence.heard.insert(3, "One moment, please.")
    assert found(evidence) == {}


def test_a_holding_line_that_its_end_cuts_off_is_no_loss() -> None:
    evidence = flawless()
    evidence.heard.insert(3, "One mo")
    assert found(evidence) == {}


def test_a_caller_who_was_misunderstood_is_counted_once() -> None:
    evidence = flawless()
    said = of(evidence, "caller_said", 2)
    right = said["text"]
    said["text"] = right.replace("turn 2", "turn two")
    # The bot repeats what it understood, which is no second mistake.
    for entry in evidence.journal:
        if "sentence_planned" in entry:
            planned = entry["sentence_planned"]
            planned["text"] = planned["text"].replace(right, said["text"])
    evidence.heard = [text.replace(right, said["text"]) for text in evidence.heard]
    assert found(evidence) == {Loss.WORDS: 1}


def test_a_line_that_the_caller_said_haltingly_is_not_judged() -> None:
    evidence = flawless()
    evidence.said[1] = replace(evidence.said[1], halting=True)
    said = of(evidence, "caller_said", 2)
    right, said["end_offset"] = said["text"], str(20 * SECOND + SECOND // 2)
    said["text"] = "call"
    evidence.heard = [text.replace(right, "call") for text in evidence.heard]
    for entry in evidence.journal:
        if "sentence_planned" in entry:
            planned = entry["sentence_planned"]
            planned["text"] = planned["text"].replace(right, "call")
    assert found(evidence) == {}


def test_what_the_caller_said_and_no_utterance_has_is_lost() -> None:
    evidence = flawless()
    of(evidence, "caller_said", 2)["end_offset"] = str(20 * SECOND + SECOND // 2)
    samples = found(evidence)
    assert set(samples) == {Loss.SAMPLES}
    assert samples[Loss.SAMPLES] > SECOND // 4


def test_a_line_that_was_cut_in_two_is_no_loss_of_the_sentences_after_it() -> None:
    evidence = flawless()
    said = of(evidence, "caller_said", 2)
    rest = {"caller_said": said | {"turn": 3, "text": "the rest"}}
    said["text"] = "call"
    at = next(n for n, entry in enumerate(evidence.journal) if entry.get("caller_said") is said)
    # The bot counts one turn more from then on, and its answer to the first half was cut off.
    cut = {"reply_interrupted": {"turn": 2}}
    journal = [dict(entry) for entry in evidence.journal]
    evidence.journal = [*journal[: at + 2], cut, rest, *journal[at + 3 :]]
    evidence.heard.remove("That was turn 2.")
    losses = found(evidence)
    assert Loss.LOST not in losses
    assert Loss.REPEATED not in losses
    evidence.heard.remove("That was turn 4.")
    assert found(evidence)[Loss.LOST] == 1


def test_what_is_only_later_in_the_call_is_not_lost() -> None:
    evidence = flawless()
    said = of(evidence, "caller_said", 2)
    said |= {name: str(int(said[name]) + SECOND // 2) for name in ("start_offset", "end_offset")}
    assert found(evidence) == {}


def test_an_utterance_that_is_not_in_the_journal_loses_its_words_and_its_samples() -> None:
    evidence = flawless()
    words = len(of(evidence, "caller_said", TURNS)["text"].split())
    evidence.journal = without(evidence, "caller_said", TURNS)
    losses = found(evidence)
    assert losses[Loss.WORDS] >= words
    assert losses[Loss.SAMPLES] > SECOND // 2


def test_an_utterance_that_is_twice_in_the_journal_is_wrong() -> None:
    evidence = flawless()
    said = dict(of(evidence, "caller_said", TURNS))
    evidence.journal = [*evidence.journal, {"caller_said": said | {"turn": TURNS + 1}}]
    assert Loss.WORDS in found(evidence)


@given(st.sets(st.integers(0, 9)), st.sets(st.integers(0, 9)))
def test_whatever_is_dropped_is_lost_and_whatever_is_doubled_is_repeated(
    dropped: set[int], doubled: set[int]
) -> None:
    expected = [f"This is sentence {number}." for number in range(10)]
    heard = [
        text
        for number, text in enumerate(expected)
        if number not in dropped
        for _ in range(2 if number in doubled else 1)
    ]
    compared = compare(expected, heard)
    assert set(compared.lost) == {expected[number] for number in dropped}
    assert len(compared.repeated) == len(doubled - dropped)
    assert not compared.wrong


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50))), st.integers(0, 50))
def test_uncovered_counts_samples(spans: list[tuple[int, int]], start: int) -> None:
    covered = {sample for begin, end in spans for sample in range(begin, end)}
    missing = [sample for sample in range(start, 50) if sample not in covered]
    assert uncovered(start, 50, [span for span in spans if span[0] < span[1]]) == len(missing)
