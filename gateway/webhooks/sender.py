"""Signs payloads and posts them to the receiver."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from voicemesh.errors import Misconfigured, Unavailable
from voicemesh.signing import Signer

if TYPE_CHECKING:
    from gateway.config import GatewaySettings

MAX_ANSWER_BYTES = 64 * 1024


class Sender:
    """One receiver."""

    def __init__(self, settings: GatewaySettings) -> None:
        """Raise Misconfigured where there is no secret, or it is none."""
        self._url = settings.webhook_url
        self._timeout = settings.webhook_timeout_seconds
        secret = _secret(settings.webhook_secret.get_secret_value())
        self._signer = Signer(secret, "VOICEMESH_WEBHOOK_SECRET")
        self._client = httpx.AsyncClient(follow_redirects=False)

    async def send(self, event_id: str, body: str, seconds: float | None = None) -> bytes:
        """Post a payload; return the answer. Raise Unavailable unless the receiver took it."""
        headers = self._signer.headers(event_id, body)
        limit = seconds or self._timeout
        request = self._client.build_request(
            "POST", self._url, content=body.encode(), headers=headers, timeout=limit
        )
        try:
            async with asyncio.timeout(limit):
                response = await self._client.send(request, stream=True)
                try:
                    answer = await _read(response)
                finally:
                    await response.aclose()
        except (httpx.HTTPError, TimeoutError) as error:
            raise Unavailable(f"the webhook receiver: {type(error).__name__}") from error
        if not response.is_success:
            raise Unavailable(f"the webhook receiver answered {response.status_code}")
        return answer

    async def close(self) -> None:
        """Let go of connections."""
        await self._client.aclose()


async def _read(response: httpx.Response) -> bytes:
    answer = b""
    async for piece in response.aiter_bytes():
        answer += piece
        if len(answer) > MAX_ANSWER_BYTES:
            raise Unavailable(f"the webhook receiver answered more than {MAX_ANSWER_BYTES} bytes")
    return answer


def _secret(text: str) -> str:
    if not text.startswith("@"):
        return text
    try:
        return Path(text[1:]).read_text().strip()
    except OSError as error:
        raise Misconfigured(f"VOICEMESH_WEBHOOK_SECRET: {text[1:]}: {error.strerror}") from error
