"""A request in the words of chat models: instructions, what the bot knows, who said what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from adapters.language import Role
from voicemesh.bots import HANG_UP, TRANSFER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from adapters.language import GenerationRequest, Intent, Knowledge, Message, ToolCall


def instructions(request: GenerationRequest) -> str:
    """Return everything that the model is told before the conversation."""
    parts = [message.text for message in request.messages if message.role is Role.SYSTEM]
    return "\n\n".join(part for part in [*parts, known(request.knowledge)] if part)


def known(knowledge: Knowledge) -> str:
    """Return what the bot knows, as text."""
    lines: list[str] = []
    if knowledge.facts:
        lines += ["What you know:", *(f"- {f.questions[0]} {f.answer}" for f in knowledge.facts)]
    if knowledge.intents:
        lines += ["What callers may want:", *(f"- {_wish(i)}" for i in knowledge.intents)]
    if knowledge.unknown_reply:
        lines.append(f'If you do not know something, say: "{knowledge.unknown_reply}"')
    return "\n".join(lines)


def _wish(intent: Intent) -> str:
    line = f'"{intent.examples[0]}"'
    needed = [slot.name for slot in intent.slots if len(slot.choices) != 1]
    if needed:
        line += f" Ask for {', '.join(needed)}, one at a time."
    if intent.tool:
        line += f" Call the tool {intent.tool}{_with(intent)}."
    if intent.tool in (HANG_UP, TRANSFER) and intent.reply:
        line += f' Before that say: "{intent.reply}"'
    return line


def _with(intent: Intent) -> str:
    fixed = [f"{slot.name} {slot.choices[0]}" for slot in intent.slots if len(slot.choices) == 1]
    return f" with {', '.join(fixed)}" if fixed else ""


def chat(request: GenerationRequest) -> list[dict[str, Any]]:
    """Return the conversation in the form of OpenAI's chat completions."""
    messages: list[dict[str, Any]] = []
    if told := instructions(request):
        messages.append({"role": "system", "content": told})
    answered = {message.tool_call_id for message in request.messages}
    for message in request.messages:
        messages += _turn(message, answered)
    return messages


def _turn(message: Message, answered: set[str]) -> Iterator[dict[str, Any]]:
    if message.role is Role.CALLER:
        yield {"role": "user", "content": message.text}
    elif message.role is Role.TOOL:
        yield {"role": "tool", "tool_call_id": message.tool_call_id, "content": message.text}
    elif message.role is Role.BOT:
        turn: dict[str, Any] = {"role": "assistant", "content": message.text}
        if message.tool_calls:
            turn["tool_calls"] = [_call(call) for call in message.tool_calls]
        yield turn
        # Servers refuse a call without a result; built-in tools have none.
        for call in message.tool_calls:
            if call.id not in answered:
                yield {"role": "tool", "tool_call_id": call.id, "content": "{}"}


def _call(call: ToolCall) -> dict[str, Any]:
    function = {"name": call.name, "arguments": call.arguments_json}
    return {"id": call.id, "type": "function", "function": function}
