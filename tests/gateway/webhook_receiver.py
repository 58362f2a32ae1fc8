"""A receiver of webhooks: a real HTTP server that verifies, and fails as a test tells it to."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from standardwebhooks import Webhook

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

SECRET = "whsec_" + "c2VjcmV0IHRoYXQgaXMgbG9uZyBlbm91Z2g="


@dataclass
class Receiver:
    """Keeps what it took, in order."""

    answer: Callable[[dict[str, Any]], tuple[int, object] | None] = lambda _: (200, {})
    """Status and body for a payload; None never answers."""
    taken: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    attempts: int = 0
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    port: int = 0

    @property
    def kinds(self) -> list[str]:
        return [payload["type"] for _, payload in self.taken]

    async def until(self, holds: Callable[[Receiver], bool]) -> None:
        async with asyncio.timeout(30):
            while not holds(self):
                self.changed.clear()
                await self.changed.wait()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                assert line.startswith(b"POST /hook ")
                headers = await _headers(reader)
                body = await reader.readexactly(int(headers["content-length"]))
                await self._answer(headers, body, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _answer(
        self, headers: dict[str, str], body: bytes, writer: asyncio.StreamWriter
    ) -> None:
        payload = Webhook(SECRET).verify(body, headers)
        self.attempts += 1
        self.changed.set()
        answer = self.answer(payload)
        if answer is None:
            await asyncio.Event().wait()
            return
        status, said = answer
        if status == 200:
            self.taken.append((headers["webhook-id"], payload))
        text = json.dumps(said).encode()
        writer.write(b"HTTP/1.1 %d X\r\ncontent-length: %d\r\n\r\n" % (status, len(text)) + text)
        await writer.drain()
        self.changed.set()


async def _headers(reader: asyncio.StreamReader) -> dict[str, str]:
    found: dict[str, str] = {}
    while (line := (await reader.readline()).decode().strip()) != "":
        name, _, value = line.partition(":")
        found[name.lower()] = value.strip()
    return found


@asynccontextmanager
async def receiving(receiver: Receiver) -> AsyncIterator[Receiver]:
    """Listen while the block runs, at the port that it had before, if it had one."""
    tasks: set[asyncio.Task[None]] = set()

    def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(receiver._serve(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(serve, "127.0.0.1", receiver.port)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
