from __future__ import annotations

from google.protobuf.duration_pb2 import Duration
from hypothesis import given, settings, strategies as st

from gateway.turns import Turns
from voicemesh.api.journal.v1 import journal_pb2, turn_pb2

MEASURED = (turn_pb2.STAGE_ENDPOINT, turn_pb2.STAGE_TRANSCRIPT, turn_pb2.STAGE_FIRST_AUDIO)


def nanos(duration: Duration) -> int:
    return duration.seconds * 1_000_000_000 + duration.nanos


def measured(*seconds: float) -> turn_pb2.TurnReport:
    report = turn_pb2.TurnReport(turn=1, end_offset=8000, replica="o-1")
    for stage, part in zip(MEASURED, seconds, strict=True):
        whole = round(part * 1e9)
        duration = Duration(seconds=whole // 10**9, nanos=whole % 10**9)
        report.stages.add(stage=stage, duration=duration)
    return report


def planned(turns: Turns, sentence: int = 0, turn: int = 1) -> None:
    event = journal_pb2.SentencePlanned(turn=turn, sentence=sentence)
    turns.remember(journal_pb2.Entry(sentence_planned=event))


def stages(report: turn_pb2.TurnReport) -> dict[turn_pb2.Stage.ValueType, int]:
    return {each.stage: nanos(each.duration) for each in report.stages}


def test_the_parts_follow_each_other_and_sum_to_the_whole() -> None:
    turns = Turns(lambda _: 10.0)
    turns.speech_ended(8000, 10.2)
    planned(turns)
    turns.measured(measured(0.1, 0.05, 0.2))
    turns.audio_arrived(0, 10.56)
    assert turns.complete() == []
    turns.played(0, 160, 10.57)
    (report,) = turns.complete()
    found = stages(report)
    assert list(found) == [
        turn_pb2.STAGE_VOICE_ACTIVITY,
        *MEASURED,
        turn_pb2.STAGE_TRANSPORT,
        turn_pb2.STAGE_PLAYOUT,
    ]
    assert round(found[turn_pb2.STAGE_VOICE_ACTIVITY] / 1e6) == 200
    assert round(found[turn_pb2.STAGE_TRANSPORT] / 1e6) == 10
    assert round(found[turn_pb2.STAGE_PLAYOUT] / 1e6) == 10
    assert sum(found.values()) == nanos(report.total)
    assert turns.complete() == []


def test_the_first_audio_of_a_turn_is_that_of_its_first_sentence() -> None:
    turns = Turns(lambda _: 10.0)
    planned(turns, 0, turn=0)
    planned(turns, 1, turn=1)
    turns.audio_arrived(0, 10.1)
    turns.played(0, 800, 10.1)
    turns.speech_ended(8000, 10.2)
    turns.measured(measured(0.0, 0.0, 0.0))
    assert turns.complete() == []
    finished = journal_pb2.SentenceFinished(sentence=0, end_offset=800)
    turns.remember(journal_pb2.Entry(sentence_finished=finished))
    turns.audio_arrived(800, 10.5)
    turns.played(800, 960, 10.6)
    (report,) = turns.complete()
    assert round(nanos(report.total) / 1e6) == 600


def test_an_interrupted_reply_sounds_no_more() -> None:
    turns = Turns(lambda _: 0.0)
    planned(turns, 0, turn=1)
    assert turns.may_sound
    event = journal_pb2.ReplyInterrupted(turn=1)
    turns.remember(journal_pb2.Entry(reply_interrupted=event))
    assert not turns.may_sound


@settings(deadline=None)
@given(
    st.lists(st.floats(0, 5), min_size=3, max_size=3),
    st.floats(-1, 5),
    st.floats(-1, 5),
    st.floats(-1, 5),
)
def test_no_stage_is_negative_and_the_sum_is_exact(
    parts: list[float], reported: float, arrived: float, played: float
) -> None:
    turns = Turns(lambda _: 0.0)
    turns.speech_ended(8000, reported)
    planned(turns)
    turns.audio_arrived(0, arrived)
    turns.played(0, 1, played)
    turns.measured(measured(*parts))
    (report,) = turns.complete()
    found = stages(report)
    assert all(duration >= 0 for duration in found.values())
    assert sum(found.values()) == nanos(report.total)
