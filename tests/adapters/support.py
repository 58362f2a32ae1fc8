"""A real adapter server on loopback, and short words for what its clients say."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import grpc.aio
import pytest

from adapters.config import AdapterSettings
from adapters.service import AdapterService, build
from voicemesh.api.audio.v1 import audio_pb2
from voicemesh.api.speech.v1 import recognition_pb2, synthesis_pb2
from voicemesh.channel import open_channel
from voicemesh.errors import error_info
from voicemesh.server import serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence

    from adapters.host import Engine
    from voicemesh.audio import Samples

Call: TypeAlias = "grpc.aio.StreamStreamCall[Any, Any]"


@dataclass(frozen=True)
class Hosted:
    """A running adapter and a channel to it."""

    service: AdapterService
    channel: grpc.aio.Channel


@asynccontextmanager
async def hosting(
    sense: Literal["stt", "llm", "tts"],
    engines: Mapping[str, Engine] | None = None,
    **settings: object,
) -> AsyncIterator[Hosted]:
    """Serve the scripted engine, or the ones given."""
    chosen = AdapterSettings.model_validate({"sense": sense, "replica": "here-1", **settings})
    service = build(chosen, engines)
    async with serving(service, chosen) as address, open_channel(address) as channel:
        yield Hosted(service, channel)


async def refusal(awaited: Awaitable[object]) -> tuple[grpc.StatusCode, str, Mapping[str, str]]:
    """Return status, reason and details that the RPC ends with."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await awaited
    return caught.value.code(), *error_info(caught.value)


async def answer(call: Call) -> Any:  # noqa: ANN401 - either service's response
    """Read one message; None behind the last."""
    message = await call.read()
    return None if message is grpc.aio.EOF else message


async def drained(call: Call) -> list[Any]:
    """Read the call to its end."""
    messages = []
    while (message := await answer(call)) is not None:
        messages.append(message)
    return messages


def linear16(rate: int) -> audio_pb2.AudioFormat:
    return audio_pb2.AudioFormat(encoding=audio_pb2.ENCODING_LINEAR16, sample_rate_hertz=rate)


def hear(
    engine: str = "scripted",
    rate: int = 16000,
    *,
    phrases: Sequence[str] = (),
    partial_transcripts: bool = False,
    language: str = "",
) -> recognition_pb2.RecognizeRequest:
    config = recognition_pb2.RecognitionConfig(
        engine=engine,
        format=linear16(rate),
        phrases=phrases,
        partial_transcripts=partial_transcripts,
        language=language,
    )
    return recognition_pb2.RecognizeRequest(config=config)


def audio(offset: int, samples: Samples) -> recognition_pb2.RecognizeRequest:
    chunk = audio_pb2.AudioChunk(offset=offset, data=samples.astype("<i2").tobytes())
    return recognition_pb2.RecognizeRequest(audio=chunk)


def speech(samples: Samples, *, rate: int = 16000, start: int = 0) -> list[Any]:
    """Return the samples as 100 ms messages."""
    step = rate // 10
    cuts = range(0, samples.size, step)
    return [audio(start + cut, samples[cut : cut + step]) for cut in cuts]


CONCLUDE = recognition_pb2.RecognizeRequest(conclude=recognition_pb2.Conclude())


def speak(
    engine: str = "scripted", rate: int = 16000, *, voice: str = ""
) -> synthesis_pb2.SynthesizeRequest:
    config = synthesis_pb2.SynthesisConfig(engine=engine, format=linear16(rate), voice=voice)
    return synthesis_pb2.SynthesizeRequest(config=config)


def sentence(number: int, text: str) -> synthesis_pb2.SynthesizeRequest:
    return synthesis_pb2.SynthesizeRequest(
        sentence=synthesis_pb2.Sentence(sentence=number, text=text)
    )


async def said(call: Call, *messages: object, half_close: bool = True) -> None:
    """Send the messages, and that nothing follows; a call that broke says why when it is read."""
    with suppress(asyncio.InvalidStateError):
        for message in messages:
            await call.write(message)
        if half_close:
            await call.done_writing()
