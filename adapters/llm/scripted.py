"""A language engine for tests and benchmarks: same words, same times, every time.

It answers "You said: <words>. That was turn <n>.", one token a word. What the caller says can ask
for more, case and punctuation aside:

======================  ====================================================================
the caller says         it answers
======================  ====================================================================
call tool NAME          a call of NAME with ``{"text": <words>}``; then, when the result is
                        there, "The tool said: <result>."
goodbye                 "Goodbye." and a call of ``hang_up``
transfer                "I will transfer you." and a call of ``transfer`` with the first target
                        that the tool declares
long story              twelve numbered sentences
say nothing             nothing at all
======================  ====================================================================
"""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from adapters.language import Finished, FinishReason, Role, TextPiece, ToolCall
from voicemesh.bots import HANG_UP, TRANSFER

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from adapters.language import GenerationRequest, Piece, Tool

_CALL = re.compile(r"call tool (\w+)", re.IGNORECASE)
_STORY = 12
"""Sentences of the long story."""


@dataclass(frozen=True, slots=True)
class Line:
    """What the script says."""

    text: str
    tool: str = ""
    arguments: dict[str, Any] = field(default_factory=dict)


_COMMANDS = {
    "say nothing": Line(""),
    "goodbye": Line("Goodbye.", HANG_UP),
    "transfer": Line("I will transfer you.", TRANSFER),
    "long story": Line(" ".join(f"This is sentence {n}." for n in range(1, _STORY + 1))),
}


class ScriptedEngine:
    """Answers by the script, after a fixed time and at a fixed rate."""

    def __init__(self, first_token_seconds: float = 0.0, token_rate: float = 0.0) -> None:
        self._first = first_token_seconds
        self._rate = token_rate
        """Tokens per second after the first; 0 gives sentence by sentence at once."""

    async def start(self) -> None:
        """Nothing is needed."""

    async def generate(self, request: GenerationRequest) -> AsyncIterator[Piece]:
        """Give the line word by word, or sentence by sentence if no rate is set."""
        line = scripted_line(request)
        if self._first:
            await asyncio.sleep(self._first)
        due = asyncio.get_running_loop().time()
        pattern = r"\s*\S+" if self._rate else r"\s*[^.]+\.*"
        for count, piece in enumerate(re.findall(pattern, line.text)):
            if self._rate and count:
                due += 1 / self._rate
                await asyncio.sleep(max(0.0, due - asyncio.get_running_loop().time()))
            yield TextPiece(piece)
        if line.tool:
            identity = f"call-{len(request.messages)}"
            yield ToolCall(identity, line.tool, json.dumps(line.arguments))
        yield Finished(FinishReason.TOOL_CALLS if line.tool else FinishReason.STOP)

    async def stop(self) -> None:
        """Nothing is held."""


def scripted_line(request: GenerationRequest) -> Line:
    """Return what the script answers to the last message."""
    last = request.messages[-1]
    if last.role is Role.TOOL:
        return Line(f"The tool said: {last.text.rstrip('.')}.")
    heard = [message.text for message in request.messages if message.role is Role.CALLER]
    said = heard[-1].strip().rstrip(".?!") if heard else ""
    if match := _CALL.search(said):
        return Line("", match[1], {"text": said})
    for command, line in _COMMANDS.items():
        if command in said.lower():
            if line.tool == TRANSFER:
                return replace(line, arguments={"target": _target(request.tools)})
            return line
    return Line(f"You said: {said}. That was turn {len(heard)}.")


def _target(tools: tuple[Tool, ...]) -> str:
    declared = next((tool.parameters_json for tool in tools if tool.name == TRANSFER), "{}")
    target = json.loads(declared).get("properties", {}).get("target", {})
    targets = target.get("enum") or [""]
    return str(targets[0])
