"""The engine around the dialogue: one thread, a short line before it, and pieces as they come."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING

from adapters.convert import generation_request
from adapters.language import Finished, FinishReason, TextPiece, ToolCall
from adapters.llm.retrieval.dialogue import answer, today_of
from adapters.llm.retrieval.embedding import CachedEncoder, Encoder, MiniLm
from adapters.llm.retrieval.matching import Matcher
from adapters.llm.retrieval.speaking import pieces
from adapters.llm.retrieval.state import Reply, Setting
from adapters.workers import Workers
from voicemesh.api.language.v1 import language_pb2
from voicemesh.bots import Bots
from voicemesh.errors import Misconfigured, NotFound, Refused

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from adapters.language import GenerationRequest, Knowledge, Piece

MODEL = "minilm"
_WAITING = 64
"""Requests that may wait: at a few milliseconds each, they wait no longer than a quarter second."""


class RetrievalEngine:
    """Answers from what the request says that the bot knows."""

    def __init__(
        self,
        bots: Path | None = None,
        encoder: Callable[[], Encoder] = MiniLm,
        waiting: int = _WAITING,
    ) -> None:
        self._bots = bots
        self._encoder = encoder
        self._limit = waiting
        self._workers = Workers("retrieval", 1)
        self._matcher: Matcher | None = None

    async def start(self) -> None:
        """Load the model, and read the bots there are so that their first caller need not wait."""
        async with self._workers.place():
            self._matcher = await self._workers.run(self._load)

    def _load(self) -> Matcher:
        matcher = Matcher(CachedEncoder(self._encoder()))
        for knowledge in _known(self._bots):
            matcher.of(knowledge)
        return matcher

    async def generate(self, request: GenerationRequest) -> AsyncIterator[Piece]:
        """Give the reply sentence by sentence; ``max_tokens`` cuts no sentence of a bot's file."""
        if request.model not in ("", MODEL):
            raise NotFound(
                f"model: no model {request.model!r}, only {MODEL!r}",
                reason="MODEL_NOT_FOUND",
                field="model",
                model=request.model,
            )
        if self._workers.waiting >= self._limit:
            raise Refused("too many replies wait", limit=self._limit)
        async with self._workers.place():
            reply = await self._workers.run(self._answer, request)
        for text in pieces(reply.text):
            yield TextPiece(text)
            # Others get their turn between two pieces, as with an engine that thinks.
            await asyncio.sleep(0)
        if reply.call:
            identity = f"call-{len(request.messages)}"
            arguments = json.dumps(dict(reply.call.arguments))
            yield ToolCall(identity, reply.call.name, arguments)
        yield Finished(FinishReason.TOOL_CALLS if reply.call else FinishReason.STOP)

    def _answer(self, request: GenerationRequest) -> Reply:
        if self._matcher is None:
            raise RuntimeError("generate before start")
        search = self._matcher.of(request.knowledge)
        today = today_of(request.messages)
        setting = Setting(request.knowledge, request.tools, search, today)
        return answer(setting, request.messages)

    async def stop(self) -> None:
        """End the thread."""
        self._workers.stop()


def _known(folder: Path | None) -> list[Knowledge]:
    """Return the knowledge of the bots in a folder, as requests will carry it."""
    try:
        bots = list(Bots.load(folder)) if folder else []
    except Misconfigured:
        return []  # whoever needs a bot says what is wrong with it
    anyone = language_pb2.Message(role=language_pb2.ROLE_CALLER)
    return [
        generation_request(
            language_pb2.GenerateRequest(messages=[anyone], knowledge=bot.knowledge_proto())
        ).knowledge
        for bot in bots
    ]
