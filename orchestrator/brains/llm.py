"""The brain that is a language engine, with the bot's file as its knowledge."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.events import Served, TextArrived, ThoughtFinished, ToolRequested
from orchestrator.hops import metadata, served
from voicemesh.api.language.v1 import language_pb2, language_pb2_grpc

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from orchestrator.brains import Surroundings
    from orchestrator.prompt import Prompt
    from voicemesh.bots import Bot, LanguageChoice


class LanguageBrain:
    """Asks the language adapter."""

    def __init__(self, surroundings: Surroundings) -> None:
        self._mcp = surroundings.mcp
        self._stub: language_pb2_grpc.GenerationServiceStub = (
            language_pb2_grpc.GenerationServiceStub(surroundings.channel)
        )

    async def think(
        self, thought: int, prompt: Prompt, bot: Bot, choice: LanguageChoice
    ) -> AsyncGenerator[TextArrived | ToolRequested | ThoughtFinished | Served, None]:
        """Give the answer piece by piece."""
        request = language_pb2.GenerateRequest(
            engine=choice.name,
            model=choice.model,
            messages=prompt.messages,
            tools=[*bot.tool_declarations(), *self._mcp.declarations(bot)],
            knowledge=bot.knowledge_proto(),
            call_id=prompt.call_id,
        )
        call = self._stub.Generate(request, metadata=metadata(prompt.call_id, prompt.residency))
        known = False
        try:
            async for response in call:
                if not known:
                    known = True
                    yield await served(call, "llm")
                piece = _piece(thought, response)
                if piece:
                    yield piece
        finally:
            call.cancel()

    async def close(self) -> None:
        """Hold nothing: the channel is everybody's."""


def _piece(
    thought: int, response: language_pb2.GenerateResponse
) -> TextArrived | ToolRequested | ThoughtFinished | None:
    took = response.engine_duration.ToTimedelta().total_seconds()
    match response.WhichOneof("message"):
        case "text":
            return TextArrived(thought, response.text, took)
        case "tool_call":
            call = response.tool_call
            return ToolRequested(thought, call.name, call.arguments_json, took)
        case "finished":
            return ThoughtFinished(thought)
        case _:
            return None
