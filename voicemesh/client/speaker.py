"""Gets speech from a synthesis service, for callers that have only text."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import grpc.aio
import numpy as np

from voicemesh.api.speech.v1 import synthesis_pb2, synthesis_pb2_grpc
from voicemesh.audio import AudioFormat, Decoder, Encoding, internal_rate
from voicemesh.channel import open_channel
from voicemesh.client.convert import format_to_proto
from voicemesh.client.faults import from_rpc
from voicemesh.client.sound import resampled
from voicemesh.errors import DeadlineMissed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from voicemesh.audio import Samples

ENGINE = "hibari"
SPEAK_SECONDS = 60.0
"""How long one text may take to be spoken."""


class Speaker:
    """A voice, reached through the mesh."""

    def __init__(
        self, channel: grpc.aio.Channel, target: str, *, engine: str = ENGINE, voice: str = ""
    ) -> None:
        self._stub = synthesis_pb2_grpc.SynthesisServiceStub(channel)
        self._target = target
        self._engine = engine
        self._voice = voice

    @classmethod
    @asynccontextmanager
    async def at(
        cls, target: str, *, engine: str = ENGINE, voice: str = ""
    ) -> AsyncIterator[Speaker]:
        """Reach a voice at `target`, usually a mesh Envoy."""
        channel = open_channel(target)
        try:
            yield cls(channel, target, engine=engine, voice=voice)
        finally:
            await channel.close()

    async def speak(self, text: str, fmt: AudioFormat) -> Samples:
        """Return the text as speech, at the rate of a caller's format."""
        mesh_rate = internal_rate(fmt)
        wanted = AudioFormat(Encoding.LINEAR16, mesh_rate)
        decoder = Decoder(wanted, mesh_rate)
        stream = self._stub.Synthesize(timeout=SPEAK_SECONDS)
        try:
            await stream.write(self._config(wanted))
            # Refused engines answer now; a sentence sent at the same time could hide why.
            await stream.read()
            await stream.write(_sentence(text))
            await stream.done_writing()
            spoken = [
                decoder.decode(response.audio.data)
                async for response in _responses(stream)
                if response.HasField("audio")
            ]
        except grpc.aio.AioRpcError as error:
            raise from_rpc(error, self._target) from error
        finally:
            stream.cancel()
        if not spoken:
            raise DeadlineMissed(f"{self._engine} made no sound of {text!r}", reason="NO_AUDIO")
        return resampled(np.concatenate(spoken), mesh_rate, fmt.rate)

    def _config(self, fmt: AudioFormat) -> synthesis_pb2.SynthesizeRequest:
        config = synthesis_pb2.SynthesisConfig(
            engine=self._engine, voice=self._voice, format=format_to_proto(fmt)
        )
        return synthesis_pb2.SynthesizeRequest(config=config)


def _sentence(text: str) -> synthesis_pb2.SynthesizeRequest:
    return synthesis_pb2.SynthesizeRequest(sentence=synthesis_pb2.Sentence(sentence=0, text=text))


async def _responses(
    stream: grpc.aio.StreamStreamCall[
        synthesis_pb2.SynthesizeRequest, synthesis_pb2.SynthesizeResponse
    ],
) -> AsyncIterator[synthesis_pb2.SynthesizeResponse]:
    while isinstance(response := await stream.read(), synthesis_pb2.SynthesizeResponse):
        yield response
