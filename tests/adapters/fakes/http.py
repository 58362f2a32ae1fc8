"""An HTTP server on loopback for fakes to answer through, and the ways in which it can fail."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

HANG = b""
"""A part that never comes."""


@dataclass
class Answers:
    """What it answers, whom it lets in, and what came."""

    header: str
    """Where the key is looked for."""
    key: str
    kind: str = "text/event-stream"
    """Content type of the answer."""
    parts: Sequence[bytes] = ()
    """The answer's body."""
    status: int = 200
    answer_headers: dict[str, str] = field(default_factory=dict)
    complaint: str = '{"error": {"message": "because"}}'
    torn: bool = False
    """Whether the connection breaks behind the body."""
    port: int = 0
    paths: list[str] = field(default_factory=list)
    asked: list[dict[str, Any]] = field(default_factory=list)
    """JSON bodies, or the fields of forms."""
    left: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when a client went away in the middle."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.paths.append(request.path_qs)
        self.asked.append(await _body(request))
        status = self.status if request.headers.get(self.header) == self.key else 401
        if status != 200:
            return web.Response(status=status, text=self.complaint, headers=self.answer_headers)
        response = web.StreamResponse(headers={"Content-Type": self.kind})
        await response.prepare(request)
        for part in self.parts:
            if part == HANG:
                await self._hang(request)
            await response.write(part)
        if self.torn:
            assert request.transport is not None
            request.transport.abort()
        return response

    async def _hang(self, request: web.Request) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            self.left.set()


async def _body(request: web.Request) -> dict[str, Any]:
    if request.content_type == "application/json":
        return dict(await request.json())
    fields: dict[str, Any] = {}
    for name, value in (await request.post()).items():
        if isinstance(value, web.FileField):
            with value.file as file:
                fields[name] = file.read()
        else:
            fields[name] = value
    return fields


def event(data: dict[str, Any], name: str = "") -> bytes:
    """Return a server-sent event."""
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {json.dumps(data)}\n\n".encode()


@asynccontextmanager
async def answering(answers: Answers) -> AsyncIterator[Answers]:
    """Serve this answer to every request."""
    app = web.Application(client_max_size=1 << 23)
    app.router.add_route("*", "/{path:.*}", answers.answer)
    runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    answers.port = runner.addresses[0][1]
    try:
        yield answers
    finally:
        await runner.cleanup()
