"""Language models behind HTTP that answer with server-sent events."""

from __future__ import annotations

import time
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Protocol

from pydantic import Field

from adapters.llm.chunks import events
from adapters.providers import faults
from adapters.providers.endpoint import Endpoint
from adapters.providers.http import Requests
from adapters.providers.standing import Standing
from voicemesh.errors import VoicemeshError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from adapters.language import GenerationRequest, Piece


class AnsweringEndpoint(Endpoint):
    """Settings of a provider that answers in words."""

    model: str = ""
    """Model, unless the bot names one."""
    first_seconds: float = Field(default=10.0, gt=0, le=120)
    """How long the first part of a reply may take."""
    between_seconds: float = Field(default=5.0, gt=0, le=120)
    """How long each further part may take after the one before."""


class Assembly(Protocol):
    """Puts one reply together from its events, without I/O."""

    done: bool
    """Whether the reply is complete."""

    def take(self, event: dict[str, Any] | None) -> Iterator[Piece]:
        """Return what an event adds; raise Unavailable if it is malformed or a failure."""
        ...

    def finish(self) -> Iterator[Piece]:
        """Return what is due at the end; raise Unavailable if the reply broke off."""
        ...


class Dialect(Protocol):
    """What a provider's module holds, apart from its settings."""

    def headers(self, key: str) -> dict[str, str]:
        """Return the headers that let us in."""
        ...

    def ask(self, request: GenerationRequest, model: str) -> tuple[str, dict[str, Any]]:
        """Return path and JSON of the request."""
        ...

    def assembly(self, request: GenerationRequest) -> Assembly:
        """Return what takes the reply."""
        ...


class AnsweringEngine:
    """Streams replies and tool calls from one provider."""

    def __init__(self, settings: AnsweringEndpoint, dialect: Dialect) -> None:
        self._settings = settings
        self._dialect = dialect
        self._requests = Requests(settings, dialect.headers)
        self._standing = Standing("llm", settings.provider)

    async def start(self) -> None:
        """Make the pool of connections; the provider itself may come later."""
        await self._requests.start()

    async def generate(self, request: GenerationRequest) -> AsyncIterator[Piece]:
        """Give the reply as it comes; closing the generator closes the connection."""
        asked, first = time.monotonic(), True
        with self._standing.watching():
            async with aclosing(self._pieces(request)) as pieces:
                try:
                    async for piece in pieces:
                        if first:
                            self._standing.first_result(asked)
                            first = False
                        yield piece
                except VoicemeshError as error:
                    faults.hide(error, self._settings)
                    raise

    async def _pieces(self, request: GenerationRequest) -> Any:  # noqa: ANN401
        path, body = self._dialect.ask(request, request.model or self._settings.model)
        assembly = self._dialect.assembly(request)
        async with self._requests.post(path, json=body) as response:
            async for event in events(self._requests.parts(response)):
                for piece in assembly.take(event):
                    yield piece
                if assembly.done:
                    break
            for last in assembly.finish():
                yield last

    async def stop(self) -> None:
        """Close every connection."""
        await self._requests.stop()
