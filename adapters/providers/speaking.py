"""Synthesis at a provider, over its WebSocket or by HTTP: one sentence at a time.

A provider's sound may come in pieces of any number of bytes and at another rate. The same text need
not give the same samples: see docs/providers.md for what that means when a sentence is resumed.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Protocol

import numpy as np
from websockets.exceptions import ConnectionClosed

from adapters.providers import faults
from adapters.providers.calls import Calls
from adapters.providers.http import Requests
from adapters.providers.sockets import Sockets, Upkeep, closed
from adapters.providers.standing import Standing
from adapters.streams import closing
from voicemesh.audio import Resampler
from voicemesh.errors import VoicemeshError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Sequence

    from websockets.asyncio.client import ClientConnection

    from adapters.providers.endpoint import Endpoint, SocketEndpoint
    from adapters.providers.sockets import Frame
    from adapters.synthesis import Synthesis, SynthesisRequest
    from voicemesh.audio import Samples


class Codec(Protocol):
    """One sentence's messages, without I/O."""

    done: bool
    """Whether all of its sound has come."""

    def begin(self) -> list[Frame]:
        """Return what asks for the sentence."""
        ...

    def take(self, frame: Frame) -> bytes:
        """Return the sound in a message; raise Unavailable if it is malformed or a failure."""
        ...

    def cancel(self) -> list[Frame]:
        """Return what stops the sentence, said before the connection is closed."""
        ...


class Dialect(Protocol):
    """What a provider's module holds, apart from its settings."""

    upkeep: Upkeep | None
    reusable: bool
    """Whether a connection takes a further sentence."""

    def headers(self, key: str) -> dict[str, str]:
        """Return the headers that let us in."""
        ...

    def rate(self, request: SynthesisRequest) -> int:
        """Return the rate of the provider's sound."""
        ...

    def place(self, request: SynthesisRequest) -> str:
        """Return path and query of the connection."""
        ...

    def codec(self, request: SynthesisRequest, text: str) -> Codec:
        """Return the messages of a sentence."""
        ...


class Words(Protocol):
    """A provider that is asked by HTTP for a sentence's sound."""

    def headers(self, key: str) -> dict[str, str]:
        """Return the headers that let us in."""
        ...

    def rate(self, request: SynthesisRequest) -> int:
        """Return the rate of the provider's sound."""
        ...

    def ask(self, request: SynthesisRequest, text: str) -> tuple[str, dict[str, object]]:
        """Return path and JSON of the request."""
        ...


class SpeakingEngine:
    """Speaks at one provider by WebSocket."""

    def __init__(self, settings: SocketEndpoint, dialect: Dialect) -> None:
        self._settings = settings
        self._dialect = dialect
        self._sockets = Sockets(settings, dialect.headers, dialect.upkeep)
        self._standing = Standing("tts", settings.provider)

    async def start(self) -> None:
        """Look for the secret; the provider itself may come later."""
        self._settings.key()

    def synthesize(self, request: SynthesisRequest) -> Synthesis:
        """Begin a reply: its connection opens while its words are still being found."""
        self._sockets.warm(self._dialect.place(request))
        return _Reply(self._sound, request, self._dialect.rate(request), self._standing)

    async def _sound(self, request: SynthesisRequest, text: str) -> AsyncGenerator[bytes]:
        codec, place = self._dialect.codec(request, text), self._dialect.place(request)
        with self._sockets.place():
            try:
                connection = await self._sockets.open(place, returns=self._dialect.reusable)
                async with self._borrowed(connection, codec, place):
                    for frame in codec.begin():
                        await connection.send(frame)
                    async for sound in self._received(connection, codec):
                        yield sound
            except ConnectionClosed as error:
                raise self._hidden(closed(error)) from None
            except VoicemeshError as error:
                raise self._hidden(error) from None

    def _hidden(self, error: VoicemeshError) -> VoicemeshError:
        faults.hide(error, self._settings)
        return error

    @asynccontextmanager
    async def _borrowed(
        self, connection: ClientConnection, codec: Codec, place: str
    ) -> AsyncIterator[None]:
        """Leave or keep the connection behind the sentence, however that ends."""
        try:
            yield
        finally:
            if not codec.done:
                self._sockets.leave(connection, codec.cancel())
            elif self._dialect.reusable:
                self._sockets.keep(place, connection)
            else:
                self._sockets.leave(connection)

    async def _received(self, connection: ClientConnection, codec: Codec) -> AsyncIterator[bytes]:
        seconds = self._settings.first_seconds
        while not codec.done:
            try:
                async with asyncio.timeout(seconds):
                    sound = codec.take(await connection.recv())
            except TimeoutError:
                raise faults.silent(seconds) from None
            if sound:
                yield sound
                seconds = self._settings.between_seconds

    async def stop(self) -> None:
        """Close every connection."""
        await self._sockets.stop()


