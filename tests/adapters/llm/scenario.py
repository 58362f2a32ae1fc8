"""Conversations as text files: read, held with an engine, compared, rewritten.

A scenario is lines of ``caller`` and ``tool``, each followed by what the engine answers, indented:
``bot`` for words, ``call`` for a tool. ``today`` and ``desk`` choose a day and a bot; ``#`` begins
a comment. ``VOICEMESH_REWRITE=1 pytest`` writes what the engine says now; read the difference
before you keep it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from adapters.convert import generation_request
from adapters.language import GenerationRequest, Message, Role, TextPiece, ToolCall
from voicemesh.api.language.v1 import language_pb2
from voicemesh.bots import Bots

if TYPE_CHECKING:
    from adapters.language import LanguageEngine
    from voicemesh.bots import Bot

GIVEN = ("today", "desk", "caller", "tool", "#", "")
"""Lines that are given; the others are what the engine answers."""


@dataclass(frozen=True)
class Played:
    """A scenario as it went."""

    text: str
    """Its lines, with what the engine answered."""
    requests: tuple[GenerationRequest, ...]
    """What the engine was asked, in order."""


def base_request(bot: Bot) -> GenerationRequest:
    """Return a request of this bot without a conversation."""
    return generation_request(
        language_pb2.GenerateRequest(
            messages=[language_pb2.Message(role=language_pb2.ROLE_CALLER)],
            knowledge=bot.knowledge_proto(),
            tools=bot.tool_declarations(),
        )
    )


async def play(engine: LanguageEngine, text: str, known: Bots) -> Played:
    """Hold the scenario's conversation with the engine."""
    today, base = "Tuesday, 2026-11-24", base_request(known.get("frontdesk"))
    history: list[Message] = []
    lines: list[str] = []
    requests: list[GenerationRequest] = []
    for line in text.splitlines():
        kind, _, rest = line.partition(" ")
        kind = "#" if kind.startswith("#") else kind
        if line.startswith(" ") or kind not in GIVEN:
            continue
        lines.append(line)
        if kind == "today":
            today = rest
        elif kind == "desk":
            base = base_request(known.get(rest))
        elif kind in ("caller", "tool"):
            history.append(_given(kind, rest, history))
            system = Message(Role.SYSTEM, f"You are kind.\nToday is {today}.")
            request = GenerationRequest((system, *history), "", base.tools, base.knowledge)
            requests.append(request)
            history.append(await _answer(engine, request))
            lines += _answered(history[-1])
    return Played("\n".join(lines) + "\n", tuple(requests))


def _given(kind: str, text: str, history: list[Message]) -> Message:
    if kind == "caller":
        return Message(Role.CALLER, text)
    return Message(Role.TOOL, text, tool_call_id=history[-1].tool_calls[-1].id)


async def _answer(engine: LanguageEngine, request: GenerationRequest) -> Message:
    text = ""
    calls: list[ToolCall] = []
    async for piece in engine.generate(request):
        if isinstance(piece, TextPiece):
            text += piece.text
        elif isinstance(piece, ToolCall):
            calls.append(piece)
    return Message(Role.BOT, text, tuple(calls))


def _answered(message: Message) -> list[str]:
    lines = [f"  bot {message.text}"] if message.text else []
    for call in message.tool_calls:
        arguments = json.dumps(json.loads(call.arguments_json), sort_keys=True)
        lines.append(f"  call {call.name} {arguments}")
    return lines
