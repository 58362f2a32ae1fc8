"""Streams to the adapters: what a conversation commands goes in, what comes back are events."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeAlias

import grpc.aio

from orchestrator import commands, events
from orchestrator.outlet import Outlet
from voicemesh.api.audio.v1 import audio_pb2
from voicemesh.api.speech.v1 import (
    recognition_pb2 as recognition,
    recognition_pb2_grpc,
    synthesis_pb2 as synthesis,
    synthesis_pb2_grpc,
)
from voicemesh.errors import VoicemeshError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from orchestrator.brains import Brain
    from voicemesh.bots import Bot

Deliver: TypeAlias = "Callable[[events.Event], Awaitable[None]]"

OUTLET_LIMIT = 512
"""Messages waiting for an adapter; more, and it counts as gone."""


class _Stream:
    """One stream to an adapter: a task that turns its answers into events."""

    def __init__(self) -> None:
        self._task: asyncio.Task[None] | None = None

    def run(
        self,
        source: AsyncIterator[events.Event],
        deliver: Deliver,
        failure: Callable[[str], events.Event],
    ) -> None:
        """Deliver what the source gives; deliver ``failure`` if it breaks."""
        self._task = asyncio.create_task(_pump(source, deliver, failure))

    def stop(self) -> None:
        """Cancel the stream; nothing is delivered from it any more."""
        if self._task:
            self._task.cancel()
            self._task = None


async def _pump(
    source: AsyncIterator[events.Event],
    deliver: Deliver,
    failure: Callable[[str], events.Event],
) -> None:
    try:
        async for event in source:
            await deliver(event)
    except grpc.aio.AioRpcError as error:
        await deliver(failure(f"{error.code().name}: {error.details()}"))
    except VoicemeshError as error:
        await deliver(failure(str(error)))


class Ear(_Stream):
    """Recognises one utterance at a time."""

    def __init__(self, channel: grpc.aio.Channel, call_id: str, rate: int, language: str) -> None:
        super().__init__()
        self._stub: recognition_pb2_grpc.RecognitionServiceStub = (
            recognition_pb2_grpc.RecognitionServiceStub(channel)
        )
        self._metadata = (("x-voicemesh-call", call_id),)
        self._config = recognition.RecognitionConfig(
            format=_linear(rate), language=language, partial_transcripts=True, call_id=call_id
        )
        self._outlet: Outlet[recognition.RecognizeRequest] = Outlet(OUTLET_LIMIT)

    def listen(self, command: commands.Listen, deliver: Deliver) -> None:
        """Open a stream for an utterance; the one before it is let go."""
        self.stop()
        self._outlet = Outlet(OUTLET_LIMIT)
        self._config.engine = command.choice.name
        self._outlet.put(recognition.RecognizeRequest(config=self._config))
        utterance, attempt = command.utterance, command.attempt
        self.run(
            self._answers(self._outlet, utterance, attempt),
            deliver,
            lambda problem: events.RecognitionFailed(utterance, attempt, problem),
        )

    def hear(self, command: commands.Hear) -> None:
        """Pass audio on. An adapter that is too far behind misses its deadline by itself."""
        chunk = audio_pb2.AudioChunk(offset=command.offset, data=command.data)
        self._outlet.put(recognition.RecognizeRequest(audio=chunk))

    def conclude(self) -> None:
        """Ask for final words."""
        self._outlet.put(recognition.RecognizeRequest(conclude=recognition.Conclude()))

    async def _answers(
        self, outlet: Outlet[recognition.RecognizeRequest], utterance: int, attempt: int
    ) -> AsyncIterator[events.Event]:
        call = self._stub.Recognize(outlet, metadata=self._metadata)
        try:
            async for response in call:
                if response.HasField("transcript"):
                    heard = response.transcript
                    yield events.Recognised(
                        utterance,
                        attempt,
                        heard.text,
                        heard.final,
                        heard.end_offset,
                        heard.engine_duration.ToTimedelta().total_seconds(),
                    )
            yield events.RecognitionFailed(utterance, attempt, "the stream ended early")
        finally:
            call.cancel()


class Voice(_Stream):
    """Speaks one reply at a time."""

    def __init__(self, channel: grpc.aio.Channel, call_id: str, rate: int, bot: Bot) -> None:
        super().__init__()
        self._stub: synthesis_pb2_grpc.SynthesisServiceStub = (
            synthesis_pb2_grpc.SynthesisServiceStub(channel)
        )
        self._metadata = (("x-voicemesh-call", call_id),)
        self._voice = bot.voice
        self._config = synthesis.SynthesisConfig(
            format=_linear(rate), language=bot.language, call_id=call_id
        )
        self._outlet: Outlet[synthesis.SynthesizeRequest] = Outlet(OUTLET_LIMIT)

    def speak(self, command: commands.Speak, deliver: Deliver) -> None:
        """Open a stream for a reply; one before it goes on until its sentences are done."""
        self._outlet = Outlet(OUTLET_LIMIT)
        self._config.engine = command.choice.name
        self._config.voice = command.choice.voice or self._voice
        self._outlet.put(synthesis.SynthesizeRequest(config=self._config))
        speech = command.speech
        self.run(
            self._answers(self._outlet, speech),
            deliver,
            lambda problem: events.SpeechFailed(speech, problem),
        )

    def say(self, command: commands.Say) -> None:
        """Give it a sentence."""
        sentence = synthesis.Sentence(sentence=command.sentence, text=command.text)
        self._outlet.put(synthesis.SynthesizeRequest(sentence=sentence))

    def finish(self) -> None:
        """No sentence follows."""
        self._outlet.close()

    async def _answers(
        self, outlet: Outlet[synthesis.SynthesizeRequest], speech: int
    ) -> AsyncIterator[events.Event]:
        call = self._stub.Synthesize(outlet, metadata=self._metadata)
        try:
            async for response in call:
                event = _sound(speech, response)
                if event:
                    yield event
            yield events.SpeechFailed(speech, "the stream ended early")
        finally:
            call.cancel()


def _sound(speech: int, response: synthesis.SynthesizeResponse) -> events.Event | None:
    match response.WhichOneof("message"):
        case "started":
            took = response.started.engine_duration.ToTimedelta().total_seconds()
            return events.SentenceSounding(speech, response.started.sentence, took)
        case "audio":
            return events.SoundArrived(speech, response.audio.data)
        case "finished":
            return events.SentenceSounded(speech, response.finished.sentence)
        case _:
            return None


class Mind(_Stream):
    """Thinks one thought at a time."""

    def __init__(self, brain: Brain, bot: Bot) -> None:
        super().__init__()
        self._brain = brain
        self._bot = bot

    def think(self, command: commands.Think, deliver: Deliver) -> None:
        """Ask the brain; the thought before is let go."""
        self.stop()
        thought = command.thought
        self.run(
            self._brain.think(thought, command.prompt, self._bot, command.choice),
            deliver,
            lambda problem: events.ThoughtFailed(thought, problem),
        )


def _linear(rate: int) -> audio_pb2.AudioFormat:
    return audio_pb2.AudioFormat(encoding=audio_pb2.ENCODING_LINEAR16, sample_rate_hertz=rate)
