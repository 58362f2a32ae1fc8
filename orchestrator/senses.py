"""Streams to the adapters: what a conversation commands goes in, what comes back are events."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeAlias, TypeVar

import grpc
import grpc.aio

from orchestrator import commands, events
from orchestrator.heard import SECONDS_PER_CHARACTER
from orchestrator.hops import metadata, served
from orchestrator.outlet import Outlet
from voicemesh import telemetry
from voicemesh.api.audio.v1 import audio_pb2
from voicemesh.api.speech.v1 import (
    recognition_pb2 as recognition,
    recognition_pb2_grpc,
    synthesis_pb2 as synthesis,
    synthesis_pb2_grpc,
)
from voicemesh.errors import VoicemeshError, error_info

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from orchestrator.brains import Brain
    from voicemesh.bots import Bot
    from voicemesh.channel import Pulse

KeyT = TypeVar("KeyT")
Deliver: TypeAlias = "Callable[[events.Event | events.Served], Awaitable[None]]"
Source: TypeAlias = "AsyncGenerator[events.Event | events.Served, None]"
Failure: TypeAlias = "Callable[[str, bool], events.Event]"
"""Makes an event of a problem and whether it lasts."""

LASTING = frozenset(
    {
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.FAILED_PRECONDITION,
        grpc.StatusCode.PERMISSION_DENIED,
        grpc.StatusCode.UNAUTHENTICATED,
        grpc.StatusCode.UNIMPLEMENTED,
    }
)
"""Asking the same engine the same thing again would give the same."""
LASTING_REASONS = frozenset({"NO_WORDS", "NO_AUDIO"})

HUM = b"\x50\x00"
"""A sample of what nobody hears, loud enough not to count as a failure."""
LEAST_SECONDS = 0.3
OUTLET_LIMIT = 2048
"""Messages waiting for an adapter; more, and it counts as gone."""


_log = telemetry.get_logger("senses")


@dataclass(frozen=True, slots=True)
class Way:
    """How adapters are reached; all calls of the process share it."""

    channel: grpc.aio.Channel
    pulse: Pulse


class _Streams(Generic[KeyT]):
    """Streams to adapters: of each a task turns the answers into events."""

    def __init__(self, pulse: Pulse) -> None:
        self._pulse = pulse
        self._tasks: dict[KeyT, asyncio.Task[None]] = {}

    def run(self, key: KeyT, source: Source, deliver: Deliver, failure: Failure) -> None:
        """Deliver what the source gives; deliver ``failure`` when it breaks or ends."""
        self._pulse.sent += 1
        task = asyncio.create_task(_pump(source, deliver, failure, self._pulse))
        self._tasks[key] = task
        task.add_done_callback(lambda _: self._tasks.pop(key, None))

    def stop(self, key: KeyT) -> None:
        """Cancel a stream; nothing is delivered from it any more."""
        if task := self._tasks.pop(key, None):
            task.cancel()

    def stop_all(self) -> None:
        """Cancel all that are left."""
        for key in list(self._tasks):
            self.stop(key)


async def _pump(source: Source, deliver: Deliver, failure: Failure, pulse: Pulse) -> None:
    try:
        async with aclosing(source):
            async for event in source:
                await deliver(event)
    except grpc.aio.AioRpcError as error:
        reason, _ = error_info(error)
        if error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED:
            pulse.refused()
        lasting = error.code() in LASTING or reason in LASTING_REASONS
        await deliver(failure(f"{error.code().name}: {error.details()}", lasting))
    except VoicemeshError as error:
        await deliver(failure(str(error), error.status in LASTING))
    except Exception as error:
        # A defect of ours must not leave the caller waiting for an answer that never comes.
        _log.exception("a stream to an engine broke")
        await deliver(failure(f"{type(error).__name__}: {error}", True))
    else:
        await deliver(failure("the stream ended early", False))


class Ear(_Streams[tuple[int, int]]):
    """Recognises utterances; each attempt at one is a stream."""

    def __init__(
        self, way: Way, call_id: str, rate: int, language: str, residency: str = ""
    ) -> None:
        super().__init__(way.pulse)
        self._stub: recognition_pb2_grpc.RecognitionServiceStub = (
            recognition_pb2_grpc.RecognitionServiceStub(way.channel)
        )
        self._metadata = metadata(call_id, residency)
        self._config = recognition.RecognitionConfig(
            format=_linear(rate), language=language, partial_transcripts=True, call_id=call_id
        )
        self._outlets: dict[tuple[int, int], Outlet[recognition.RecognizeRequest]] = {}

    def listen(self, command: commands.Listen, deliver: Deliver) -> None:
        """Open a stream for an utterance."""
        utterance, attempt = key = command.utterance, command.attempt
        outlet = self._outlets[key] = Outlet(OUTLET_LIMIT)
        self._config.engine = command.choice.name
        outlet.put(recognition.RecognizeRequest(config=self._config))
        self.run(
            key,
            self._answers(outlet, utterance, attempt),
            deliver,
            lambda *why: events.RecognitionFailed(utterance, attempt, *why),
        )

    def hear(self, command: commands.Hear) -> None:
        """Pass audio on. An adapter that is too far behind misses its deadline by itself."""
        chunk = audio_pb2.AudioChunk(offset=command.offset, data=command.data)
        outlet = self._outlets[command.utterance, command.attempt]
        outlet.put(recognition.RecognizeRequest(audio=chunk))

    def conclude(self, command: commands.Conclude) -> None:
        """Ask for final words."""
        outlet = self._outlets[command.utterance, command.attempt]
        outlet.put(recognition.RecognizeRequest(conclude=recognition.Conclude()))

    def let_go(self, command: commands.StopListening) -> None:
        """Let a stream go."""
        key = command.utterance, command.attempt
        del self._outlets[key]
        self.stop(key)

    async def _answers(
        self, outlet: Outlet[recognition.RecognizeRequest], utterance: int, attempt: int
    ) -> Source:
        call = self._stub.Recognize(metadata=self._metadata)
        writer = asyncio.create_task(outlet.drain(call))
        try:
            async for response in call:
                if response.HasField("accepted"):
                    yield await served(call, "stt")
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
        finally:
            writer.cancel()
            call.cancel()


class Voice(_Streams[int]):
    """Speaks replies; each attempt at one is a stream."""

    def __init__(self, way: Way, call_id: str, rate: int, bot: Bot, residency: str = "") -> None:
        super().__init__(way.pulse)
        self._stub: synthesis_pb2_grpc.SynthesisServiceStub = (
            synthesis_pb2_grpc.SynthesisServiceStub(way.channel)
        )
        self._metadata = metadata(call_id, residency)
        self._voice = bot.voice
        self._config = synthesis.SynthesisConfig(
            format=_linear(rate), language=bot.language, call_id=call_id
        )
        self._outlets: dict[int, Outlet[synthesis.SynthesizeRequest]] = {}

    def speak(self, command: commands.Speak, deliver: Deliver) -> None:
        """Open a stream for a reply."""
        speech = command.speech
        outlet = self._outlets[speech] = Outlet(OUTLET_LIMIT)
        self._config.engine = command.choice.name
        self._config.voice = command.choice.voice or self._voice
        outlet.put(synthesis.SynthesizeRequest(config=self._config))
        self.run(
            speech,
            self._answers(outlet, speech),
            deliver,
            lambda *why: events.SpeechFailed(speech, *why),
        )

    def say(self, command: commands.Say) -> None:
        """Give it a sentence."""
        sentence = synthesis.Sentence(sentence=command.sentence, text=command.text)
        self._outlets[command.speech].put(synthesis.SynthesizeRequest(sentence=sentence))

    def finish(self, command: commands.FinishSpeaking) -> None:
        """No sentence follows: the stream ends by itself."""
        self._outlets.pop(command.speech).close()

    def let_go(self, command: commands.StopSpeaking) -> None:
        """Let a stream go."""
        del self._outlets[command.speech]
        self.stop(command.speech)

    async def _answers(self, outlet: Outlet[synthesis.SynthesizeRequest], speech: int) -> Source:
        call = self._stub.Synthesize(metadata=self._metadata)
        writer = asyncio.create_task(outlet.drain(call))
        try:
            async for response in call:
                if response.HasField("accepted"):
                    yield await served(call, "tts")
                event = _sound(speech, response)
                if event:
                    yield event
        finally:
            writer.cancel()
            call.cancel()


class SilentVoice(Voice):
    """Speaks to a leg of text, which speaks by itself: sentences only take their time."""

    async def _answers(self, outlet: Outlet[synthesis.SynthesizeRequest], speech: int) -> Source:
        rate = self._config.format.sample_rate_hertz
        async for request in outlet.messages():
            if not request.HasField("sentence"):
                continue
            sentence = request.sentence
            samples = int(max(LEAST_SECONDS, len(sentence.text) * SECONDS_PER_CHARACTER) * rate)
            yield events.SentenceSounding(speech, sentence.sentence, 0.0)
            for begin in range(0, samples, rate):
                yield events.SoundArrived(speech, HUM * min(rate, samples - begin))
            yield events.SentenceSounded(speech, sentence.sentence)


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


class Mind(_Streams[int]):
    """Thinks; each thought is a stream."""

    def __init__(self, brain: Brain, bot: Bot, pulse: Pulse) -> None:
        super().__init__(pulse)
        self._brain = brain
        self._bot = bot

    def think(self, command: commands.Think, deliver: Deliver) -> None:
        """Ask the brain."""
        thought, prompt = command.thought, command.prompt
        here = self._bot.in_state(prompt.state)
        self.run(
            thought,
            self._brain.think(thought, prompt, here, command.choice),
            deliver,
            lambda *why: events.ThoughtFailed(thought, *why),
        )

    def let_go(self, command: commands.StopThinking) -> None:
        """Let a thought go."""
        self.stop(command.thought)


def _linear(rate: int) -> audio_pb2.AudioFormat:
    return audio_pb2.AudioFormat(encoding=audio_pb2.ENCODING_LINEAR16, sample_rate_hertz=rate)
