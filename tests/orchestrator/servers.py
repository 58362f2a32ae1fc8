"""Real servers around an orchestrator: all three scripted adapters on one port, an HTTP tool."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from adapters.config import AdapterSettings
from adapters.service import AdapterService, build
from orchestrator.config import OrchestratorSettings
from orchestrator.service import Orchestrator
from voicemesh.server import LiveStreams, serving
from voicemesh.settings import ServiceSettings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

    import grpc.aio

SENSES: tuple[Literal["stt", "llm", "tts"], ...] = ("stt", "llm", "tts")


class Adapters:
    """What the mesh would be: every sense behind one address."""

    def __init__(self) -> None:
        self._services = [self._service(sense) for sense in SENSES]
        self.names = tuple(name for service in self._services for name in service.names)
        self.live = LiveStreams(1)

    @staticmethod
    def _service(sense: Literal["stt", "llm", "tts"]) -> AdapterService:
        return build(AdapterSettings(sense=sense, engines=("scripted",)))

    def register(self, server: grpc.aio.Server) -> None:
        for service in self._services:
            service.register(server)

    async def start(self) -> None:
        for service in self._services:
            await service.start()

    async def drain(self) -> None: ...

    async def stop(self) -> None:
        for service in self._services:
            await service.stop()


@dataclass
class HttpServer:
    """Answers every request the same way, and keeps what it was asked."""

    status: int = 200
    body: bytes = b'{"found": "it"}'
    silent: bool = False
    """Whether it never answers."""
    breaks_off: int = 0
    """Connections that it closes without an answer before it begins to answer."""
    requests: list[tuple[str, dict[str, str], Any]] = field(default_factory=list)
    """(first line, headers, body) of each."""
    address: str = ""

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            headers = {k.lower(): v for k, _, v in (line.partition(": ") for line in head[1:])}
            body = await reader.readexactly(int(headers.get("content-length", "0")))
            self.requests.append((head[0], headers, json.loads(body) if body else None))
            if self.silent:
                await reader.read()
            elif self.breaks_off:
                self.breaks_off -= 1
            else:
                length = len(self.body)
                writer.write(f"HTTP/1.1 {self.status} X\r\nContent-Length: {length}\r\n".encode())
                writer.write(b"Connection: close\r\n\r\n" + self.body)
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[HttpServer]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        host, port = server.sockets[0].getsockname()[:2]
        self.address = f"http://{host}:{port}"
        try:
            yield self
        finally:
            server.close()


@asynccontextmanager
async def orchestrator(
    bots: Path, settings: Mapping[str, Any]
) -> AsyncIterator[tuple[Orchestrator, str]]:
    """Serve an orchestrator, with adapters behind it."""
    async with AsyncExitStack() as stack:
        mesh = await stack.enter_async_context(serving(Adapters(), ServiceSettings()))
        values = {"mesh": mesh, "bots": bots, "replica": "orchestrator-0", **settings}
        known = OrchestratorSettings.model_validate(values)
        service = Orchestrator(known)
        address = await stack.enter_async_context(serving(service, known))
        yield service, address
