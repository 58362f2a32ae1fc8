"""The three services of adapters: protos and errors to engines and back.

The handlers are coroutines that read and write their stream, not generators: when a client
vanishes, a coroutine is cancelled where it stands, a generator is only dropped. And gRPC sends
response headers with the first message, so that Envoy may retry until then.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from contextlib import closing as closing_now
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, cast

from google.protobuf import duration_pb2

from adapters import convert
from adapters.language import (
    Finished,
    FinishReason,
    LanguageEngine,
    Piece,
    TextPiece,
    ToolCall,
)
from adapters.recognition import Heard, Recognition, RecognitionEngine, Utterance
from adapters.streams import answering_errors, closing, first_message, take_all, together
from adapters.synthesis import (
    MAX_SENTENCE_CHARACTERS,
    MAX_UNSPOKEN_SENTENCES,
    Synthesis,
    SynthesisEngine,
)
from voicemesh.api.audio.v1 import audio_pb2
from voicemesh.api.language.v1 import language_pb2, language_pb2_grpc
from voicemesh.api.speech.v1 import (
    recognition_pb2,
    recognition_pb2_grpc,
    synthesis_pb2,
    synthesis_pb2_grpc,
)
from voicemesh.errors import Context, InvalidInput, OutOfOrder, Refused, VoicemeshError

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from adapters.host import Host
    from voicemesh.audio import Samples

MAX_UNANSWERED_CONCLUDES = 16
FIRST_CHUNK_SECONDS = 0.2

_REASONS = {
    FinishReason.STOP: language_pb2.FINISH_REASON_STOP,
    FinishReason.TOOL_CALLS: language_pb2.FINISH_REASON_TOOL_CALLS,
    FinishReason.LENGTH: language_pb2.FINISH_REASON_LENGTH,
}


def _now() -> float:
    # Not the loop's own clock: the fast one counts whole milliseconds.
    return time.monotonic()


def _duration(seconds: float) -> duration_pb2.Duration:
    duration = duration_pb2.Duration()
    duration.FromTimedelta(timedelta(seconds=max(0.0, seconds)))
    return duration


class RecognitionServicer(recognition_pb2_grpc.RecognitionServiceServicer):
    """Speech to text."""

    def __init__(self, host: Host[RecognitionEngine]) -> None:
        self._host = host

    async def Recognize(  # type: ignore[override]
        self, request_iterator: object, context: Context
    ) -> None:
        async with answering_errors(context):
            with self._host.admit():
                await self._recognize(context)

    async def _recognize(self, context: Context) -> None:
        first = cast("recognition_pb2.RecognizeRequest", await first_message(context))
        if first.WhichOneof("message") != "config":
            raise OutOfOrder("config", "must be the first message")
        engine = self._host.engine(first.config.engine, "config.engine")
        request = convert.recognition_request(first.config)
        with closing_now(engine.recognize(request)) as recognition:
            accepted = recognition_pb2.RecognitionAccepted(replica=self._host.replica)
            await context.write(recognition_pb2.RecognizeResponse(accepted=accepted))
            stream = _RecognitionStream(context, recognition, request.rate)
            await together(stream.listen(), stream.tell())


class _RecognitionStream:
    """Both directions of one utterance's stream, behind `accepted`."""

    def __init__(self, context: Context, recognition: Recognition, rate: int) -> None:
        self._context = context
        self._recognition = recognition
        self._rate = rate
        self._utterance = Utterance(rate)
        self._room = asyncio.Semaphore(MAX_UNANSWERED_CONCLUDES)

    async def listen(self) -> None:
        await take_all(self._context, self._take)
        if self._utterance.unconcluded:
            await self._conclude()
        self._recognition.finish()

    def _take(self, message: recognition_pb2.RecognizeRequest) -> Awaitable[None] | None:
        match message.WhichOneof("message"):
            case "audio":
                chunk = convert.audio_chunk(message.audio, self._rate)
                samples = self._utterance.add(chunk)
                if samples.size:
                    self._recognition.feed(samples)
            case "conclude":
                return self._conclude()
            case "config":
                raise OutOfOrder("config", "was sent already")
            case _:
                raise InvalidInput("message", "must be set")
        return None

    async def _conclude(self) -> None:
        # A client that concludes without reading the answers is not read from any more.
        await self._room.acquire()
        self._utterance.conclude()
        self._recognition.conclude()

    async def tell(self) -> None:
        while (heard := await self._recognition.next()) is not None:
            if heard.final:
                self._room.release()
            await self._context.write(self._response(heard))

    def _response(self, heard: Heard) -> recognition_pb2.RecognizeResponse:
        return recognition_pb2.RecognizeResponse(
            transcript=recognition_pb2.Transcript(
                text=heard.text,
                final=heard.final,
                end_offset=self._utterance.start + heard.samples,
                engine_duration=_duration(heard.engine_seconds),
            )
        )


