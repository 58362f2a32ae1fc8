"""Tools of MCP servers: learnt when the process starts, called over connections that stay open.

A server that is not there yet is tried again; until then its tools are not offered to models, and
a call of one fails as any tool may.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, TypeAlias, cast

import httpx2
from mcp import MCPError
from mcp.client.client import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.types import TextContent

from orchestrator.outside import Guard
from voicemesh import telemetry
from voicemesh.api.language.v1 import language_pb2
from voicemesh.bots.convert import schema
from voicemesh.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from mcp.types import CallToolResult, RequestParamsMeta

    from orchestrator.outside import Allowed
    from voicemesh.bots import Bot, McpServer, McpTool

CONNECT_SECONDS = 5.0
PAUSES = (0.5, 2.0, 10.0)
"""Seconds between attempts to reach a server; the last one repeats."""
IDEMPOTENCY = "voicemesh/idempotency-key"
"""Where a request's ``_meta`` has its key."""
MAX_DESCRIPTION = 2000

Declarations: TypeAlias = dict[str, language_pb2.Tool]

_log = telemetry.get_logger("mcp")


class _Transport(Guard, httpx2.AsyncBaseTransport):
    """Sends requests to hosts that are allowed."""


class _Connection:
    """One server: a task holds its session open, since whoever opens one has to close it."""

    def __init__(self, server: McpServer, allowed: Allowed) -> None:
        self._server = server
        self._allowed = allowed
        self._client: Client | None = None
        self._broken = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.declarations: Declarations = {}
        self.learnt = asyncio.Event()
        """Set once its tools are known."""

    def start(self) -> None:
        self._task = asyncio.create_task(self._hold())

    async def stop(self) -> None:
        if self._task:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def call(self, tool: McpTool, key: str, arguments: dict[str, object]) -> str:
        """Return what a tool answers, JSON or text. Raise Unavailable where it cannot."""
        client = self._client
        if client is None:
            raise Unavailable(f"mcp server {self._server.name!r} is not connected")
        meta = cast("RequestParamsMeta", {IDEMPOTENCY: key})
        try:
            result = await client.call_tool(tool.theirs, arguments, meta=meta)
        except MCPError as error:
            raise Unavailable(f"{error}"[:400]) from error
        except Exception as error:
            # Whatever broke the session, the next call gets another one.
            self._broken.set()
            raise Unavailable(f"{type(error).__name__}: {error}"[:400]) from error
        if result.is_error:
            raise Unavailable(_text(result)[:400])
        if result.structured_content is not None:
            return json.dumps(result.structured_content)
        return _text(result)

    async def _hold(self) -> None:
        attempt = 0
        while True:
            try:
                async with self._session() as client:
                    await self._learn(client)
                    self._client, attempt = client, 0
                    await self._broken.wait()
            except Exception as error:
                _log.warning("an mcp server is gone", server=self._server.name, problem=str(error))
            finally:
                self._client = None
                self._broken.clear()
            await asyncio.sleep(PAUSES[min(attempt, len(PAUSES) - 1)])
            attempt += 1

    @asynccontextmanager
    async def _session(self) -> AsyncIterator[Client]:
        token = self._server.token_value()
        transport = _Transport(self._allowed, httpx2.AsyncHTTPTransport())
        http = httpx2.AsyncClient(
            transport=transport,
            headers={"authorization": f"Bearer {token}"} if token else {},
            timeout=httpx2.Timeout(
                self._server.timeout_seconds, connect=CONNECT_SECONDS, read=None
            ),
        )
        async with http:
            stream = streamable_http_client(self._server.address(), http_client=http)
            async with Client(stream) as client:
                yield client

    async def _learn(self, client: Client) -> None:
        listed = await client.list_tools()
        wanted = set(self._server.tools)
        self.declarations = {
            tool.name: language_pb2.Tool(
                name=self._server.tool(tool.name).name,
                description=(tool.description or tool.name)[:MAX_DESCRIPTION],
                parameters_json=schema(tool.input_schema),
            )
            for tool in listed.tools
            if tool.name in wanted
        }
        missing = ", ".join(sorted(wanted - self.declarations.keys()))
        if missing:
            _log.warning("an mcp server lacks tools", server=self._server.name, tools=missing)
        self.learnt.set()


class McpServers:
    """The servers of all bots of a process."""

    def __init__(self, bots: Iterable[Bot], allowed: Allowed) -> None:
        servers = {server: None for bot in bots for server in bot.mcp}
        self._connections = {server: _Connection(server, allowed) for server in servers}

    async def start(self) -> None:
        """Begin to connect; wait for nobody."""
        for connection in self._connections.values():
            connection.start()

    async def learnt(self) -> None:
        """Wait until the tools of every server are known."""
        for connection in self._connections.values():
            await connection.learnt.wait()

    async def stop(self) -> None:
        """Let connections go."""
        for connection in self._connections.values():
            await connection.stop()

    def declarations(self, bot: Bot) -> list[language_pb2.Tool]:
        """Return the tools of the bot's servers that its state has and that are known."""
        return [
            tool
            for server in bot.mcp
            for tool in self._connections[server].declarations.values()
            if bot.tool(tool.name)
        ]

    async def call(self, tool: McpTool, key: str, arguments: dict[str, object]) -> str:
        """Return what a tool answers. Raise Unavailable where it cannot, TimeoutError if late."""
        async with asyncio.timeout(tool.server.timeout_seconds):
            return await self._connections[tool.server].call(tool, key, arguments)


def _text(result: CallToolResult) -> str:
    return "\n".join(part.text for part in result.content if isinstance(part, TextContent))
