"""A provider of chat completions on loopback that answers each request by a script."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

HANG = b""
"""A part that never comes."""


@dataclass
class Provider:
    """What it answers and what it got."""

    parts: list[bytes] = field(default_factory=list)
    status: str = "200 OK"
    headers: dict[str, str] = field(default_factory=dict)
    port: int = 0
    asked: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    left: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when a client went away in the middle."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            fields = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if line)
            fields = {name.lower(): value for name, value in fields.items()}
            self.keys.append(fields.get("authorization", ""))
            self.asked.append(json.loads(await reader.readexactly(int(fields["content-length"]))))
            extra = "".join(f"{name}: {value}\r\n" for name, value in self.headers.items())
            writer.write(f"HTTP/1.1 {self.status}\r\nconnection: close\r\n{extra}\r\n".encode())
            for part in self.parts:
                if part == HANG:
                    await reader.read()
                    self.left.set()
                    return
                writer.write(part)
                await writer.drain()
        finally:
            writer.close()


def event(**delta: Any) -> bytes:  # noqa: ANN401 - deltas hold anything
    """Return a chunk with this delta; ``finish`` ends it."""
    finish = delta.pop("finish", None)
    chunk = {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"


DONE = b"data: [DONE]\n\n"


@asynccontextmanager
async def providing(
    *parts: bytes, status: str = "200 OK", **headers: str
) -> AsyncIterator[Provider]:
    """Serve this answer to every request."""
    provider = Provider(list(parts), status, headers)
    server = await asyncio.start_server(provider.serve, "127.0.0.1", 0)
    async with server:
        provider.port = server.sockets[0].getsockname()[1]
        yield provider
