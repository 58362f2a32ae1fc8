"""RecognitionService over real gRPC, with the scripted engine."""

from __future__ import annotations

from typing import Any

import grpc
import numpy as np
import pytest

from adapters import streams
from tests.adapters.support import (
    CONCLUDE,
    Call,
    answer,
    audio,
    drained,
    hear,
    hosting,
    refusal,
    said,
    speech,
)
from voicemesh.api.audio.v1 import audio_pb2
from voicemesh.api.speech.v1 import recognition_pb2, recognition_pb2_grpc
from voicemesh.audio import Samples, tonetext

WORDS = "i would like to book a table"
QUIET = np.zeros(1600, np.int16)


def recognize(channel: grpc.aio.Channel) -> Call:
    return recognition_pb2_grpc.RecognitionServiceStub(channel).Recognize()


def finals(messages: list[Any]) -> list[tuple[str, int]]:
    transcripts = [message.transcript for message in messages if message.transcript.final]
    return [(transcript.text, transcript.end_offset) for transcript in transcripts]


@pytest.mark.parametrize("rate", [8000, 16000])
async def test_words_come_back_with_the_offset_behind_them(rate: int) -> None:
    sound = tonetext.encode(WORDS, rate)
    async with hosting("stt") as hosted:
        call = recognize(hosted.channel)
        await said(call, hear(rate=rate), *speech(sound, rate=rate, start=5000), CONCLUDE)
        messages = await drained(call)
    assert messages[0].accepted.replica == "here-1"
    assert finals(messages) == [(WORDS, 5000 + sound.size)]


async def test_accepted_comes_before_any_audio() -> None:
    async with hosting("stt") as hosted:
        call = recognize(hosted.channel)
        await call.write(hear())
        assert (await answer(call)).WhichOneof("message") == "accepted"
        call.cancel()


async def test_partials_grow_only_where_they_are_wanted() -> None:
    sound = tonetext.encode(WORDS, 16000)
    async with hosting("stt") as hosted:
        for wanted in (True, False):
            call = recognize(hosted.channel)
            await said(call, hear(partial_transcripts=wanted), *speech(sound))
            transcripts = [message.transcript for message in (await drained(call))[1:]]
            partials = [transcript.text for transcript in transcripts if not transcript.final]
            assert bool(partials) is wanted
            assert all(WORDS.startswith(text) for text in partials)


async def test_a_conclude_too_early_is_superseded_by_the_half_close() -> None:
    first, second = tonetext.encode("on friday", 16000), tonetext.encode("at seven", 16000)
    messages = [*speech(first), CONCLUDE, *speech(second, start=first.size + 800)]
    async with hosting("stt") as hosted:
        call = recognize(hosted.channel)
        await said(call, hear(), *messages)
        answers = finals(await drained(call))
    end = first.size + 800 + second.size
    assert answers == [("on friday", first.size), ("on friday at seven", end)]


async def test_every_conclude_is_answered_and_the_half_close_only_if_audio_came() -> None:
    sound = tonetext.encode(WORDS, 16000)
    async with hosting("stt") as hosted:
        call = recognize(hosted.channel)
        await said(call, hear(), *speech(sound), CONCLUDE, CONCLUDE, CONCLUDE)
        assert finals(await drained(call)) == [(WORDS, sound.size)] * 3
        call = recognize(hosted.channel)
        await said(call, hear())
        assert finals(await drained(call)) == []


async def test_more_concludes_than_are_held_are_all_answered() -> None:
    async with hosting("stt") as hosted:
        call = recognize(hosted.channel)
        await said(call, hear(), audio(0, QUIET), *[CONCLUDE] * 100)
        assert len(finals(await drained(call))) == 100


async def test_sound_without_words_is_told_by_its_length() -> None:
    noise = np.random.default_rng(0).normal(0, 900, 34240).astype(np.int16)
    async with hosting("stt") as hosted:
        call = recognize(hosted.channel)
        await said(call, hear(), *speech(noise))
        assert finals(await drained(call)) == [("utterance of 2140 milliseconds", 34240)]


async def test_doubled_chunks_and_gaps_do_no_harm() -> None:
    sound = tonetext.encode(WORDS, 16000)
    chunks = speech(sound, start=100)
    async with hosting("stt") as hosted:
        call = recognize(hosted.channel)
        await said(call, hear(), audio(0, QUIET[:10]), *chunks[:9], *chunks[4:])
        assert finals(await drained(call)) == [(WORDS, 100 + sound.size)]


def bad_format(encoding: int, rate: int) -> recognition_pb2.RecognizeRequest:
    config = recognition_pb2.RecognitionConfig(
        engine="scripted",
        format=audio_pb2.AudioFormat(
            encoding=audio_pb2.Encoding.ValueType(encoding), sample_rate_hertz=rate
        ),
    )
    return recognition_pb2.RecognizeRequest(config=config)


def raw(offset: int, data: bytes) -> recognition_pb2.RecognizeRequest:
    return recognition_pb2.RecognizeRequest(audio=audio_pb2.AudioChunk(offset=offset, data=data))