class SynthesisServicer(synthesis_pb2_grpc.SynthesisServiceServicer):
    """Text to speech."""

    def __init__(self, host: Host[SynthesisEngine]) -> None:
        self._host = host

    async def Synthesize(  # type: ignore[override]
        self, request_iterator: object, context: Context
    ) -> None:
        async with answering_errors(context):
            with self._host.admit():
                await self._synthesize(context)

    async def _synthesize(self, context: Context) -> None:
        first = cast("synthesis_pb2.SynthesizeRequest", await first_message(context))
        if first.WhichOneof("message") != "config":
            raise OutOfOrder("config", "must be the first message")
        engine = self._host.engine(first.config.engine, "config.engine")
        request = convert.synthesis_request(first.config)
        with closing_now(engine.synthesize(request)) as synthesis:
            accepted = synthesis_pb2.SynthesisAccepted(replica=self._host.replica)
            await context.write(synthesis_pb2.SynthesizeResponse(accepted=accepted))
            stream = _SynthesisStream(context, synthesis, request.rate)
            await together(stream.listen(), stream.tell())


@dataclass(frozen=True, slots=True)
class _Sentence:
    number: int
    text: str
    received: float


class _SynthesisStream:
    """Both directions of one reply's stream, behind `accepted`."""

    def __init__(self, context: Context, synthesis: Synthesis, rate: int) -> None:
        self._context = context
        self._synthesis = synthesis
        self._rate = rate
        self._offset = 0
        self._last_number: int | None = None
        self._unspoken = 0
        self._sentences: asyncio.Queue[_Sentence | None] = asyncio.Queue()

    async def listen(self) -> None:
        await take_all(self._context, self._take)
        self._sentences.put_nowait(None)

    def _take(self, message: synthesis_pb2.SynthesizeRequest) -> None:
        match message.WhichOneof("message"):
            case "sentence":
                sentence = self._checked(message.sentence)
                self._unspoken += 1
                self._sentences.put_nowait(sentence)
            case "config":
                raise OutOfOrder("config", "was sent already")
            case _:
                raise InvalidInput("message", "must be set")

    def _checked(self, sentence: synthesis_pb2.Sentence) -> _Sentence:
        length = len(sentence.text)
        if not sentence.text.strip() or length > MAX_SENTENCE_CHARACTERS:
            raise InvalidInput(
                "sentence.text",
                f"{length} characters; 1 to {MAX_SENTENCE_CHARACTERS} are allowed, not only spaces",
                limit=MAX_SENTENCE_CHARACTERS,
            )
        if self._last_number is not None and sentence.sentence <= self._last_number:
            raise InvalidInput(
                "sentence.sentence",
                f"is {sentence.sentence}, must be > {self._last_number}",
                limit=self._last_number,
            )
        if self._unspoken >= MAX_UNSPOKEN_SENTENCES:
            raise Refused(
                f"{MAX_UNSPOKEN_SENTENCES} sentences are not spoken yet",
                reason="TOO_MANY_SENTENCES",
                limit=MAX_UNSPOKEN_SENTENCES,
            )
        self._last_number = sentence.sentence
        return _Sentence(sentence.sentence, sentence.text, _now())

    async def tell(self) -> None:
        free = 0.0
        while (sentence := await self._sentences.get()) is not None:
            await self._speak(sentence, since=max(free, sentence.received))
            self._unspoken -= 1
            free = _now()

    async def _speak(self, sentence: _Sentence, *, since: float) -> None:
        start = self._offset
        async with closing(self._synthesis.speak(sentence.text)) as pieces:
            async for samples in pieces:
                if self._offset == start:
                    await self._write_started(sentence, _now() - since)
                await self._write_audio(samples)
        if self._offset == start:
            raise VoicemeshError(
                f"sentence {sentence.number} made no sound",
                reason="NO_AUDIO",
                sentence=sentence.number,
            )
        finished = synthesis_pb2.SentenceFinished(sentence=sentence.number, end_offset=self._offset)
        await self._context.write(synthesis_pb2.SynthesizeResponse(finished=finished))

    async def _write_started(self, sentence: _Sentence, engine_seconds: float) -> None:
        started = synthesis_pb2.SentenceStarted(
            sentence=sentence.number,
            start_offset=self._offset,
            engine_duration=_duration(engine_seconds),
        )
        await self._context.write(synthesis_pb2.SynthesizeResponse(started=started))

    async def _write_audio(self, samples: Samples) -> None:
        # The first chunk is short, so that a sentence is on its way before it is packed.
        first = int(FIRST_CHUNK_SECONDS * self._rate)
        cuts = [0, *range(first, samples.size, self._rate), samples.size]
        for begin, end in itertools.pairwise(cuts):
            part = samples[begin:end]
            data = part.astype("<i2", copy=False).tobytes()
            chunk = audio_pb2.AudioChunk(offset=self._offset, data=data)
            self._offset += part.size
            await self._context.write(synthesis_pb2.SynthesizeResponse(audio=chunk))


