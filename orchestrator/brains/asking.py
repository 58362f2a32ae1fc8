"""What somebody's brain is asked, whatever carries the question."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from voicemesh.api.language.v1 import language_pb2

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.prompt import Prompt
    from voicemesh.bots import Bot

CALLER, BOT, TOOL = "caller", "bot", "tool"


@dataclass(frozen=True, slots=True)
class Line:
    """Something said or done: ``speaker`` is caller, bot or tool."""

    speaker: str
    text: str
    tool: str = ""
    arguments_json: str = ""


def lines(prompt: Prompt) -> Iterator[Line]:
    """Give the conversation as it was heard, without instructions."""
    called: dict[str, language_pb2.ToolCall] = {}
    for message in prompt.messages:
        called |= {call.id: call for call in message.tool_calls}
        match message.role:
            case language_pb2.ROLE_CALLER:
                yield Line(CALLER, message.text)
            case language_pb2.ROLE_BOT if message.text:
                yield Line(BOT, message.text)
            case language_pb2.ROLE_TOOL:
                call = called.get(message.tool_call_id, language_pb2.ToolCall())
                yield Line(TOOL, message.text, call.name, call.arguments_json)


def question(prompt: Prompt, bot: Bot) -> dict[str, Any]:
    """Return what is asked, as JSON has it."""
    transcript = [_line(line) for line in lines(prompt)]
    return {
        "key": prompt.key,
        "call_id": prompt.call_id,
        "bot": bot.name,
        "state": bot.flow.start if bot.flow else "",
        "caller": prompt.caller,
        "callee": prompt.callee,
        "residency": prompt.residency,
        "turn": prompt.turn,
        "said": said(transcript),
        "transcript": transcript,
        "variables": prompt.variables,
    }


def said(transcript: list[dict[str, Any]]) -> str:
    """Return what the caller said just now; empty if something else led to the question."""
    last = transcript[-1] if transcript else None
    return str(last["text"]) if last and last["speaker"] == CALLER else ""


def _line(line: Line) -> dict[str, Any]:
    shown: dict[str, Any] = {"speaker": line.speaker, "text": line.text}
    if line.speaker == TOOL:
        shown |= {"tool": line.tool, "arguments": json.loads(line.arguments_json or "{}")}
    return shown
