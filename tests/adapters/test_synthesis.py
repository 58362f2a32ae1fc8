"""SynthesisService over real gRPC, with the scripted engine and a silent one."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import grpc
import numpy as np
import pytest

from tests.adapters.support import Call, answer, drained, hosting, refusal, said, sentence, speak
from voicemesh.api.audio.v1 import audio_pb2
from voicemesh.api.speech.v1 import synthesis_pb2, synthesis_pb2_grpc
from voicemesh.audio import tonetext

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from adapters.synthesis import SynthesisRequest
    from voicemesh.audio import Samples


def synthesize(channel: grpc.aio.Channel) -> Call:
    return synthesis_pb2_grpc.SynthesisServiceStub(channel).Synthesize()


def kinds(messages: list[Any]) -> list[str]:
    return [message.WhichOneof("message") for message in messages]


def sound(messages: list[Any]) -> Samples:
    """Return all audio; its offsets are checked to follow each other without a gap."""
    chunks = [message.audio for message in messages if message.HasField("audio")]
    end = 0
    for chunk in chunks:
        assert chunk.offset == end
        end += len(chunk.data) // 2
    return np.frombuffer(b"".join(chunk.data for chunk in chunks), "<i2").astype(np.int16)


class Silent:
    """An engine that opens its mouth and says nothing."""

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    def synthesize(self, request: SynthesisRequest) -> Silent:
        return self

    async def speak(self, text: str) -> AsyncIterator[Samples]:
        if text == "break":
            raise RuntimeError("out of order")
        pieces: list[Samples] = []
        for piece in pieces:
            yield piece

    def close(self) -> None: ...


class Endless(Silent):
    """Speaks without end; knows when it was stopped."""

    def __init__(self) -> None:
        self.stopped = asyncio.Event()

    async def speak(self, text: str) -> AsyncIterator[Samples]:
        try:
            while True:
                await asyncio.sleep(0)
                yield np.zeros(16000, np.int16)
        finally:
            self.stopped.set()


@pytest.mark.parametrize("rate", [8000, 16000])
async def test_sentences_are_spoken_in_order_and_marked(rate: int) -> None:
    texts = ["Hello, this is Ava speaking.", "How can I help you today?"]
    async with hosting("tts") as hosted:
        call = synthesize(hosted.channel)
        await said(call, speak(rate=rate), sentence(3, texts[0]), sentence(7, texts[1]))
        messages = await drained(call)
    assert messages[0].accepted.replica == "here-1"
    marks = [kind for kind in kinds(messages) if kind != "audio"]
    assert marks == ["accepted", "started", "finished", "started", "finished"]
    started = [message.started for message in messages if message.HasField("started")]
    finished = [message.finished for message in messages if message.HasField("finished")]
    assert [mark.sentence for mark in started] == [mark.sentence for mark in finished] == [3, 7]
    said_ = sound(messages)
    assert started[1].start_offset == finished[0].end_offset
    assert finished[1].end_offset == said_.size
    for mark, end, text in zip(started, finished, texts, strict=True):
        part = said_[mark.start_offset : end.end_offset]
        assert tonetext.decode(part, rate) == text


async def test_chunks_hold_a_second_at_most() -> None:
    async with hosting("tts") as hosted:
        call = synthesize(hosted.channel)
        await said(call, speak(), sentence(1, "word " * 100))
        chunks = [message.audio for message in await drained(call) if message.HasField("audio")]
    assert len(chunks) > 2
    assert max(len(chunk.data) for chunk in chunks) == 32000


async def test_a_reply_without_sentences_ends_well() -> None:
    async with hosting("tts") as hosted:
        call = synthesize(hosted.channel)
        await said(call, speak())
        assert kinds(await drained(call)) == ["accepted"]


INVALID, ORDER = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.FAILED_PRECONDITION
MULAW = audio_pb2.AudioFormat(encoding=audio_pb2.ENCODING_MULAW, sample_rate_hertz=8000)


@pytest.mark.parametrize(
    ("messages", "status", "reason", "field"),
    [
        ([sentence(1, "hello")], ORDER, "OUT_OF_ORDER", "config"),
        ([], ORDER, "OUT_OF_ORDER", "config"),
        ([speak(), speak()], ORDER, "OUT_OF_ORDER", "config"),
        ([speak(), synthesis_pb2.SynthesizeRequest()], INVALID, "INVALID_FIELD", "message"),
        ([speak("nobody")], grpc.StatusCode.NOT_FOUND, "ENGINE_NOT_FOUND", "config.engine"),
        ([speak(voice="x")], grpc.StatusCode.NOT_FOUND, "VOICE_NOT_FOUND", "config.voice"),
        ([speak(rate=48000)], INVALID, "INVALID_FIELD", "config.format.sample_rate_hertz"),
        (
            [
                synthesis_pb2.SynthesizeRequest(
                    config=synthesis_pb2.SynthesisConfig(engine="scripted", format=MULAW)
                )
            ],
            INVALID,
            "INVALID_FIELD",
            "config.format.encoding",
        ),
        ([speak(), sentence(1, "")], INVALID, "INVALID_FIELD", "sentence.text"),
        ([speak(), sentence(1, " \n")], INVALID, "INVALID_FIELD", "sentence.text"),
        ([speak(), sentence(1, "a" * 2001)], INVALID, "INVALID_FIELD", "sentence.text"),
        (
            [speak(), sentence(2, "a"), sentence(2, "b")],
            INVALID,
            "INVALID_FIELD",
            "sentence.sentence",
        ),
    ],
)
async def test_what_the_contract_forbids(
    messages: list[Any], status: grpc.StatusCode, reason: str, field: str
) -> None:
    async with hosting("tts") as hosted:
        call = synthesize(hosted.channel)
        await said(call, *messages)
        got, why, details = await refusal(drained(call))
        assert (got, why, details["field"]) == (status, reason, field)
        await hosted.service.live.wait_empty()


async def test_at_most_64_sentences_wait() -> None:
    async with hosting("tts", script_tts_first_audio=60.0) as hosted:
        call = synthesize(hosted.channel)
        await said(call, speak(), *(sentence(n, "hello") for n in range(65)))
        status, reason, details = await refusal(drained(call))
    assert status is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert (reason, details["limit"]) == ("TOO_MANY_SENTENCES", "64")


@pytest.mark.parametrize(("text", "reason"), [("hello", "NO_AUDIO"), ("break", "ENGINE_FAILED")])
async def test_an_engine_that_says_nothing_or_breaks(text: str, reason: str) -> None:
    async with hosting("tts", {"silent": Silent()}) as hosted:
        call = synthesize(hosted.channel)
        await said(call, speak("silent"), sentence(1, text))
        status, why, _ = await refusal(drained(call))
    assert (status, why) == (grpc.StatusCode.INTERNAL, reason)


async def test_cancelling_stops_the_engine_in_the_middle_of_a_sentence() -> None:
    engine = Endless()
    async with hosting("tts", {"endless": engine}) as hosted:
        call = synthesize(hosted.channel)
        await said(call, speak("endless"), sentence(1, "and so on"), half_close=False)
        while not (await answer(call)).HasField("audio"):
            pass
        call.cancel()
        await engine.stopped.wait()
        await hosted.service.live.wait_empty()


async def test_a_mistake_ends_the_reply_while_it_is_spoken() -> None:
    engine = Endless()
    async with hosting("tts", {"endless": engine}) as hosted:
        call = synthesize(hosted.channel)
        await said(call, speak("endless"), sentence(1, "and so on"), sentence(1, "again"))
        status, _, _ = await refusal(drained(call))
        assert status is INVALID
        await engine.stopped.wait()


async def test_full_and_draining_refuse_before_accepted() -> None:
    async with hosting("tts", max_calls=1) as hosted:
        live = synthesize(hosted.channel)
        await live.write(speak())
        await live.read()
        assert (await refusal(synthesize(hosted.channel).read()))[1] == "FULL"
        hosted.service.live.close()
        assert (await refusal(synthesize(hosted.channel).read()))[1] == "DRAINING"
        await said(live, sentence(1, "goodbye"))
        assert tonetext.decode(sound(await drained(live)), 16000) == "goodbye"
