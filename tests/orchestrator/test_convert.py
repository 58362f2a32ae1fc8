from __future__ import annotations

from typing import Any

import pytest

from orchestrator import commands, convert, events
from tests.orchestrator.session_client import opening
from voicemesh.api.audio.v1 import audio_pb2
from voicemesh.api.journal.v1 import journal_pb2, turn_pb2
from voicemesh.api.session.v1 import session_pb2 as pb
from voicemesh.errors import InvalidInput, OutOfOrder

RATE = 8000
TOO_FAR = convert.MAX_CALL_SECONDS * RATE + 1


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"call_id": ""}, "open.call_id"),
        ({"call_id": "x" * 65}, "open.call_id"),
        ({"call_id": "UPPER"}, "open.call_id"),
        ({"call_id": "a b"}, "open.call_id"),
        ({"epoch": 0}, "open.epoch"),
        ({"attempt": 0}, "open.attempt"),
        ({"format": audio_pb2.AudioFormat()}, "open.format"),
        (
            {
                "format": audio_pb2.AudioFormat(
                    encoding=audio_pb2.ENCODING_MULAW, sample_rate_hertz=8000
                )
            },
            "open.format",
        ),
        ({"caller_offset": -1}, "open.caller_offset"),
        ({"buffered_offset": TOO_FAR}, "open.buffered_offset"),
        ({"played_offset": 1}, "open.played_offset"),
    ],
)
def test_bad_openings(fields: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        convert.facts(opening(**fields), "r")
    assert caught.value.details["field"] == field


def test_opening() -> None:
    facts = convert.facts(
        opening(caller="+1", variables={"b": "2", "a": "1"}, buffered_offset=9, played_offset=3),
        "r",
    )
    assert (facts.call_id, facts.bot, facts.rate, facts.replica) == ("call-1", "echo", RATE, "r")
    assert facts.variables == (("a", "1"), ("b", "2"))
    assert (facts.buffered_offset, facts.played_offset) == (9, 3)


@pytest.mark.parametrize(
    ("message", "field"),
    [
        ({}, "message"),
        ({"audio": audio_pb2.AudioChunk()}, "audio.data"),
        ({"audio": audio_pb2.AudioChunk(data=b"\0")}, "audio.data"),
        ({"audio": audio_pb2.AudioChunk(data=bytes(2 * RATE + 2))}, "audio.data"),
        ({"audio": audio_pb2.AudioChunk(offset=-1, data=b"\0\0")}, "audio.offset"),
        ({"audio": audio_pb2.AudioChunk(offset=TOO_FAR, data=b"\0\0")}, "audio.offset"),
        ({"speech_started": pb.SpeechStarted(start_offset=-1)}, "speech_started.start_offset"),
        ({"speech_ended": pb.SpeechEnded(end_offset=TOO_FAR)}, "speech_ended.end_offset"),
        ({"playout": pb.Playout(played_offset=-1)}, "playout.played_offset"),
        ({"playout": pb.Playout(buffered_offset=-1)}, "playout.buffered_offset"),
        ({"barge_in": pb.BargeIn(heard_offset=-1)}, "barge_in.heard_offset"),
        ({"dtmf": pb.Dtmf(digit="")}, "dtmf.digit"),
        ({"dtmf": pb.Dtmf(digit="12")}, "dtmf.digit"),
        ({"command": pb.Command(key="k")}, "command"),
        ({"command": pb.Command(say="x")}, "command.key"),
        ({"command": pb.Command(key="k", say="x" * 2001)}, "command.say"),
        ({"command": pb.Command(key="k", transfer_target="")}, "command.transfer_target"),
        ({"call_ended": pb.CallEnded()}, "call_ended.reason"),
        ({"call_ended": pb.CallEnded(offset=-1, reason="x")}, "call_ended.offset"),
    ],
)
def test_bad_messages(message: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        convert.event(pb.RunRequest(**message), RATE)
    assert caught.value.details["field"] == field


def test_second_open_is_out_of_order() -> None:
    with pytest.raises(OutOfOrder):
        convert.event(pb.RunRequest(open=opening()), RATE)


@pytest.mark.parametrize(
    ("message", "event"),
    [
        ({"audio": audio_pb2.AudioChunk(offset=5, data=b"\1\0")}, events.AudioArrived(5, b"\1\0")),
        (
            {"speech_started": pb.SpeechStarted(offset=2, start_offset=1)},
            events.SpeechStarted(2, 1),
        ),
        ({"speech_ended": pb.SpeechEnded(offset=2, end_offset=1)}, events.SpeechEnded(2, 1)),
        (
            {"playout": pb.Playout(offset=1, played_offset=2, buffered_offset=3)},
            events.PlayoutReported(1, 2, 3),
        ),
        ({"barge_in": pb.BargeIn(offset=1, heard_offset=2)}, events.BargedIn(1, 2)),
        ({"dtmf": pb.Dtmf(offset=1, digit="#")}, events.DigitPressed(1, "#")),
        ({"command": pb.Command(key="k", say="x")}, events.Commanded(0, "k", "say", "x")),
        ({"command": pb.Command(key="k", hang_up=True)}, events.Commanded(0, "k", "hang_up", "")),
        (
            {"command": pb.Command(key="k", transfer_target="+1")},
            events.Commanded(0, "k", "transfer", "+1"),
        ),
        ({"call_ended": pb.CallEnded(offset=3, reason="x")}, events.CallerGone(3, "x")),
    ],
)
def test_messages(message: dict[str, Any], event: events.Event) -> None:
    assert convert.event(pb.RunRequest(**message), RATE) == event


def test_entries_in_a_row_are_one_message_and_stay_before_what_follows() -> None:
    entry = journal_pb2.Entry
    out = convert.responses(
        [
            commands.Write(entry(sequence=0)),
            commands.Write(entry(sequence=1)),
            commands.SendAudio(5, b"\1\0"),
            commands.Write(entry(sequence=2)),
        ]
    )
    assert [message.WhichOneof("message") for message in out] == ["journal", "audio", "journal"]
    assert [each.sequence for each in out[0].journal.entries] == [0, 1]


@pytest.mark.parametrize(
    ("command", "response"),
    [
        (commands.Flush(1, 2), pb.RunResponse(flush=pb.Flush(start_offset=1, end_offset=2))),
        (commands.PlayOn(), pb.RunResponse(play_on=pb.PlayOn())),
        (
            commands.Show(True, "hi", False, 3, 4),
            pb.RunResponse(transcript=pb.Transcript(bot=True, text="hi", turn=3, start_offset=4)),
        ),
        (
            commands.Act("k", "hang_up", "", 7),
            pb.RunResponse(action=pb.Action(key="k", after_offset=7, hang_up=pb.HangUp())),
        ),
        (
            commands.Act("k", "transfer", "+1", 7),
            pb.RunResponse(
                action=pb.Action(key="k", after_offset=7, transfer=pb.Transfer(target="+1"))
            ),
        ),
        (
            commands.Act("k", "send_digits", "12", 7),
            pb.RunResponse(
                action=pb.Action(key="k", after_offset=7, send_digits=pb.SendDigits(digits="12"))
            ),
        ),
        (
            commands.Ack(5, 4),
            pb.RunResponse(ack=pb.Ack(received_offset=5, committed_offset=4)),
        ),
        (
            commands.Report(turn_pb2.TurnReport(turn=2)),
            pb.RunResponse(turn_report=turn_pb2.TurnReport(turn=2)),
        ),
    ],
)
def test_responses(command: commands.Command, response: pb.RunResponse) -> None:
    assert convert.responses([command]) == [response]


def test_half_seconds_survive() -> None:
    [away] = convert.responses([commands.GoAway(1.5)])
    assert away.go_away.deadline.ToMilliseconds() == 1500


def test_a_batch_is_what_is_in_it() -> None:
    requests = [pb.RunRequest(dtmf=pb.Dtmf(offset=at, digit="1")) for at in range(3)]
    batch = pb.RunRequest(batch=pb.RequestBatch(requests=requests))
    assert list(convert.each(batch)) == requests
    assert list(convert.each(requests[0])) == requests[:1]


@pytest.mark.parametrize("count", [0, convert.MAX_BATCH + 1])
def test_a_batch_of_nothing_or_too_much_is_refused(count: int) -> None:
    requests = [pb.RunRequest(dtmf=pb.Dtmf(digit="1"))] * count
    with pytest.raises(InvalidInput, match="batch"):
        convert.each(pb.RunRequest(batch=pb.RequestBatch(requests=requests)))


def test_a_batch_in_a_batch_is_refused() -> None:
    inner = pb.RunRequest(batch=pb.RequestBatch(requests=[pb.RunRequest()]))
    with pytest.raises(InvalidInput, match="batch"):
        convert.each(pb.RunRequest(batch=pb.RequestBatch(requests=[inner])))


@pytest.mark.parametrize("count", [0, 1, 2, convert.MAX_BATCH, convert.MAX_BATCH + 1, 100])
def test_batches_hold_everything_in_order(count: int) -> None:
    messages = [pb.RunResponse(ack=pb.Ack(received_offset=at)) for at in range(count)]
    batches = list(convert.batched(messages))
    assert [each for one in batches for each in (one.batch.responses or [one])] == messages
    assert len(batches) == -(-count // convert.MAX_BATCH)
    assert all(len(each.batch.responses) != 1 for each in batches)
