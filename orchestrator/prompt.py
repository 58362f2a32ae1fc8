"""What a brain is asked: the conversation as it was really heard."""

from __future__ import annotations

import datetime
import json
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from orchestrator.built_in import flow_state
from orchestrator.variables import variables
from voicemesh.api.journal.v1 import journal_pb2
from voicemesh.api.language.v1 import language_pb2
from voicemesh.journal import Memory, ReplyState, Sentence, ToolUse, Turn
from voicemesh.memory import newest
from voicemesh.redaction import Redactor

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from voicemesh.bots import Bot, Redaction


@dataclass(frozen=True, slots=True)
class Prompt:
    """The messages of a conversation, oldest first, instructions before them."""

    call_id: str
    turn: int
    messages: tuple[language_pb2.Message, ...]
    state: str = ""
    """State of the bot's flow; empty: its first."""
    key: str = ""
    """Idempotency key: the same for the same question, whoever asks it."""
    variables: Mapping[str, Any] = field(default_factory=dict)
    caller: str = ""
    callee: str = ""
    residency: str = ""


MAX_MESSAGES = 200
"""Older ones are left out; the instructions stay."""


def compose(bot: Bot, memory: Memory, call_id: str) -> Prompt:
    """Return what the brain is asked now."""
    messages = [message for turn in newest(memory.turns) for message in _turn(turn)]
    if bot.redaction.before_model:
        _redact(messages, _redactor(bot.redaction))
    joined = _newest(_join_callers(messages))
    known = variables(memory)
    system = language_pb2.Message(
        role=language_pb2.ROLE_SYSTEM, text=_instructions(bot, memory.started_seconds, known)
    )
    turn = memory.turn or Turn(0)
    started = memory.started or journal_pb2.CallStarted()
    return Prompt(
        call_id,
        turn.number,
        (system, *joined),
        state=flow_state(memory),
        # A question that broke off has the same tools behind it when it is asked again.
        key=f"{call_id}-{turn.number}-{len(turn.tools)}",
        variables=known,
        caller=started.caller,
        callee=started.callee,
        residency=started.residency,
    )


@lru_cache
def _redactor(wanted: Redaction) -> Redactor:
    return Redactor(wanted.before_model, wanted.countries)


def _redact(messages: list[language_pb2.Message], redactor: Redactor) -> None:
    for message in messages:
        told = message.role == language_pb2.ROLE_TOOL
        message.text = redactor.redact_json(message.text) if told else redactor.redact(message.text)
        for call in message.tool_calls:
            call.arguments_json = redactor.redact_json(call.arguments_json)


def _instructions(bot: Bot, started_seconds: int, known: Mapping[str, Any]) -> str:
    # The date comes from the journal, so that a replica that resumes asks the same question.
    today = datetime.datetime.fromtimestamp(started_seconds, tz=datetime.UTC).date()
    parts = [bot.persona, bot.state.prompt, f"Today is {today:%A}, {today.isoformat()}."]
    if known:
        parts.append(f"Known of this call: {json.dumps(known, ensure_ascii=False)}.")
    return "\n".join(filter(None, parts)).strip()


def _turn(turn: Turn) -> Iterator[language_pb2.Message]:
    if turn.caller_text:
        yield language_pb2.Message(role=language_pb2.ROLE_CALLER, text=turn.caller_text)
    if turn.reply is ReplyState.INTERRUPTED:
        yield from _tools_only(turn)
        if turn.heard_text:
            yield language_pb2.Message(role=language_pb2.ROLE_BOT, text=turn.heard_text)
        return
    said: list[str] = []
    for part in turn.parts:
        if isinstance(part, Sentence):
            said.append(part.text)
        elif part.answered:
            yield from _tool(part, " ".join(said))
            said = []
    # Of a reply that broke off the brain is asked again; it repeats what it had said of it.
    if said and turn.reply is not ReplyState.OPEN:
        yield language_pb2.Message(role=language_pb2.ROLE_BOT, text=" ".join(said))


def _tools_only(turn: Turn) -> Iterator[language_pb2.Message]:
    for tool in turn.tools:
        if tool.answered:
            yield from _tool(tool, "")


def _tool(tool: ToolUse, said: str) -> Iterator[language_pb2.Message]:
    call = language_pb2.ToolCall(id=tool.key, name=tool.name, arguments_json=tool.arguments_json)
    yield language_pb2.Message(role=language_pb2.ROLE_BOT, text=said, tool_calls=[call])
    yield language_pb2.Message(
        role=language_pb2.ROLE_TOOL,
        tool_call_id=tool.key,
        text=tool.result_json if not tool.error else json.dumps({"error": tool.error}),
    )


def _newest(messages: list[language_pb2.Message]) -> list[language_pb2.Message]:
    """Return the newest messages; a tool's result never stands without its call."""
    newest = messages[-MAX_MESSAGES:]
    while newest and newest[0].role == language_pb2.ROLE_TOOL:
        newest.pop(0)
    return newest


def _join_callers(messages: list[language_pb2.Message]) -> list[language_pb2.Message]:
    """Join what the caller said in one breath: turns that the bot never got to answer."""
    joined: list[language_pb2.Message] = []
    for message in messages:
        last = joined[-1] if joined else None
        if last and message.role == last.role == language_pb2.ROLE_CALLER:
            last.text = f"{last.text} {message.text}"
        else:
            joined.append(message)
    return joined
