"""Google's and Riva's speech on loopback, both ways, by the numbers of their fields."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import grpc
import grpc.aio

from adapters.stt import google as google_stt, riva as riva_stt
from adapters.tts import google as google_tts, riva as riva_tts
from tests.adapters.fakes.hearing import Ears

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

KEY = "sesame"
PIECE = 4001
"""Bytes of sound in a message; odd, so that samples are cut in two."""
Fault = Literal["", "stall", "reset", "garbage", "denied", "full", "broken", "empty"]
_STATUS = {
    "reset": grpc.StatusCode.UNAVAILABLE,
    "denied": grpc.StatusCode.UNAUTHENTICATED,
    "full": grpc.StatusCode.RESOURCE_EXHAUSTED,
    "broken": grpc.StatusCode.INTERNAL,
}


@dataclass
class Fake:
    """What it hears and says, and what came."""

    text: str = ""
    size: int = 0
    sound: bytes = b""
    fault: Fault = ""
    heard: bytearray = field(default_factory=bytearray)
    configs: list[Any] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    metadata: list[dict[str, str]] = field(default_factory=list)
    left: asyncio.Event = field(default_factory=asyncio.Event)
    address: str = ""

    async def admit(self, context: Any) -> None:  # noqa: ANN401 - grpc's
        known = dict(context.invocation_metadata())
        self.metadata.append(known)
        if known.get("authorization", f"Bearer {KEY}") != f"Bearer {KEY}":
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, "who are you?")

    async def misbehave(self, context: Any) -> None:  # noqa: ANN401
        if self.fault == "stall":
            try:
                await asyncio.Event().wait()
            finally:
                self.left.set()
        if self.fault == "garbage":
            await context.write(b"\xff\xff\xff")
        if self.fault in _STATUS:
            await context.abort(_STATUS[self.fault], f"because of {KEY}")


class Ear:
    """Recognises: words grow, and are final when nothing more is sent."""

    def __init__(self, fake: Fake, wire: Any, audio: str) -> None:  # noqa: ANN401
        self._fake, self._wire, self._audio = fake, wire, audio

    async def serve(self, _: object, context: Any) -> None:  # noqa: ANN401
        fake = self._fake
        await fake.admit(context)
        first = self._wire.unpacked("Request", await context.read())
        fake.configs.append(first)
        ears = Ears(fake.text, fake.size)
        while (data := await context.read()) is not grpc.aio.EOF:
            sound = getattr(self._wire.unpacked("Request", data), self._audio)
            fake.heard += sound
            if fake.fault:
                await fake.misbehave(context)
                return
            if ears.feed(sound) and self._interim(first):
                await context.write(self._answer(ears.words, final=False))
        await context.write(self._answer(ears.take(), final=True))

    def _interim(self, first: Any) -> bool:  # noqa: ANN401
        config = first.streaming_config
        features = getattr(config, "streaming_features", config)
        return bool(features.interim_results)

    def _answer(self, words: str, *, final: bool) -> bytes:
        result = {"alternatives": [{"transcript": f"{words} "}], "is_final": final}
        unknown = b"\xd2\x3e\x03new"  # field 1002, of text
        return bytes(self._wire.packed("Response", results=[result])) + unknown


class Mouth:
    """Says everything with the same sound."""

    def __init__(self, fake: Fake, wire: Any, field_: str) -> None:  # noqa: ANN401
        self._fake, self._wire, self._field = fake, wire, field_

    async def serve(self, _: object, context: Any) -> None:  # noqa: ANN401
        fake = self._fake
        await fake.admit(context)
        while (data := await context.read()) is not grpc.aio.EOF:
            asked = self._wire.unpacked("Request", data)
            text = asked.text if hasattr(asked, "text") else asked.input.text
            if text:
                fake.texts.append(text)
            fake.configs.append(asked)
        pieces = [fake.sound[at : at + PIECE] for at in range(0, len(fake.sound), PIECE)]
        if fake.fault == "empty":
            return
        await context.write(self._answer(pieces[0]))
        if fake.fault:
            await fake.misbehave(context)
            return
        for piece in pieces[1:]:
            await context.write(self._answer(piece))

    def _answer(self, piece: bytes) -> bytes:
        return bytes(self._wire.packed("Response", **{self._field: piece}))


@asynccontextmanager
async def speech_server(**what: Any) -> AsyncIterator[Fake]:  # noqa: ANN401 - of Fake
    """Serve all four services on one port."""
    fake = Fake(**what)
    services: dict[str, Any] = {
        google_stt.METHOD: Ear(fake, google_stt.WIRE, "audio"),
        riva_stt.METHOD: Ear(fake, riva_stt.WIRE, "audio_content"),
        google_tts.METHOD: Mouth(fake, google_tts.WIRE, "audio_content"),
        riva_tts.METHOD: Mouth(fake, riva_tts.WIRE, "audio"),
    }
    server = grpc.aio.server()
    for path, service in services.items():
        _, name, method = path.split("/")
        # A call with one request is, on the wire, a stream of one.
        handler: Any = grpc.stream_stream_rpc_method_handler(service.serve)
        server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(name, {method: handler}),)
        )
    fake.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    try:
        yield fake
    finally:
        await server.stop(0)
