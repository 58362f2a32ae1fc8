"""An HTTP endpoint that answers turns by a script, as somebody who writes a bot would."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aiohttp import web
from standardwebhooks import Webhook

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

SECRET = "whsec_" + "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo="

NDJSON = "application/x-ndjson"


@dataclass
class Answer:
    """What is answered: ``parts`` are written one by one, an event among them is waited for."""

    parts: Sequence[bytes | asyncio.Event]
    content_type: str = NDJSON
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


def lines(*actions: dict[str, Any]) -> Answer:
    return Answer([json.dumps(action).encode() + b"\n" for action in actions])


@dataclass
class Endpoint:
    """Keeps what it was asked, and checks each signature."""

    script: Callable[[dict[str, Any]], Answer]
    asked: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    wrote: list[float] = field(default_factory=list)
    """When the first part of each answer was written, monotonic seconds."""
    broke_off: int = 0
    address: str = ""

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        body = await request.text()
        headers = {name.lower(): value for name, value in request.headers.items()}
        asked = Webhook(SECRET).verify(body, headers)
        assert asked["type"] == "turn"
        self.asked.append(asked)
        self.headers.append(headers)
        answer = self.script(asked)
        response = web.StreamResponse(status=answer.status, headers=answer.headers)
        response.content_type = answer.content_type
        await response.prepare(request)
        try:
            await self._write(response, answer.parts)
        except ConnectionError:
            self.broke_off += 1
        return response

    async def _write(
        self, response: web.StreamResponse, parts: Sequence[bytes | asyncio.Event]
    ) -> None:
        for index, part in enumerate(parts):
            if isinstance(part, asyncio.Event):
                await part.wait()
                continue
            if index == 0:
                self.wrote.append(time.monotonic())
            await response.write(part)
        await response.write_eof()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Endpoint]:
        app = web.Application()
        app.router.add_post("/turn", self._serve)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.address = f"http://127.0.0.1:{runner.addresses[0][1]}/turn"
        try:
            yield self
        finally:
            await runner.cleanup()