INVALID, ORDER = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.FAILED_PRECONDITION
SECOND = np.zeros(16000, np.int16)


@pytest.mark.parametrize(
    ("messages", "status", "reason", "field"),
    [
        ([audio(0, QUIET)], ORDER, "OUT_OF_ORDER", "config"),
        ([CONCLUDE], ORDER, "OUT_OF_ORDER", "config"),
        ([], ORDER, "OUT_OF_ORDER", "config"),
        ([hear(), hear()], ORDER, "OUT_OF_ORDER", "config"),
        ([hear(), recognition_pb2.RecognizeRequest()], INVALID, "INVALID_FIELD", "message"),
        ([hear("nobody")], grpc.StatusCode.NOT_FOUND, "ENGINE_NOT_FOUND", "config.engine"),
        ([bad_format(2, 8000)], INVALID, "INVALID_FIELD", "config.format.encoding"),
        ([bad_format(0, 8000)], INVALID, "INVALID_FIELD", "config.format.encoding"),
        ([bad_format(9, 8000)], INVALID, "INVALID_FIELD", "config.format.encoding"),
        ([bad_format(1, 24000)], INVALID, "INVALID_FIELD", "config.format.sample_rate_hertz"),
        ([hear(phrases=["a"] * 101)], INVALID, "INVALID_FIELD", "config.phrases"),
        ([hear(phrases=["a" * 65])], INVALID, "INVALID_FIELD", "config.phrases"),
        ([hear(), raw(0, b"")], INVALID, "INVALID_FIELD", "audio.data"),
        ([hear(), raw(0, b"abc")], INVALID, "INVALID_FIELD", "audio.data"),
        ([hear(), raw(0, bytes(32002))], INVALID, "INVALID_FIELD", "audio.data"),
        ([hear(), audio(-1, QUIET)], INVALID, "INVALID_FIELD", "audio.offset"),
        (
            [hear(), audio(900, QUIET), audio(0, QUIET)],
            INVALID,
            "OFFSET_WENT_BACK",
            "audio.offset",
        ),
        (
            [hear(), *(audio(n * 16000, SECOND) for n in range(31))],
            INVALID,
            "UTTERANCE_TOO_LONG",
            "audio.offset",
        ),
    ],
)
async def test_what_the_contract_forbids(
    messages: list[Any], status: grpc.StatusCode, reason: str, field: str
) -> None:
    async with hosting("stt") as hosted:
        call = recognize(hosted.channel)
        await said(call, *messages)
        got, why, details = await refusal(drained(call))
        assert (got, why, details["field"]) == (status, reason, field)
        await hosted.service.live.wait_empty()


async def test_a_full_replica_refuses_before_accepted_and_takes_the_next_when_one_left() -> None:
    async with hosting("stt", max_calls=1) as hosted:
        first = recognize(hosted.channel)
        await first.write(hear())
        await first.read()
        status, reason, _ = await refusal(recognize(hosted.channel).read())
        assert (status, reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "FULL")
        await first.done_writing()
        await drained(first)
        await hosted.service.live.wait_empty()
        again = recognize(hosted.channel)
        await again.write(hear())
        assert (await answer(again)).WhichOneof("message") == "accepted"
        again.cancel()


async def test_draining_refuses_new_utterances_and_finishes_live_ones() -> None:
    sound: Samples = tonetext.encode(WORDS, 16000)
    async with hosting("stt") as hosted:
        live = recognize(hosted.channel)
        await live.write(hear())
        await live.read()
        hosted.service.live.close()
        status, reason, _ = await refusal(recognize(hosted.channel).read())
        assert (status, reason) == (grpc.StatusCode.UNAVAILABLE, "DRAINING")
        await said(live, *speech(sound))
        assert finals(await drained(live)) == [(WORDS, sound.size)]


async def test_clients_that_vanish_leave_nothing() -> None:
    async with hosting("stt", script_stt_final=60.0) as hosted:
        calls = [recognize(hosted.channel) for _ in range(5)]
        for call in calls:
            await said(call, hear(), audio(0, QUIET), CONCLUDE, half_close=False)
            await call.read()
        assert hosted.service.live.count == 5
        for call in calls:
            call.cancel()
        await hosted.service.live.wait_empty()


async def test_engine_duration_is_the_time_a_final_took() -> None:
    async with hosting("stt", script_stt_final=0.05) as hosted:
        call = recognize(hosted.channel)
        await said(call, hear(), audio(0, QUIET), CONCLUDE)
        final = (await drained(call))[-1].transcript
    assert final.engine_duration.ToTimedelta().total_seconds() >= 0.05


async def test_a_client_that_says_nothing_loses_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "FIRST_MESSAGE_SECONDS", 0.01)
    async with hosting("stt") as hosted:
        status, reason, _ = await refusal(answer(recognize(hosted.channel)))
        assert (status, reason) == (grpc.StatusCode.DEADLINE_EXCEEDED, "DEADLINE_MISSED")
        await hosted.service.live.wait_empty()
