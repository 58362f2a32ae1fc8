"""Calls the HTTP tools of a bot's file, each with its idempotency key."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import httpx
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_attempt, wait_fixed

from orchestrator.events import ToolReturned
from voicemesh.errors import VoicemeshError

if TYPE_CHECKING:
    from orchestrator.commands import CallTool
    from voicemesh.bots import Bot, HttpTool

MAX_ANSWER_BYTES = 64 * 1024
CONNECT_SECONDS = 2.0


class Tools:
    """One client for all calls of a process."""

    def __init__(self, connections: int) -> None:
        self._client = httpx.AsyncClient(limits=httpx.Limits(max_connections=connections))

    async def close(self) -> None:
        """Let the connections go."""
        await self._client.aclose()

    async def call(self, bot: Bot, command: CallTool) -> ToolReturned:
        """Call a tool; whatever goes wrong becomes the tool's answer, for the brain to explain."""
        tool = bot.tool(command.name)
        if tool is None:
            return ToolReturned(command.key, "", f"there is no tool {command.name!r}")
        try:
            return await self._request(tool, command)
        except (httpx.HTTPError, VoicemeshError, ValueError) as error:
            return ToolReturned(command.key, "", f"{type(error).__name__}: {error}"[:500])

    async def _request(self, tool: HttpTool, command: CallTool) -> ToolReturned:
        arguments = json.loads(command.arguments_json or "{}")
        if not isinstance(arguments, dict):
            raise ValueError("the arguments are no JSON object")
        response = await self._send(tool, arguments, command.key)
        text = response.text
        if len(text) > MAX_ANSWER_BYTES:
            return ToolReturned(command.key, "", f"answered more than {MAX_ANSWER_BYTES} bytes")
        if response.is_error:
            return ToolReturned(command.key, "", f"{response.status_code}: {text[:400]}")
        return ToolReturned(command.key, _as_json(text), "")

    async def _send(self, tool: HttpTool, arguments: dict[str, Any], key: str) -> httpx.Response:
        request = tool.request(arguments)
        timeout = httpx.Timeout(tool.timeout_seconds, connect=CONNECT_SECONDS)
        # The key makes a second try harmless; only a connection that failed deserves one.
        retrying = AsyncRetrying(
            stop=stop_after_attempt(2),
            wait=wait_fixed(0.1),
            retry=retry_if_exception_type(httpx.TransportError),
            reraise=True,
        )
        return await retrying(
            self._client.request,
            request.method,
            request.url,
            params=request.query or None,
            json=request.body,
            headers={"Idempotency-Key": key},
            timeout=timeout,
        )


def _as_json(text: str) -> str:
    try:
        json.loads(text)
    except ValueError:
        return json.dumps(text)
    return text
