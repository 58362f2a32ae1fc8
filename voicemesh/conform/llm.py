"""What ``GenerationService`` promises."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import grpc

from voicemesh.api.language.v1 import language_pb2 as pb, language_pb2_grpc
from voicemesh.conform.check import Check
from voicemesh.conform.talk import Subject, Talk, demand, fail, kind, refused

if TYPE_CHECKING:
    from collections.abc import Callable

AT_ONCE = 8
CANCELLED = 20
TOOL = pb.Tool(
    name="look_up",
    description="Looks something up.",
    parameters_json='{"type": "object", "properties": {"what": {"type": "string"}}}',
)

KNOWLEDGE = pb.Knowledge(
    intents=[
        pb.Intent(
            name="hours",
            examples=["When do you open tomorrow?", "What are your hours?"],
            tool="look_up",
            reply="We open at {opens}.",
        )
    ],
    unknown_reply="I do not know that.",
)
"""For engines that answer from what the bot knows: it uses the tool."""


def _request(subject: Subject, **other: Any) -> pb.GenerateRequest:  # noqa: ANN401
    asked: dict[str, Any] = {
        "engine": subject.engine,
        "messages": [
            pb.Message(role=pb.ROLE_SYSTEM, text="You are a receptionist. Be brief."),
            pb.Message(role=pb.ROLE_CALLER, text="When do you open tomorrow?"),
        ],
        "knowledge": pb.Knowledge(unknown_reply="I do not know that."),
    }
    return pb.GenerateRequest(**asked | other)


def _ask(subject: Subject, **other: Any) -> Talk:  # noqa: ANN401
    stub: Any = language_pb2_grpc.GenerationServiceStub(subject.channel)
    return Talk(stub.Generate(_request(subject, **other)), subject.seconds)


async def _judged(talk: Talk) -> list[pb.GenerateResponse]:
    """Return a reply, order checked."""
    messages: list[pb.GenerateResponse] = await talk.rest()
    demand(messages, "ends with OK and says nothing")
    demand(kind(messages[-1]) == "finished", "the last message is not `finished`")
    pieces = messages[:-1]
    demand(pieces, "finished without words or tool call: that is INTERNAL, NO_WORDS")
    for piece in pieces:
        _judge_piece(piece)
    demand(messages[0].HasField("engine_duration"), "the first message has no engine_duration")
    called = any(kind(piece) == "tool_call" for piece in pieces)
    told = messages[-1].finished.reason == pb.FINISH_REASON_TOOL_CALLS
    demand(messages[-1].finished.reason, "`finished` without a reason")
    demand(called == told, "reason TOOL_CALLS and tool calls do not go together")
    return pieces


def _judge_piece(piece: pb.GenerateResponse) -> None:
    match kind(piece):
        case "text":
            demand(piece.text, "an empty text")
        case "tool_call":
            call = piece.tool_call
            demand(call.id and call.name, "a tool call without id or name")
            demand(_is_object(call.arguments_json), "arguments that are no JSON object")
        case other:
            fail(f"`{other}` before the end")


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False


async def _order(subject: Subject) -> None:
    await _judged(_ask(subject))


async def _tools(subject: Subject) -> None:
    await _judged(_ask(subject, tools=[TOOL], knowledge=KNOWLEDGE))


async def _results(subject: Subject) -> None:
    call = pb.ToolCall(id="1", name="look_up", arguments_json='{"what": "hours"}')
    messages = [
        pb.Message(role=pb.ROLE_CALLER, text="When do you open tomorrow?"),
        pb.Message(role=pb.ROLE_BOT, tool_calls=[call]),
        pb.Message(role=pb.ROLE_TOOL, text='{"opens": "nine"}', tool_call_id="1"),
    ]
    await _judged(_ask(subject, messages=messages, tools=[TOOL], knowledge=KNOWLEDGE))


async def _no_system(subject: Subject) -> None:
    await _judged(_ask(subject, messages=[pb.Message(role=pb.ROLE_CALLER, text="Hello.")]))


async def _cancelled(subject: Subject) -> None:
    for number in range(CANCELLED):
        talk = _ask(subject)
        if number % 2:
            await talk.next()
        talk.cancel()
    await _order(subject)


async def _deadline(subject: Subject) -> None:
    stub: Any = language_pb2_grpc.GenerationServiceStub(subject.channel)
    # Less than anybody can answer in; whoever does it all the same has kept the deadline.
    ending = await Talk(stub.Generate(_request(subject), timeout=1.001), subject.seconds).ending()
    allowed = (grpc.StatusCode.OK, grpc.StatusCode.DEADLINE_EXCEEDED)
    demand(ending.code in allowed, f"ends with {ending.code.name}: {ending.text}")
    await _order(subject)


async def _slow_reader(subject: Subject) -> None:
    slow = [_ask(subject) for _ in range(4)]
    # Others are served while these are not read.
    await _order(subject)
    for talk in slow:
        await _judged(talk)


async def _at_once(subject: Subject) -> None:
    await asyncio.gather(*(_order(subject) for _ in range(AT_ONCE)))


def _bad(code: grpc.StatusCode, field: str, **other: Any) -> Callable[[Subject], Any]:  # noqa: ANN401
    async def run(subject: Subject) -> None:
        await refused(_ask(subject, **other), code, field)

    return run


_INVALID = grpc.StatusCode.INVALID_ARGUMENT
_MANY = [pb.Message(role=pb.ROLE_CALLER, text="Hello.")] * 501
_NO_JSON = [
    pb.Message(role=pb.ROLE_CALLER, text="Hello."),
    pb.Message(
        role=pb.ROLE_BOT,
        tool_calls=[pb.ToolCall(id="1", name="look_up", arguments_json="{what")],
    ),
    pb.Message(role=pb.ROLE_TOOL, text="{}", tool_call_id="1"),
]

CHECKS = (
    Check("order", "pieces with something in them, `finished` once and last, then OK", _order),
    Check("order", "tool calls are complete, and told by the reason", _tools),
    Check("order", "a tool's result is answered", _results),
    Check("order", "a conversation without instructions is answered", _no_system),
    Check("cancellation", f"{CANCELLED} replies left halfway; the next is served", _cancelled),
    Check("deadlines", "a client's deadline ends the stream; the next is served", _deadline),
    Check("back-pressure", "replies that are read late are complete", _slow_reader),
    Check("concurrency", f"{AT_ONCE} replies at once", _at_once),
    Check(
        "bad input",
        "an unknown engine: NOT_FOUND, naming it",
        _bad(grpc.StatusCode.NOT_FOUND, "engine", engine="no-such-engine"),
    ),
    Check(
        "bad input",
        "no messages: INVALID_ARGUMENT, naming `messages`",
        _bad(_INVALID, "messages", messages=[]),
    ),
    Check(
        "bad input",
        "501 messages: INVALID_ARGUMENT, naming `messages`",
        _bad(_INVALID, "messages", messages=_MANY),
    ),
    Check(
        "bad input",
        "a message without a role: INVALID_ARGUMENT, naming `role`",
        _bad(_INVALID, "role", messages=[pb.Message(text="Hello.")]),
    ),
    Check(
        "bad input",
        "arguments that are no JSON: INVALID_ARGUMENT, naming `arguments_json`",
        _bad(_INVALID, "arguments_json", messages=_NO_JSON),
    ),
    Check(
        "bad input",
        "5000 tokens: INVALID_ARGUMENT, naming `max_tokens`",
        _bad(_INVALID, "max_tokens", max_tokens=5000),
    ),
    Check(
        "bad input",
        "a temperature of 3: INVALID_ARGUMENT, naming `temperature`",
        _bad(_INVALID, "temperature", temperature=3.0),
    ),
    Check(
        "bad input",
        "65 tools: INVALID_ARGUMENT, naming `tools`",
        _bad(_INVALID, "tools", tools=[TOOL] * 65),
    ),
)
