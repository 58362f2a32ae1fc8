"""OpenAI's Responses, Anthropic and Gemini: our engines, and vendors' own SDKs, against fakes."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any, cast

import pytest
from anthropic import AsyncAnthropic
from openai import AsyncOpenAI

from adapters.language import (
    FinishReason,
    GenerationRequest,
    Message,
    Role,
    TextPiece,
    Tool,
    ToolCall,
)
from adapters.llm import anthropic as to_anthropic, gemini as to_gemini, openai_responses
from tests.adapters.fakes import languages
from tests.adapters.fakes.http import HANG, Answers, answering, event
from tests.adapters.llm.support import Whole, asking, whole
from tests.adapters.providers.support import started
from voicemesh.errors import InvalidInput, Misconfigured, Refused, Unavailable, VoicemeshError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from adapters.language import Piece

KEY = "sesame"
WORDS = ["Good ", "day, ", "Ava."]
CALLS = [("c1", "book", ['{"date": ', '"2026-12-01"}']), ("c2", "hang_up", [])]


@dataclass(frozen=True)
class Vendor:
    module: ModuleType
    header: str
    key: str
    stream: Callable[..., list[bytes]]


VENDORS = {
    "responses": Vendor(openai_responses, "Authorization", f"Bearer {KEY}", languages.responses),
    "anthropic": Vendor(to_anthropic, "x-api-key", KEY, languages.anthropic),
    "gemini": Vendor(to_gemini, "x-goog-api-key", KEY, languages.gemini),
}
each = pytest.mark.parametrize("name", VENDORS)


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THE_KEY", KEY)


def fake(name: str, **parts: Any) -> Answers:  # noqa: ANN401
    vendor = VENDORS[name]
    given = {"header": vendor.header, "key": vendor.key, "parts": vendor.stream(WORDS)}
    return Answers(**given | parts)


def made(name: str, answers: Answers, **more: object) -> Any:  # noqa: ANN401
    module = VENDORS[name].module
    values = {"url": answers.url, "secret": "env:THE_KEY", **more}
    return module.engine(module.SETTINGS.model_validate(values))


async def ask(name: str, answers: Answers, request: GenerationRequest, **more: object) -> Whole:
    async with answering(answers), started(made(name, answers, **more)) as engine:
        return await whole(engine, request)


async def test_openais_own_sdk_talks_to_the_fake() -> None:
    parts = languages.responses(WORDS, CALLS)
    async with (
        answering(fake("responses", parts=parts)) as answers,
        AsyncOpenAI(api_key=KEY, base_url=answers.url) as client,
    ):
        words, calls, ended = "", [], False
        async for told in await client.responses.create(model="m", input="Hello.", stream=True):
            if told.type == "response.output_text.delta":
                words += told.delta
            elif told.type == "response.output_item.done" and told.item.type == "function_call":
                calls.append((told.item.call_id, told.item.name, told.item.arguments))
            ended = ended or told.type == "response.completed"
    assert (words, ended) == ("".join(WORDS), True)
    assert calls == [(identity, called, "".join(args)) for identity, called, args in CALLS]
    assert answers.paths == ["/responses"]


async def test_anthropics_own_sdk_talks_to_the_fake() -> None:
    # This release of the SDK sends the key in another header than the documents ask for.
    door = {"header": "Authorization", "key": f"Bearer {KEY}"}
    async with (
        answering(fake("anthropic", parts=languages.anthropic(WORDS, CALLS), **door)) as answers,
        AsyncAnthropic(api_key=KEY, base_url=answers.url) as client,
        client.messages.stream(
            model="m", max_tokens=99, messages=[{"role": "user", "content": "Hello."}]
        ) as stream,
    ):
        words = "".join([part async for part in stream.text_stream])
        final = await stream.get_final_message()
    assert words == "".join(WORDS)
    calls = [
        (block.id, block.name, block.input) for block in final.content if block.type == "tool_use"
    ]
    assert calls == [("c1", "book", {"date": "2026-12-01"}), ("c2", "hang_up", {})]
    assert answers.paths == ["/v1/messages"]


@each
async def test_words_stream_through(name: str) -> None:
    answers = fake(name)
    reply = await ask(name, answers, asking("Hello."))
    assert reply.pieces == tuple(WORDS)
    assert reply.reason is FinishReason.STOP


@each
async def test_a_key_in_a_file_is_used_and_replaced(name: str, tmp_path: Any) -> None:  # noqa: ANN401
    place = tmp_path / "key"
    place.write_text("wrong\n")
    answers = fake(name)
    async with (
        answering(answers),
        started(made(name, answers, secret=f"file:{place}")) as engine,
    ):
        with pytest.raises(Misconfigured):
            await whole(engine, asking("Hello."))
        place.write_text(f"{KEY}\n")
        assert (await whole(engine, asking("Hello."))).pieces == tuple(WORDS)


@each
async def test_tool_calls_are_put_together(name: str) -> None:
    answers = fake(name, parts=VENDORS[name].stream(WORDS, CALLS))
    reply = await ask(name, answers, asking("Hello."))
    assert reply.calls == (("book", {"date": "2026-12-01"}), ("hang_up", {}))
    assert reply.reason is FinishReason.TOOL_CALLS


@each
async def test_length_is_told(name: str) -> None:
    answers = fake(name, parts=VENDORS[name].stream(WORDS, cut=True))
    assert (await ask(name, answers, asking("Hello."))).reason is FinishReason.LENGTH


@each
async def test_torn_lines_and_comments_do_no_harm(name: str) -> None:
    stream = b": hello\n\n" + b"".join(VENDORS[name].stream(WORDS)).replace(b"\n", b"\r\n")
    parts = [stream[at : at + 7] for at in range(0, len(stream), 7)]
    assert (await ask(name, fake(name, parts=parts), asking("Hello."))).pieces == tuple(WORDS)


TOOL = Tool("book", "Books.", '{"type": "object", "properties": {"date": {"type": "string"}}}')
TALK = GenerationRequest(
    messages=(
        Message(Role.SYSTEM, "You are Ava."),
        Message(Role.BOT, "Hello, this is Ava."),
        Message(Role.CALLER, "A table, please."),
        Message(Role.CALLER, "For two."),
        Message(
            Role.BOT,
            "One moment.",
            tool_calls=(ToolCall("c1", "book", '{"n": 2}'), ToolCall("c2", "hang_up", "{}")),
        ),
        Message(Role.TOOL, '{"ok": true}', tool_call_id="c1"),
        Message(Role.CALLER, "Thanks."),
    ),
    model="m1",
    tools=(TOOL,),
    max_tokens=77,
    temperature=1.5,
)


async def test_a_conversation_in_openais_form() -> None:
    answers = fake("responses")
    await ask("responses", answers, TALK, effort="low")
    asked = answers.asked[0]
    kinds = [item.get("type", item.get("role")) for item in asked["input"]]
    assert kinds[:5] == ["assistant", "user", "user", "assistant", "function_call"]
    assert kinds[-1] == "user"
    results = {
        item["call_id"]: item["output"]
        for item in asked["input"]
        if item.get("type") == "function_call_output"
    }
    assert results == {"c1": '{"ok": true}', "c2": "{}"}
    assert asked["instructions"].startswith("You are Ava.")
    assert asked["tools"][0]["parameters"] == json.loads(TOOL.parameters_json)
    assert (asked["model"], asked["store"], asked["stream"]) == ("m1", False, True)
    assert (asked["max_output_tokens"], asked["temperature"]) == (77, 1.5)
    assert asked["reasoning"] == {"effort": "low"}


async def test_a_conversation_in_anthropics_form() -> None:
    answers = fake("anthropic")
    await ask("anthropic", answers, TALK)
    asked = answers.asked[0]
    assert [turn["role"] for turn in asked["messages"]] == [
        "user",
        "assistant",
        "user",
        "assistant",
        "user",
    ]
    calls, results = asked["messages"][3]["content"], asked["messages"][4]["content"]
    assert [block["type"] for block in calls] == ["text", "tool_use", "tool_use"]
    assert results == [
        {"type": "tool_result", "tool_use_id": "c1", "content": '{"ok": true}'},
        {"type": "tool_result", "tool_use_id": "c2", "content": "{}"},
        {"type": "text", "text": "Thanks."},
    ]
    assert asked["system"].startswith("You are Ava.")
    assert asked["tools"][0]["input_schema"] == json.loads(TOOL.parameters_json)
    assert (asked["model"], asked["max_tokens"], asked["temperature"]) == ("m1", 77, 1.0)


async def test_a_conversation_in_geminis_form() -> None:
    answers = fake("gemini")
    await ask("gemini", answers, TALK, thinking_tokens=0)
    asked = answers.asked[0]
    assert answers.paths == ["/models/m1:streamGenerateContent?alt=sse"]
    assert [turn["role"] for turn in asked["contents"]] == ["model", "user", "model", "user"]
    results = [part["functionResponse"] for part in asked["contents"][3]["parts"][:2]]
    assert results == [
        {"name": "book", "response": {"ok": True}},
        {"name": "hang_up", "response": {}},
    ]
    assert asked["systemInstruction"]["parts"][0]["text"].startswith("You are Ava.")
    declared = asked["tools"][0]["functionDeclarations"][0]
    assert declared["parametersJsonSchema"] == json.loads(TOOL.parameters_json)
    assert asked["generationConfig"] == {
        "maxOutputTokens": 77,
        "temperature": 1.5,
        "thinkingConfig": {"thinkingBudget": 0},
    }


@each
@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, Misconfigured),
        (429, Refused),
        (529, Refused),
        (400, InvalidInput),
        (500, Unavailable),
        (302, Unavailable),
    ],
)
async def test_a_refusal_becomes_our_error(
    name: str, status: int, kind: type[VoicemeshError]
) -> None:
    headers = {"Retry-After": "7", "Location": "http://127.0.0.1:1/"}
    answers = fake(name, status=status, answer_headers=headers, complaint=f"not with {KEY}")
    with pytest.raises(kind, match="not with") as caught:
        await ask(name, answers, asking("Hello."))
    assert KEY not in caught.value.message
    assert status != 429 or caught.value.details["retry_after"] == "7"


@each
@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        ({"parts": [b"data: {broken\n\n"]}, "BAD_PROVIDER"),
        ({"parts": [b"data: []\n\n"]}, "BAD_PROVIDER"),
        ({"parts": []}, "BAD_PROVIDER"),
        ({"parts": [HANG]}, "PROVIDER_SILENT"),
        ({"parts": [], "torn": True}, "PROVIDER_GONE"),
        ({"parts": [event({"type": "error", "error": {"message": "boom"}})]}, "PROVIDER_FAILED"),
        ({"parts": [event({"error": {"code": 429, "message": "full"}})]}, "PROVIDER_FULL"),
        (
            {"parts": [event({"error": {"type": "overloaded_error", "message": "x"}})]},
            "PROVIDER_FULL",
        ),
    ],
)
async def test_what_breaks_is_the_providers_fault(
    name: str, answers: dict[str, Any], reason: str
) -> None:
    with pytest.raises(VoicemeshError) as caught:
        await ask(name, fake(name, **answers), asking("Hello."), first_seconds=0.5)
    assert caught.value.reason == reason


@each
async def test_a_reply_that_breaks_off_is_not_taken_for_whole(name: str) -> None:
    stream = VENDORS[name].stream(WORDS, CALLS)
    for end in range(3, len(stream) - 1):
        with pytest.raises(Unavailable) as caught:
            await ask(name, fake(name, parts=stream[:end]), asking("Hello."))
        assert caught.value.reason == "BAD_PROVIDER"


BROKEN: list[tuple[str, dict[str, Any]]] = [
    ("responses", {"type": "response.output_text.delta", "delta": 7}),
    ("responses", {"type": "response.output_item.done", "item": 7}),
    ("responses", {"type": "response.output_item.done", "item": {"type": "function_call"}}),
    (
        "responses",
        {
            "type": "response.output_item.done",
            "item": {"type": "function_call", "call_id": "c", "name": "t", "arguments": "{oops"},
        },
    ),
    ("anthropic", {"type": "content_block_start", "index": 0}),
    ("anthropic", {"type": "content_block_delta", "delta": {"type": "text_delta"}}),
    ("anthropic", {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta"}}),
    ("anthropic", {"type": "message_delta", "delta": 7}),
    ("gemini", {"candidates": 7}),
    ("gemini", {"candidates": [7]}),
    ("gemini", {"candidates": [{"content": {"parts": [{"text": 7}]}}]}),
    ("gemini", {"candidates": [{"content": {"parts": [{"functionCall": {}}]}}]}),
]


@pytest.mark.parametrize(("name", "told"), BROKEN)
def test_events_of_another_form_are_refused(name: str, told: dict[str, Any]) -> None:
    module = VENDORS[name].module
    dialects = {
        "responses": "ResponsesAssembly",
        "anthropic": "AnthropicAssembly",
        "gemini": "GeminiAssembly",
    }
    assembly = getattr(module, dialects[name])()
    with pytest.raises(Unavailable) as caught:
        list(assembly.take(told))
    assert caught.value.reason == "BAD_PROVIDER"


async def test_a_failed_response_says_why() -> None:
    told = {"type": "response.failed", "response": {"error": {"code": "rate_limit_exceeded"}}}
    with pytest.raises(Refused):
        await ask("responses", fake("responses", parts=[event(told)]), asking("Hello."))


async def test_gemini_may_refuse_to_answer() -> None:
    told = {"promptFeedback": {"blockReason": "SAFETY"}}
    with pytest.raises(InvalidInput, match="SAFETY"):
        await ask("gemini", fake("gemini", parts=[event(told)]), asking("Hello."))


@each
async def test_cancelling_closes_the_connection(name: str) -> None:
    stream = [*VENDORS[name].stream(WORDS)[:4], HANG]
    async with (
        answering(fake(name, parts=stream)) as answers,
        started(made(name, answers, connections=1)) as engine,
    ):
        pieces = cast("AsyncGenerator[Piece]", engine.generate(asking("Hello.")))
        assert isinstance(await anext(pieces), TextPiece)
        with pytest.raises(Refused, match="at once"):
            await whole(engine, asking("Hello?"))
        await pieces.aclose()
        await asyncio.wait_for(answers.left.wait(), 10)
        answers.parts = VENDORS[name].stream(WORDS)
        assert (await whole(engine, asking("Hello?"))).pieces == tuple(WORDS)
