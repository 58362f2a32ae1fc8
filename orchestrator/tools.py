"""Calls the tools of a bot's file, HTTP or MCP, each with its idempotency key."""

from __future__ import annotations

import asyncio
import json
import socket
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import httpx
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_attempt, wait_fixed

from orchestrator.digits import MASK
from orchestrator.events import ToolReturned
from voicemesh.bots import McpTool
from voicemesh.errors import VoicemeshError

if TYPE_CHECKING:
    from orchestrator.commands import CallTool
    from orchestrator.mcp import McpServers
    from voicemesh.bots import Bot, HttpRequest, HttpTool

MAX_ANSWER_BYTES = 64 * 1024
CONNECT_SECONDS = 2.0


class Tools:
    """One client for all calls of a process."""

    def __init__(self, connections: int, mcp: McpServers) -> None:
        self._mcp = mcp
        # Each tool has one deadline for everything; only connecting has one of its own.
        self._client = httpx.AsyncClient(
            limits=httpx.Limits(max_connections=connections),
            timeout=httpx.Timeout(None, connect=CONNECT_SECONDS),
        )

    async def start(self) -> None:
        """Have everything loaded that a request needs: the first one takes 20 ms otherwise."""
        with socket.socket() as nobody, suppress(httpx.HTTPError):
            nobody.bind(("127.0.0.1", 0))  # and never listens
            await self._client.get(f"http://127.0.0.1:{nobody.getsockname()[1]}")

    async def close(self) -> None:
        """Let the connections go."""
        await self._client.aclose()

    async def call(self, bot: Bot, command: CallTool) -> ToolReturned:
        """Call a tool; whatever goes wrong becomes the tool's answer, for the brain to explain."""
        tool = bot.tool(command.name)
        if tool is None:
            return ToolReturned(command.key, "", f"there is no tool {command.name!r}")
        try:
            arguments = json.loads(command.arguments_json or "{}")
            if not isinstance(arguments, dict):
                raise ValueError("the arguments are no JSON object")
            if isinstance(tool, McpTool):
                return _answer(command.key, await self._mcp.call(tool, command.key, arguments))
            return _without(command.secret, await self._request(tool, command, arguments))
        except TimeoutError:
            seconds = tool.timeout_seconds
            return ToolReturned(command.key, "", f"no answer within {seconds:g} s")
        except (httpx.HTTPError, httpx.InvalidURL, VoicemeshError, ValueError) as error:
            said = ToolReturned(command.key, "", f"{type(error).__name__}: {error}"[:500])
            return _without(command.secret, said)

    async def _request(
        self, tool: HttpTool, command: CallTool, arguments: dict[str, Any]
    ) -> ToolReturned:
        if tool.secret_digits:
            if not command.secret:
                raise ValueError("the secret digits are not known; the caller has to press them")
            arguments[tool.secret_digits] = command.secret
        # The key makes a second try harmless; only a connection that failed deserves one.
        retrying = AsyncRetrying(
            stop=stop_after_attempt(2),
            wait=wait_fixed(0.1),
            retry=retry_if_exception_type((httpx.NetworkError, httpx.RemoteProtocolError)),
            reraise=True,
        )
        request = tool.request(arguments)
        status, text = 0, ""
        async with asyncio.timeout(tool.timeout_seconds):
            async for attempt in retrying:
                with attempt:
                    status, text = await self._send(request, command.key)
        if status >= httpx.codes.MULTIPLE_CHOICES and len(text) <= MAX_ANSWER_BYTES:
            return ToolReturned(command.key, "", f"{status}: {text[:400]}")
        return _answer(command.key, text)

    async def _send(self, request: HttpRequest, key: str) -> tuple[int, str]:
        """Return the status and the text, of which no more is read than is taken."""
        body = b""
        async with self._client.stream(
            request.method,
            request.url,
            params=request.query or None,
            json=request.body,
            headers={"Idempotency-Key": key},
        ) as response:
            async for part in response.aiter_bytes():
                body += part
                if len(body) > MAX_ANSWER_BYTES:
                    break
        return response.status_code, body.decode(errors="replace")


def _answer(key: str, text: str) -> ToolReturned:
    if len(text) > MAX_ANSWER_BYTES:
        return ToolReturned(key, "", f"answered more than {MAX_ANSWER_BYTES} bytes")
    return ToolReturned(key, _as_json(text), "")


def _without(secret: str, returned: ToolReturned) -> ToolReturned:
    """Return an answer in which a secret does not appear, whoever repeated it."""
    if not secret:
        return returned
    result = returned.result_json.replace(secret, MASK)
    return ToolReturned(
        returned.key, _as_json(result) if result else "", returned.error.replace(secret, MASK)
    )


def _as_json(text: str) -> str:
    try:
        json.loads(text)
    except ValueError:
        return json.dumps(text)
    return text
