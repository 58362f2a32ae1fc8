"""OpenAI's Responses, and servers that speak it: ``POST /responses``, streamed.

Events: https://platform.openai.com/docs/api-reference/responses-streaming
Nothing is stored at the provider: the conversation is sent whole each turn.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic_settings import SettingsConfigDict

from adapters.language import Finished, FinishReason, Role, TextPiece
from adapters.llm.prompt import instructions
from adapters.providers import faults
from adapters.providers.answering import AnsweringEndpoint, AnsweringEngine
from adapters.providers.faults import broken
from adapters.providers.http import bearer
from adapters.providers.messages import text
from adapters.providers.toolcalls import MAX_CALLS, Begun

if TYPE_CHECKING:
    from collections.abc import Iterator

    from adapters.language import GenerationRequest, Message, Piece


class ResponsesSettings(AnsweringEndpoint):
    """Prefix ``VOICEMESH_OPENAI_RESPONSES_``."""

    model_config = SettingsConfigDict(env_prefix="VOICEMESH_OPENAI_RESPONSES_")
    provider: ClassVar[str] = "openai_responses"

    url: str = "https://api.openai.com/v1"
    secret: str = "env:OPENAI_API_KEY"  # noqa: S105 - where it is, not what it is
    model: str = "gpt-5-mini"
    effort: str = ""
    """How much a reasoning model may think first (``minimal``, ``low``); empty: its default."""


class ResponsesDialect:
    """How replies are asked for."""

    def __init__(self, settings: ResponsesSettings) -> None:
        self._effort = settings.effort

    def headers(self, key: str) -> dict[str, str]:
        """Return the headers that let us in."""
        return bearer(key)

    def ask(self, request: GenerationRequest, model: str) -> tuple[str, dict[str, Any]]:
        """Return path and JSON of the request."""
        body: dict[str, Any] = {
            "model": model,
            "input": _input(request),
            "max_output_tokens": max(16, request.max_tokens),
            "stream": True,
            "store": False,
        }
        if told := instructions(request):
            body["instructions"] = told
        if request.temperature is not None:
            body["temperature"] = request.temperature
        if self._effort:
            body["reasoning"] = {"effort": self._effort}
        if request.tools:
            body["tools"] = [
                {
                    "type": "function",
                    "name": tool.name,
                    "description": tool.description,
                    "parameters": json.loads(tool.parameters_json or "{}"),
                    "strict": False,
                }
                for tool in request.tools
            ]
        return "responses", body

    def assembly(self, request: GenerationRequest) -> ResponsesAssembly:
        """Return what takes the reply."""
        return ResponsesAssembly()


def _input(request: GenerationRequest) -> list[dict[str, Any]]:
    answered = {message.tool_call_id for message in request.messages}
    return [item for message in request.messages for item in _items(message, answered)]


def _items(message: Message, answered: set[str]) -> Iterator[dict[str, Any]]:
    match message.role:
        case Role.CALLER:
            yield {"role": "user", "content": message.text}
        case Role.TOOL:
            yield _output(message.tool_call_id, message.text)
        case Role.BOT:
            if message.text:
                yield {"role": "assistant", "content": message.text}
            for call in message.tool_calls:
                yield {
                    "type": "function_call",
                    "call_id": call.id,
                    "name": call.name,
                    "arguments": call.arguments_json,
                }
                # The provider refuses a call without a result; built-in tools have none.
                if call.id not in answered:
                    yield _output(call.id, "{}")
        case Role.SYSTEM:
            return  # is in the instructions


def _output(call: str, result: str) -> dict[str, Any]:
    return {"type": "function_call_output", "call_id": call, "output": result}


class ResponsesAssembly:
    """Puts one reply together from its events."""

    def __init__(self) -> None:
        self.done = False
        """Whether the reply is complete."""
        self._calls = 0
        self._cut = False

    def take(self, event: dict[str, Any] | None) -> Iterator[Piece]:
        """Return what an event adds; others than these tell nothing that is needed."""
        match event and event.get("type"):
            case "response.output_text.delta" | "response.refusal.delta":
                if words := text((event or {}).get("delta"), "delta"):
                    yield TextPiece(words)
            case "response.output_item.done":
                yield from self._item((event or {}).get("item"))
            case "response.completed" | "response.incomplete":
                self.done = True
                self._cut = event is not None and event["type"] == "response.incomplete"
            case "response.failed" | "error":
                raise _failure(event or {})

    def _item(self, item: object) -> Iterator[Piece]:
        if not isinstance(item, dict):
            raise broken("an item of another form")
        if item.get("type") != "function_call":
            return
        self._calls += 1
        if self._calls > MAX_CALLS:
            raise broken("more tool calls than can be meant")
        call = Begun(text(item.get("call_id"), "call_id"), text(item.get("name"), "name"))
        call.add(text(item.get("arguments"), "arguments"))
        yield call.whole()

    def finish(self) -> Iterator[Piece]:
        """Return what is due at the end; raise Unavailable if the reply broke off."""
        if not self.done:
            raise broken("a reply that broke off")
        if self._calls:
            yield Finished(FinishReason.TOOL_CALLS)
        else:
            yield Finished(FinishReason.LENGTH if self._cut else FinishReason.STOP)


def _failure(event: dict[str, Any]) -> Exception:
    response = event.get("response")
    told = response.get("error") if isinstance(response, dict) else event
    told = told if isinstance(told, dict) else {"message": told}
    return faults.complaint(str(told.get("message", "")), code=told.get("code") or "")


def engine(settings: ResponsesSettings) -> AnsweringEngine:
    """Return the engine."""
    return AnsweringEngine(settings, ResponsesDialect(settings))


SETTINGS = ResponsesSettings
