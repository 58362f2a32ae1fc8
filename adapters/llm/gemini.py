"""Google's Gemini: ``models/{model}:streamGenerateContent``, as server-sent events.

Messages: https://ai.google.dev/api/generate-content
"""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import quote

from pydantic_settings import SettingsConfigDict

from adapters.language import Finished, FinishReason, Role, TextPiece
from adapters.llm.prompt import instructions
from adapters.providers import faults
from adapters.providers.answering import AnsweringEndpoint, AnsweringEngine
from adapters.providers.faults import broken
from adapters.providers.messages import text
from adapters.providers.toolcalls import MAX_CALLS, Begun

if TYPE_CHECKING:
    from collections.abc import Iterator

    from adapters.language import GenerationRequest, Message, Piece

_SAFE = "SAFETY", "PROHIBITED_CONTENT", "BLOCKLIST", "RECITATION", "SPII"
"""Reasons of the provider's for not going on."""


class GeminiSettings(AnsweringEndpoint):
    """Prefix ``VOICEMESH_GEMINI_``."""

    model_config = SettingsConfigDict(env_prefix="VOICEMESH_GEMINI_")
    provider: ClassVar[str] = "gemini"

    url: str = "https://generativelanguage.googleapis.com/v1beta"
    secret: str = "env:GEMINI_API_KEY"  # noqa: S105 - where it is, not what it is
    model: str = "gemini-2.5-flash"
    thinking_tokens: int | None = None
    """Tokens that the model may think before it speaks; 0 none, unset the model's own choice."""


class GeminiDialect:
    """How replies are asked for."""

    def __init__(self, settings: GeminiSettings) -> None:
        self._thinking = settings.thinking_tokens

    def headers(self, key: str) -> dict[str, str]:
        """Return the headers that let us in."""
        return {"x-goog-api-key": key} if key else {}

    def ask(self, request: GenerationRequest, model: str) -> tuple[str, dict[str, Any]]:
        """Return path and JSON of the request."""
        config: dict[str, Any] = {"maxOutputTokens": request.max_tokens}
        if request.temperature is not None:
            config["temperature"] = request.temperature
        if self._thinking is not None:
            config["thinkingConfig"] = {"thinkingBudget": self._thinking}
        body: dict[str, Any] = {"contents": contents(request), "generationConfig": config}
        if told := instructions(request):
            body["systemInstruction"] = {"parts": [{"text": told}]}
        if request.tools:
            declared = [
                {
                    "name": tool.name,
                    "description": tool.description,
                    "parametersJsonSchema": json.loads(tool.parameters_json or "{}"),
                }
                for tool in request.tools
            ]
            body["tools"] = [{"functionDeclarations": declared}]
        return f"models/{quote(model, safe='')}:streamGenerateContent?alt=sse", body

    def assembly(self, request: GenerationRequest) -> GeminiAssembly:
        """Return what takes the reply."""
        return GeminiAssembly()


def contents(request: GenerationRequest) -> list[dict[str, Any]]:
    """Return the conversation: results right behind their calls."""
    turns: list[dict[str, Any]] = []
    results = {m.tool_call_id: m.text for m in request.messages if m.role is Role.TOOL}
    for message in request.messages:
        if message.role is Role.CALLER and message.text.strip():
            _add(turns, "user", [{"text": message.text}])
        elif message.role is Role.BOT:
            _add(turns, "model", _parts(message))
            _add(
                turns,
                "user",
                [_result(c.name, results.get(c.id, "{}")) for c in message.tool_calls],
            )
    return turns


def _add(turns: list[dict[str, Any]], role: str, parts: list[dict[str, Any]]) -> None:
    if not parts:
        return
    if turns and turns[-1]["role"] == role:
        turns[-1]["parts"] += parts
    else:
        turns.append({"role": role, "parts": parts})


def _parts(message: Message) -> list[dict[str, Any]]:
    words = [{"text": message.text}] if message.text.strip() else []
    return words + [
        {"functionCall": {"name": c.name, "args": json.loads(c.arguments_json)}}
        for c in message.tool_calls
    ]


def _result(name: str, result: str) -> dict[str, Any]:
    try:
        value = json.loads(result)
    except ValueError:
        value = result
    response = value if isinstance(value, dict) else {"result": value}
    return {"functionResponse": {"name": name, "response": response}}


class GeminiAssembly:
    """Puts one reply together from its parts."""

    def __init__(self) -> None:
        self.done = False
        """Never: the provider ends the stream, some time after it gave the reason."""
        self._reason = ""
        self._called = 0

    def take(self, event: dict[str, Any] | None) -> Iterator[Piece]:
        """Return what an event adds."""
        if event is None:
            return
        try:
            blocked = (event.get("promptFeedback") or {}).get("blockReason")
            candidate: dict[str, Any] = next(iter(event.get("candidates") or []), {})
            self._reason = candidate.get("finishReason") or self._reason
            parts = (candidate.get("content") or {}).get("parts") or []
            pieces = [piece for part in parts for piece in self._piece(part)]
        except (AttributeError, TypeError) as error:
            raise broken("an event of another form") from error
        if blocked or self._reason in _SAFE:
            raise faults.refusal(400, f"it will not answer: {blocked or self._reason}")
        yield from pieces

    def _piece(self, part: dict[str, Any]) -> Iterator[Piece]:
        if part.get("thought"):
            return
        if words := part.get("text"):
            yield TextPiece(text(words, "text"))
        if (asked := part.get("functionCall")) is not None:
            self._called += 1
            if self._called > MAX_CALLS:
                raise broken("more tool calls than can be meant")
            # Only some of the provider's models give their calls an identity.
            identity = asked.get("id") or f"call-{uuid.uuid4().hex[:12]}"
            arguments = json.dumps(asked.get("args") or {})
            call = Begun(text(identity, "id"), text(asked.get("name"), "name"), arguments)
            yield call.whole()

    def finish(self) -> Iterator[Piece]:
        """Return what is due at the end; raise Unavailable if the reply broke off."""
        if not self._reason:
            raise broken("a reply that broke off")
        if self._called:
            yield Finished(FinishReason.TOOL_CALLS)
        else:
            cut = self._reason == "MAX_TOKENS"
            yield Finished(FinishReason.LENGTH if cut else FinishReason.STOP)


def engine(settings: GeminiSettings) -> AnsweringEngine:
    """Return the engine."""
    return AnsweringEngine(settings, GeminiDialect(settings))


SETTINGS = GeminiSettings
