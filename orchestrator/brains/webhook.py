"""The brain behind an HTTP endpoint: each turn is one signed request, its answer is what is done.

Signed as all webhooks of voicemesh are (https://www.standardwebhooks.com): ``webhook-id`` is the
idempotency key. Redirects, private addresses and answers that are too long are refused.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import httpx

from orchestrator.brains.actions import Answer
from orchestrator.brains.asking import question
from orchestrator.brains.reading import reader
from orchestrator.outside import Guarded
from voicemesh.errors import DeadlineMissed, Denied, InvalidInput, NotFound, Unavailable
from voicemesh.signing import Signer

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from orchestrator.brains import Piece, Surroundings
    from orchestrator.prompt import Prompt
    from voicemesh.bots import Bot, LanguageChoice, WebhookBrain

ACCEPT = "application/x-ndjson, text/event-stream, application/json"
PASSING = frozenset({408, 425, 429})
"""Statuses below 500 after which the same request may be answered a moment later."""
CONNECT_SECONDS = 3.0
MAX_CONNECTIONS = 400


class HttpBrain:
    """Asks endpoints; connections stay open for the next turn."""

    def __init__(self, surroundings: Surroundings) -> None:
        self._client = httpx.AsyncClient(
            transport=Guarded(surroundings.allowed, MAX_CONNECTIONS),
            timeout=httpx.Timeout(None, connect=CONNECT_SECONDS),
            follow_redirects=False,
        )
        self._signers: dict[str, Signer] = {}

    async def think(
        self, thought: int, prompt: Prompt, bot: Bot, _: LanguageChoice
    ) -> AsyncGenerator[Piece, None]:
        """Give the answer action by action, each as soon as it is complete."""
        brain = bot.brain.webhook
        if brain is None:
            raise NotFound(f"bot {bot.name!r} has no webhook", reason="NO_BRAIN")
        request = self._request(brain, question(prompt, bot))
        try:
            async with asyncio.timeout(brain.most_seconds):
                response = await self._client.send(request, stream=True)
                try:
                    _check(response.status_code, response.headers)
                    async for piece in _pieces(thought, response):
                        yield piece
                finally:
                    await response.aclose()
        except TimeoutError:
            limit = brain.most_seconds
            raise DeadlineMissed(f"not complete within {limit:g} s", limit=limit) from None
        except httpx.HTTPError as error:
            raise Unavailable(f"{type(error).__name__}: {error}"[:200]) from error

    async def close(self) -> None:
        """Let connections go."""
        await self._client.aclose()

    def _request(self, brain: WebhookBrain, asked: Mapping[str, object]) -> httpx.Request:
        body = json.dumps({"type": "turn", **asked}, ensure_ascii=False)
        key = str(asked["key"])
        headers = {
            **self._signer(brain).headers(key, body),
            "accept": ACCEPT,
            "idempotency-key": key,
        }
        return self._client.build_request(
            "POST", brain.address(), content=body.encode(), headers=headers
        )

    def _signer(self, brain: WebhookBrain) -> Signer:
        # Read again each time: a secret in a file may be replaced while calls go on.
        secret = brain.secret_value()
        if secret not in self._signers:
            self._signers = {secret: Signer(secret, "brain.webhook.secret")} | self._signers
        return self._signers[secret]


async def _pieces(thought: int, response: httpx.Response) -> AsyncGenerator[Piece, None]:
    answer = Answer(thought)
    actions = reader(response.headers.get("content-type", ""))
    async for data in response.aiter_bytes():
        for action in actions.feed(data):
            for piece in answer.take(action):
                yield piece
    for action in actions.finish():
        for piece in answer.take(action):
            yield piece
    for piece in answer.finish():
        yield piece


def _check(status: int, headers: Mapping[str, str]) -> None:
    """Raise unless it is an answer: Unavailable where asking again may help."""
    if status == httpx.codes.OK:
        return
    if 300 <= status < 400:
        where = headers.get("location", "nowhere")[:100]
        raise Denied(f"redirects ({status}) to {where}: name that in the bot's file")
    if status >= 500 or status in PASSING:
        raise Unavailable(f"answered {status}", limit=status)
    raise InvalidInput("status", f"is {status}, must be 200", limit=status)
