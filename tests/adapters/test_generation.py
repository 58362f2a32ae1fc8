"""GenerationService over real gRPC, with an engine that says what it is told to."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from adapters.language import Finished, FinishReason, GenerationRequest, Piece, TextPiece, ToolCall
from tests.adapters.support import hosting, refusal
from voicemesh.api.language.v1 import language_pb2, language_pb2_grpc
from voicemesh.errors import NotFound, Refused, VoicemeshError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Puppet:
    """Gives what the test put in, then fails or waits if the test said so."""

    def __init__(self, *pieces: Piece, error: Exception | None = None, hang: bool = False) -> None:
        self.asked: list[GenerationRequest] = []
        self.stopped = asyncio.Event()
        self._pieces = pieces
        self._error = error
        self._hang = hang

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    async def generate(self, request: GenerationRequest) -> AsyncIterator[Piece]:
        self.asked.append(request)
        try:
            for piece in self._pieces:
                yield piece
            if self._error:
                raise self._error
            if self._hang:
                await asyncio.Event().wait()
        finally:
            self.stopped.set()


HELLO = language_pb2.Message(role=language_pb2.ROLE_CALLER, text="hello")


def generate(channel: grpc.aio.Channel, **fields: Any) -> Any:  # noqa: ANN401
    request = language_pb2.GenerateRequest(**{"engine": "puppet", "messages": [HELLO], **fields})
    return language_pb2_grpc.GenerationServiceStub(channel).Generate(request)


async def replies(call: Any) -> list[language_pb2.GenerateResponse]:  # noqa: ANN401
    return [message async for message in call]


async def test_words_and_tool_calls_come_as_the_engine_gives_them() -> None:
    engine = Puppet(
        TextPiece("One "),
        TextPiece("moment."),
        ToolCall("c1", "book", '{"day": "friday"}'),
        Finished(FinishReason.TOOL_CALLS),
    )
    async with hosting("llm", {"puppet": engine}) as hosted:
        messages = await replies(generate(hosted.channel))
    kinds = [message.WhichOneof("message") for message in messages]
    assert kinds == ["text", "text", "tool_call", "finished"]
    assert "".join(message.text for message in messages) == "One moment."
    assert messages[2].tool_call.arguments_json == '{"day": "friday"}'
    assert messages[3].finished.reason == language_pb2.FINISH_REASON_TOOL_CALLS
    timed = [message.HasField("engine_duration") for message in messages]
    assert timed == [True, False, False, False]


async def test_the_engine_is_given_all_that_was_asked() -> None:
    engine = Puppet(TextPiece("ok"), Finished())
    slot = language_pb2.Slot(name="day", kind="date", question="Which day?")
    knowledge = language_pb2.Knowledge(
        facts=[language_pb2.Fact(questions=["open?"], answer="From eight.")],
        intents=[language_pb2.Intent(name="book", examples=["a table"], slots=[slot])],
        unknown_reply="Sorry.",
    )
    tool = language_pb2.Tool(name="book", description="books", parameters_json="{}")
    async with hosting("llm", {"puppet": engine}) as hosted:
        await replies(
            generate(
                hosted.channel,
                knowledge=knowledge,
                tools=[tool],
                temperature=0.0,
                max_tokens=9,
                call_id="c",
                model="m",
            )
        )
        await replies(generate(hosted.channel))
    full, bare = engine.asked
    assert (full.max_tokens, full.temperature, full.call_id, full.model) == (9, 0.0, "c", "m")
    assert full.knowledge.intents[0].slots[0].question == "Which day?"
    assert full.knowledge.facts[0].questions == ("open?",)
    assert full.tools[0].name == "book"
    assert (bare.max_tokens, bare.temperature) == (256, None)


def message(**fields: Any) -> language_pb2.Message:  # noqa: ANN401
    return language_pb2.Message(**{"role": language_pb2.ROLE_BOT, **fields})


def tool(name: str, parameters: str = "{}") -> language_pb2.Tool:
    return language_pb2.Tool(name=name, parameters_json=parameters)


def intent(kind: str) -> language_pb2.Knowledge:
    slots = [language_pb2.Slot(name="a", kind=kind)]
    return language_pb2.Knowledge(
        intents=[language_pb2.Intent(name="i", examples=["e"], slots=slots)]
    )


CALLS = "messages.tool_calls.arguments_json"


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"messages": []}, "messages"),
        ({"messages": [HELLO] * 501}, "messages"),
        ({"messages": [language_pb2.Message(text="who?")]}, "messages.role"),
        ({"messages": [message(text="a" * (1 << 20))]}, "request"),
        ({"messages": [message(tool_calls=[{"arguments_json": "{"}])]}, CALLS),
        ({"messages": [message(tool_calls=[{"arguments_json": "[]"}])]}, CALLS),
        ({"tools": [tool("a")] * 65}, "tools"),
        ({"tools": [tool("a b")]}, "tools.name"),
        ({"tools": [tool("")]}, "tools.name"),
        ({"tools": [tool("a", "nope")]}, "tools.parameters_json"),
        ({"max_tokens": 4097}, "max_tokens"),
        ({"max_tokens": -1}, "max_tokens"),
        ({"temperature": 2.1}, "temperature"),
        ({"temperature": float("nan")}, "temperature"),
        ({"knowledge": {"facts": [{"answer": "a"}]}}, "knowledge.facts.questions"),
        ({"knowledge": {"intents": [{"name": "a"}]}}, "knowledge.intents.examples"),
        ({"knowledge": intent("colour")}, "knowledge.intents.slots.kind"),
    ],
)
async def test_what_the_contract_forbids(fields: dict[str, Any], field: str) -> None:
    engine = Puppet(TextPiece("ok"), Finished())
    async with hosting("llm", {"puppet": engine}) as hosted:
        status, _, details = await refusal(replies(generate(hosted.channel, **fields)))
    assert (status, details["field"]) == (grpc.StatusCode.INVALID_ARGUMENT, field)
    assert not engine.asked


@pytest.mark.parametrize(
    ("engine", "status", "reason"),
    [
        (Puppet(Finished()), grpc.StatusCode.INTERNAL, "NO_WORDS"),
        (Puppet(TextPiece(" \n"), Finished()), grpc.StatusCode.INTERNAL, "NO_WORDS"),
        (Puppet(TextPiece("a")), grpc.StatusCode.INTERNAL, "ENGINE_FAILED"),
        (Puppet(error=ValueError("x")), grpc.StatusCode.INTERNAL, "ENGINE_FAILED"),
        (Puppet(error=Refused("full")), grpc.StatusCode.RESOURCE_EXHAUSTED, "FULL"),
        (Puppet(error=NotFound("model")), grpc.StatusCode.NOT_FOUND, "NOT_FOUND"),
        (Puppet(error=VoicemeshError("?")), grpc.StatusCode.INTERNAL, "INTERNAL"),
    ],
)
async def test_what_an_engine_may_do_wrong(
    engine: Puppet, status: grpc.StatusCode, reason: str
) -> None:
    async with hosting("llm", {"puppet": engine}) as hosted:
        assert (await refusal(replies(generate(hosted.channel))))[:2] == (status, reason)


async def test_an_unknown_engine_is_not_found() -> None:
    async with hosting("llm", {"puppet": Puppet()}) as hosted:
        status, reason, _ = await refusal(replies(generate(hosted.channel, engine="other")))
    assert (status, reason) == (grpc.StatusCode.NOT_FOUND, "ENGINE_NOT_FOUND")


async def test_cancelling_stops_the_engine() -> None:
    engine = Puppet(TextPiece("well"), hang=True)
    async with hosting("llm", {"puppet": engine}) as hosted:
        call = generate(hosted.channel)
        await call.read()
        call.cancel()
        await engine.stopped.wait()
        await hosted.service.live.wait_empty()


async def test_full_and_draining_refuse() -> None:
    engine = Puppet(TextPiece("well"), hang=True)
    async with hosting("llm", {"puppet": engine}, max_calls=1) as hosted:
        call = generate(hosted.channel)
        await call.read()
        assert (await refusal(replies(generate(hosted.channel))))[1] == "FULL"
        hosted.service.live.close()
        assert (await refusal(replies(generate(hosted.channel))))[1] == "DRAINING"
        call.cancel()
        await hosted.service.live.wait_empty()