class GenerationServicer(language_pb2_grpc.GenerationServiceServicer):
    """Language models."""

    def __init__(self, host: Host[LanguageEngine]) -> None:
        self._host = host

    async def Generate(  # type: ignore[override]
        self, request: language_pb2.GenerateRequest, context: Context
    ) -> None:
        async with answering_errors(context):
            with self._host.admit():
                await self._generate(request, context)

    async def _generate(self, request: language_pb2.GenerateRequest, context: Context) -> None:
        engine = self._host.engine(request.engine, "engine")
        asked = _now()
        first, spoke = True, False
        async with closing(engine.generate(convert.generation_request(request))) as pieces:
            async for piece in pieces:
                spoke = spoke or _says_something(piece)
                if isinstance(piece, Finished) and not spoke:
                    raise VoicemeshError("the engine said nothing", reason="NO_WORDS")
                response = _generate_response(piece)
                if first:
                    response.engine_duration.CopyFrom(_duration(_now() - asked))
                    first = False
                await context.write(response)
                if isinstance(piece, Finished):
                    return
        raise VoicemeshError("the engine stopped without finishing", reason="ENGINE_FAILED")


def _says_something(piece: Piece) -> bool:
    if isinstance(piece, TextPiece):
        return bool(piece.text.strip())
    return isinstance(piece, ToolCall)


def _generate_response(piece: Piece) -> language_pb2.GenerateResponse:
    match piece:
        case TextPiece(text):
            return language_pb2.GenerateResponse(text=text)
        case ToolCall(identity, name, arguments):
            call = language_pb2.ToolCall(id=identity, name=name, arguments_json=arguments)
            return language_pb2.GenerateResponse(tool_call=call)
        case Finished(reason):
            finished = language_pb2.Finished(reason=_REASONS[reason])
            return language_pb2.GenerateResponse(finished=finished)
