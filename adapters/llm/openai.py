"""Any server that speaks OpenAI's chat completions: OpenAI, vLLM, Ollama, llama.cpp, and more."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from adapters.llm.chunks import Assembly, events
from adapters.llm.prompt import chat
from adapters.providers.http import check, translated
from voicemesh.errors import Misconfigured, Refused

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from adapters.language import GenerationRequest, Piece


class OpenAiSettings(BaseSettings):
    """Where the server is and how to be let in; prefix ``VOICEMESH_OPENAI_``."""

    model_config = SettingsConfigDict(env_prefix="VOICEMESH_OPENAI_", extra="ignore", frozen=True)

    url: str = ""
    """Base of the API, like ``http://127.0.0.1:8000/v1``."""
    region: str = ""
    """Residency zone that this server keeps (such as ``eu``), as declared by whoever set it."""
    key: SecretStr = SecretStr("")
    """API key; better in a file."""
    key_file: Path | None = None
    """File that holds the API key; preferred to ``key``."""
    model: str = "default"
    """Model, unless the bot names one."""
    connect_seconds: float = Field(default=2.0, gt=0, le=60)
    """How long a connection may take."""
    first_seconds: float = Field(default=10.0, gt=0, le=120)
    """How long the first byte may take, and each further one after the byte before."""
    connections: int = Field(default=100, ge=1, le=10000)
    """Replies at once; more are refused."""


class OpenAiEngine:
    """Streams replies and tool calls from such a server."""

    def __init__(self, settings: OpenAiSettings) -> None:
        self._settings = settings
        self._live = 0
        self._client: httpx.AsyncClient | None = None

    async def start(self) -> None:
        """Make the connection pool; the server itself may come later."""
        settings = self._settings
        if not settings.url:
            raise Misconfigured(
                "engine 'openai' needs VOICEMESH_OPENAI_URL", field="VOICEMESH_OPENAI_URL"
            )
        key = _key(settings)
        self._client = httpx.AsyncClient(
            base_url=settings.url.rstrip("/") + "/",
            headers={"Authorization": f"Bearer {key}"} if key else {},
            timeout=httpx.Timeout(
                settings.first_seconds,
                connect=settings.connect_seconds,
                pool=settings.connect_seconds,
            ),
            limits=httpx.Limits(max_connections=settings.connections, max_keepalive_connections=20),
        )

    async def generate(self, request: GenerationRequest) -> AsyncIterator[Piece]:
        """Give the reply as it comes; closing the generator closes the connection."""
        if self._client is None:
            raise RuntimeError("generate before start")
        if self._live >= self._settings.connections:
            raise Refused("too many replies at once", limit=self._settings.connections)
        self._live += 1
        try:
            with translated(_key(self._settings)):
                async with self._client.stream(
                    "POST", "chat/completions", json=_body(request, self._settings.model)
                ) as response:
                    await check(response, _key(self._settings))
                    assembly = Assembly(len(request.messages))
                    async for event in events(response.aiter_bytes()):
                        for piece in assembly.take(event):
                            yield piece
                        if assembly.done:
                            break
                    for last in assembly.finish():
                        yield last
        finally:
            self._live -= 1

    async def stop(self) -> None:
        """Close every connection."""
        if self._client is not None:
            await self._client.aclose()


def _key(settings: OpenAiSettings) -> str:
    if settings.key_file is None:
        return settings.key.get_secret_value().strip()
    try:
        return settings.key_file.read_text().strip()
    except OSError as error:
        raise Misconfigured(
            f"VOICEMESH_OPENAI_KEY_FILE: {settings.key_file} cannot be read ({error.strerror})",
            field="VOICEMESH_OPENAI_KEY_FILE",
        ) from error


def _body(request: GenerationRequest, model: str) -> dict[str, Any]:
    body: dict[str, Any] = {
        "model": request.model or model,
        "messages": chat(request),
        "max_tokens": request.max_tokens,
        "stream": True,
    }
    if request.temperature is not None:
        body["temperature"] = request.temperature
    if request.tools:
        body["tools"] = [
            {
                "type": "function",
                "function": {
                    "name": tool.name,
                    "description": tool.description,
                    "parameters": json.loads(tool.parameters_json or "{}"),
                },
            }
            for tool in request.tools
        ]
    return body