class HttpSpeakingEngine:
    """Speaks at one provider by HTTP."""

    def __init__(self, settings: Endpoint, words: Words) -> None:
        self._settings = settings
        self._words = words
        self._requests = Requests(settings, words.headers)
        self._standing = Standing("tts", settings.provider)

    async def start(self) -> None:
        """Make the pool of connections."""
        await self._requests.start()

    def synthesize(self, request: SynthesisRequest) -> Synthesis:
        """Begin a reply."""
        return _Reply(self._sound, request, self._words.rate(request), self._standing)

    async def _sound(self, request: SynthesisRequest, text: str) -> AsyncGenerator[bytes]:
        path, body = self._words.ask(request, text)
        async with self._requests.post(path, json=body) as response:
            kind = response.headers.get("content-type", "")
            if kind.startswith(("application/json", "text/")):
                raise faults.broken(f"{faults.shown(kind)} where sound should be")
            async for part in self._requests.parts(response):
                yield part

    async def stop(self) -> None:
        """Close every connection."""
        await self._requests.stop()


class Utterances(Protocol):
    """A provider that is asked by gRPC for a sentence's sound."""

    def headers(self, key: str) -> dict[str, str]:
        """Return the metadata that lets us in."""
        ...

    def rate(self, request: SynthesisRequest) -> int:
        """Return the rate of the provider's sound."""
        ...

    def ask(self, request: SynthesisRequest, text: str) -> tuple[str, Sequence[bytes]]:
        """Return the method, and what it is sent."""
        ...

    def sound(self, message: bytes) -> bytes:
        """Return the sound in an answer; raise Unavailable if it is malformed."""
        ...


class GrpcSpeakingEngine:
    """Speaks at one provider by gRPC."""

    def __init__(self, settings: Endpoint, utterances: Utterances) -> None:
        self._settings = settings
        self._utterances = utterances
        self._calls = Calls(settings, utterances.headers)
        self._standing = Standing("tts", settings.provider)

    async def start(self) -> None:
        """Look for the secret, and begin to connect; the provider itself may come later."""
        self._settings.key()
        self._calls.warm()

    def synthesize(self, request: SynthesisRequest) -> Synthesis:
        """Begin a reply."""
        return _Reply(self._sound, request, self._utterances.rate(request), self._standing)

    async def _sound(self, request: SynthesisRequest, text: str) -> AsyncGenerator[bytes]:
        method, messages = self._utterances.ask(request, text)
        with self._calls.place():
            try:
                async with closing(self._calls.ask(method, *messages)) as answers:
                    async for answer in answers:
                        if sound := self._utterances.sound(answer):
                            yield sound
            except VoicemeshError as error:
                faults.hide(error, self._settings)
                raise

    async def stop(self) -> None:
        """Close the connection."""
        await self._calls.stop()


class _Sound(Protocol):
    def __call__(self, request: SynthesisRequest, text: str) -> AsyncGenerator[bytes]: ...


class _Reply:
    """One reply, whose sentences are asked for one by one."""

    def __init__(
        self, sound: _Sound, request: SynthesisRequest, rate: int, standing: Standing
    ) -> None:
        self._sound = sound
        self._request = request
        self._rate = rate
        self._standing = standing

    async def speak(self, text: str) -> AsyncIterator[Samples]:
        """Give the sentence as it comes."""
        asked, first = time.monotonic(), True
        samples = _Samples(self._rate, self._request.rate)
        with self._standing.watching():
            async with closing(self._sound(self._request, text)) as parts:
                async for part in parts:
                    if first:
                        self._standing.first_result(asked)
                        first = False
                    if (piece := samples.feed(part)).size:
                        yield piece
            if first:
                raise VoicemeshError("the provider made no sound", reason="NO_AUDIO")
            if (last := samples.flush()).size:
                yield last

    def close(self) -> None:
        """Nothing is held between sentences."""


class _Samples:
    """Bytes at one rate to samples at another; a piece may end in the middle of a sample."""

    def __init__(self, rate: int, wanted: int) -> None:
        self._resampler = Resampler(rate, wanted)
        self._half = b""

    def feed(self, part: bytes) -> Samples:
        whole = self._half + part
        cut = len(whole) // 2 * 2
        self._half = whole[cut:]
        samples = np.frombuffer(whole[:cut], "<i2").astype(np.int16, copy=False)
        return self._resampler.feed(samples)

    def flush(self) -> Samples:
        return self._resampler.flush()
