from __future__ import annotations

import pytest

from voicemesh.chaos.gaps import SEVERAL, Heard, Struck, find

CALM = 100.0
BEFORE = [
    Heard("calm", 0, "plain", at, ((at + wait, at + wait + 1.0),))
    for at, wait in ((1.0, 0.4), (5.0, 0.5), (9.0, 0.45))
]
USUAL = {"plain": pytest.approx(0.45)}
KILL = Struck("kill stt", "stt-0", 200.0, 200.0, "stt")
HANG = Struck("hang orchestrator", "orchestrator-1", 200.0, 203.0, "orchestrator")


def answer(*runs: tuple[float, float], replicas: frozenset[str] = frozenset()) -> Heard:
    return Heard("hurt", 1, "plain", 199.0, runs, replicas)


def test_an_answer_in_time_and_without_a_hole_has_no_gap() -> None:
    gaps = find([*BEFORE, answer((199.5, 200.5), (200.51, 201.0))], [KILL], CALM)
    assert gaps.found == []
    assert gaps.usual == USUAL


def test_a_hole_while_the_bot_speaks_is_a_gap() -> None:
    gaps = find([*BEFORE, answer((199.45, 200.5), (200.75, 201.0))], [KILL], CALM)
    (gap,) = gaps.found
    assert not gap.waiting
    assert round(gap.seconds, 3) == 0.25
    assert gaps.by_fault() == {"kill stt": [gap]}


def test_an_answer_that_comes_late_is_a_gap_of_what_it_is_later() -> None:
    gaps = find([*BEFORE, answer((200.45, 201.0))], [KILL], CALM)
    (gap,) = gaps.found
    assert gap.waiting
    assert round(gap.seconds, 3) == 1.0


def test_only_calm_answers_tell_how_long_answers_take() -> None:
    late = [Heard("hurt", 1, "plain", 200.0 + n, ((203.0 + n, 204.0 + n),)) for n in range(9)]
    assert find([*BEFORE, *late], [], CALM).usual == USUAL


def test_a_gap_belongs_to_the_newest_fault_before_its_end() -> None:
    before = Struck("kill tts", "tts-0", 197.0, 197.0, "tts")
    later = Struck("kill llm", "llm-0", 201.5, 201.5, "llm")
    gaps = find([*BEFORE, answer((200.45, 201.0))], [before, KILL, later], CALM)
    assert list(gaps.by_fault()) == ["kill stt"]


def test_a_gap_while_several_faults_are_at_work_says_nothing_of_one_alone() -> None:
    hang = Struck("hang tts", "tts-0", 197.0, 199.9, "tts")
    gaps = find([*BEFORE, answer((200.45, 201.0))], [hang, KILL], CALM)
    (gap,) = gaps.found
    assert gap.fault == SEVERAL
    assert gap.cause == KILL
    assert gap.also == (hang,)


def test_speech_whose_end_is_heard_late_is_answered_late_without_a_fault() -> None:
    calm = Heard("calm", 0, "plain", 20.0, ((20.57, 21.0),), tail=0.12)
    late = Heard("hurt", 1, "plain", 199.0, ((199.57, 201.0),), tail=0.12)
    assert find([*BEFORE, calm, late], [KILL], CALM).found == []


def test_speech_whose_end_is_heard_later_than_in_calm_is_answered_late_by_that() -> None:
    late = Heard("hurt", 1, "plain", 199.0, ((199.75, 201.0),), tail=0.3)
    (gap,) = find([*BEFORE, late], [KILL], CALM).found
    assert round(gap.seconds, 3) == 0.3


def test_a_gateway_hurts_only_the_calls_it_holds() -> None:
    killed = Struck("kill gateway", "gateway-1", 200.0, 200.0, "gateway")
    elsewhere = answer((200.45, 201.0), replicas=frozenset({"gateway-0"}))
    assert list(find([*BEFORE, elsewhere], [killed], CALM).by_fault()) == [""]


def test_a_gap_long_after_every_fault_is_nobodys() -> None:
    old = Struck("kill stt", "stt-0", 190.0, 190.0, "stt")
    assert list(find([*BEFORE, answer((200.45, 201.0))], [old], CALM).by_fault()) == [""]


def test_an_orchestrator_hurts_only_the_calls_it_conducts() -> None:
    elsewhere = answer((200.45, 201.0), replicas=frozenset({"orchestrator-0"}))
    assert list(find([*BEFORE, elsewhere], [HANG], CALM).by_fault()) == [""]
    there = answer((200.45, 201.0), replicas=frozenset({"orchestrator-0", "orchestrator-1"}))
    assert list(find([*BEFORE, there], [HANG], CALM).by_fault()) == ["hang orchestrator"]


def test_a_fault_that_left_no_replica_is_told_apart() -> None:
    last = Struck("kill stt", "stt-0", 200.0, 200.0, "stt", alone=True)
    gaps = find([*BEFORE, answer((203.0, 204.0))], [last], CALM)
    assert list(gaps.by_fault()) == ["kill stt (none left)"]
