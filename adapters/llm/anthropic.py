"""Anthropic's Messages: ``POST /v1/messages``, streamed.

Events: https://docs.anthropic.com/en/docs/build-with-claude/streaming
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic_settings import SettingsConfigDict

from adapters.language import Finished, FinishReason, Role, TextPiece
from adapters.llm.prompt import instructions
from adapters.providers.answering import AnsweringEndpoint, AnsweringEngine
from adapters.providers.faults import broken
from adapters.providers.messages import text
from adapters.providers.toolcalls import MAX_CALLS, Begun

if TYPE_CHECKING:
    from collections.abc import Iterator

    from adapters.language import GenerationRequest, Message, Piece

API = "2023-06-01"
"""Date of the interface that these messages follow."""
NO_WORDS = "(The caller says nothing.)"
"""Stands before the words of a bot that speaks first: the provider wants the caller's first."""
_REASONS = {
    "max_tokens": FinishReason.LENGTH,
    "model_context_window_exceeded": FinishReason.LENGTH,
    "tool_use": FinishReason.TOOL_CALLS,
}


class AnthropicSettings(AnsweringEndpoint):
    """Prefix ``VOICEMESH_ANTHROPIC_``."""

    model_config = SettingsConfigDict(env_prefix="VOICEMESH_ANTHROPIC_")
    provider: ClassVar[str] = "anthropic"

    url: str = "https://api.anthropic.com"
    secret: str = "env:ANTHROPIC_API_KEY"  # noqa: S105 - where it is, not what it is
    model: str = "claude-haiku-4-5"


class AnthropicDialect:
    """How replies are asked for."""

    def headers(self, key: str) -> dict[str, str]:
        """Return the headers that let us in."""
        return {"anthropic-version": API, **({"x-api-key": key} if key else {})}

    def ask(self, request: GenerationRequest, model: str) -> tuple[str, dict[str, Any]]:
        """Return path and JSON of the request."""
        body: dict[str, Any] = {
            "model": model,
            "messages": conversation(request),
            "max_tokens": request.max_tokens,
            "stream": True,
        }
        if told := instructions(request):
            body["system"] = told
        if request.temperature is not None:
            body["temperature"] = min(1.0, request.temperature)
        if request.tools:
            body["tools"] = [
                {
                    "name": tool.name,
                    "description": tool.description,
                    "input_schema": {"type": "object", **json.loads(tool.parameters_json or "{}")},
                }
                for tool in request.tools
            ]
        return "v1/messages", body

    def assembly(self, request: GenerationRequest) -> AnthropicAssembly:
        """Return what takes the reply."""
        return AnthropicAssembly()


def conversation(request: GenerationRequest) -> list[dict[str, Any]]:
    """Return the messages: caller and bot in turn, results right behind their calls."""
    turns: list[dict[str, Any]] = []
    results = {m.tool_call_id: m.text for m in request.messages if m.role is Role.TOOL}
    for message in request.messages:
        if message.role is Role.CALLER and message.text.strip():
            _add(turns, "user", [{"type": "text", "text": message.text}])
        elif message.role is Role.BOT:
            _add(turns, "assistant", _blocks(message))
            # The provider refuses a call without a result; built-in tools have none.
            _add(
                turns, "user", [_result(c.id, results.get(c.id, "{}")) for c in message.tool_calls]
            )
    if not turns or turns[0]["role"] != "user":
        turns.insert(0, {"role": "user", "content": [{"type": "text", "text": NO_WORDS}]})
    return turns


def _add(turns: list[dict[str, Any]], role: str, blocks: list[dict[str, Any]]) -> None:
    if not blocks:
        return
    if turns and turns[-1]["role"] == role:
        turns[-1]["content"] += blocks
    else:
        turns.append({"role": role, "content": blocks})


def _blocks(message: Message) -> list[dict[str, Any]]:
    words = [{"type": "text", "text": message.text}] if message.text.strip() else []
    return words + [
        {"type": "tool_use", "id": c.id, "name": c.name, "input": json.loads(c.arguments_json)}
        for c in message.tool_calls
    ]


def _result(call: str, result: str) -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": call, "content": result}


class AnthropicAssembly:
    """Puts one reply together from its events."""

    def __init__(self) -> None:
        self.done = False
        """Whether the reply is complete."""
        self._reason = ""
        self._calls: dict[int, Begun] = {}
        self._called = 0

    def take(self, event: dict[str, Any] | None) -> Iterator[Piece]:
        """Return what an event adds; others than these tell nothing that is needed."""
        match (event or {}).get("type"):
            case "content_block_start" | "content_block_delta" | "content_block_stop":
                yield from self._block(event or {})
            case "message_delta":
                self._reason = _part(event, "delta").get("stop_reason") or self._reason
            case "message_stop":
                self.done = True

    def _block(self, event: dict[str, Any]) -> Iterator[Piece]:
        index = event.get("index")
        if not isinstance(index, int):
            raise broken("a block without its number")
        match event["type"]:
            case "content_block_start":
                self._start(index, _part(event, "content_block"))
            case "content_block_delta":
                yield from self._delta(index, _part(event, "delta"))
            case _:
                if (call := self._calls.pop(index, None)) is not None:
                    yield call.whole()

    def _start(self, index: int, block: dict[str, Any]) -> None:
        if block.get("type") == "tool_use":
            self._called += 1
            if self._called > MAX_CALLS:
                raise broken("more tool calls than can be meant")
            self._calls[index] = Begun(text(block.get("id"), "id"), text(block.get("name"), "name"))

    def _delta(self, index: int, delta: dict[str, Any]) -> Iterator[Piece]:
        match delta.get("type"):
            case "text_delta":
                if words := text(delta.get("text"), "text"):
                    yield TextPiece(words)
            case "input_json_delta" if index in self._calls:
                self._calls[index].add(text(delta.get("partial_json"), "partial_json"))

    def finish(self) -> Iterator[Piece]:
        """Return what is due at the end; raise Unavailable if the reply broke off."""
        if not self.done or self._calls:
            raise broken("a reply that broke off")
        reason = FinishReason.TOOL_CALLS if self._called else _REASONS.get(self._reason)
        yield Finished(reason or FinishReason.STOP)


def _part(event: dict[str, Any] | None, name: str) -> dict[str, Any]:
    part = (event or {}).get(name)
    if not isinstance(part, dict):
        raise broken(f"a {name} of another form")
    return part


def engine(settings: AnthropicSettings) -> AnsweringEngine:
    """Return the engine."""
    return AnsweringEngine(settings, AnthropicDialect())


SETTINGS = AnthropicSettings
