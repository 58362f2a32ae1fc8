"""A WebSocket server on loopback for fakes to speak through, and the ways in which it can fail."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator

Fault = Literal["", "stall", "reset", "garbage", "other_form", "error", "early_end"]
"""What goes wrong behind the first message: nothing comes, the connection breaks, what comes is no
JSON, is JSON of another form, tells of an error, or is the end."""


class Provider(Protocol):
    """What a fake does on one connection."""

    async def converse(self, connection: ServerConnection, query: dict[str, list[str]]) -> None: ...


@dataclass
class Line:
    """A fake's address, whom it lets in, and what came."""

    header: str
    """Where the key is looked for."""
    key: str
    status: int = 0
    """Answers the handshake with this HTTP status."""
    answer_headers: dict[str, str] = field(default_factory=dict)
    complaint: str = "because"
    fault: Fault = ""
    port: int = 0
    scheme: str = "ws"
    paths: list[str] = field(default_factory=list)
    heard: list[str | bytes] = field(default_factory=list)
    """All messages that came, on whichever connection."""
    live: int = 0
    opened: asyncio.Event = field(default_factory=asyncio.Event)
    left: asyncio.Event = field(default_factory=asyncio.Event)
    """Set while nobody is connected, once somebody was."""

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    @property
    def sound(self) -> bytes:
        return b"".join(message for message in self.heard if isinstance(message, bytes))

    def admit(self, connection: ServerConnection, request: Request) -> Response | None:
        status = self.status or (0 if request.headers.get(self.header) == self.key else 401)
        if not status:
            return None
        headers = Headers({"Content-Length": str(len(self.complaint)), **self.answer_headers})
        return Response(status, "Refused", headers, self.complaint.encode())


async def misbehave(connection: ServerConnection, fault: Fault, error: str) -> None:
    """Do what is wrong, and wait until the client has had enough of it."""
    match fault:
        case "reset":
            connection.transport.abort()
        case "garbage":
            await connection.send("{broken")
        case "other_form":
            await connection.send('["what", "is", "this"]')
        case "error":
            await connection.send(error)
        case "early_end":
            await connection.close(1000)
    async for _ in connection:
        pass


@asynccontextmanager
async def serving(
    line: Line, provider: Provider, tls: ssl.SSLContext | None = None
) -> AsyncIterator[None]:
    """Serve a fake on any free port."""

    async def handle(connection: ServerConnection) -> None:
        assert connection.request is not None
        address = urlsplit(connection.request.path)
        line.paths.append(address.path)
        line.live += 1
        line.left.clear()
        line.opened.set()
        try:
            await provider.converse(connection, parse_qs(address.query))
        except ConnectionClosed:
            pass
        finally:
            line.live -= 1
            if not line.live:
                line.left.set()

    options: dict[str, Any] = {"ssl": tls, "compression": None, "close_timeout": 1}
    async with serve(handle, "127.0.0.1", 0, process_request=line.admit, **options) as server:
        line.port = next(iter(server.sockets)).getsockname()[1]
        line.scheme = "wss" if tls else "ws"
        yield
