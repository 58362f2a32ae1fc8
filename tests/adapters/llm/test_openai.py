from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, strategies as st
from pydantic import SecretStr

from adapters.language import (
    Fact,
    FinishReason,
    GenerationRequest,
    Intent,
    Knowledge,
    Message,
    Role,
    Slot,
    TextPiece,
    Tool,
    ToolCall,
)
from adapters.llm.chunks import MAX_EVENT, LineSplitter
from adapters.llm.openai import OpenAiEngine, OpenAiSettings
from adapters.llm.prompt import chat
from tests.adapters.llm.fake_provider import DONE, HANG, Provider, event, providing
from tests.adapters.llm.support import Whole, asking, whole
from voicemesh.errors import (
    DeadlineMissed,
    InvalidInput,
    Misconfigured,
    NotFound,
    Refused,
    Unavailable,
    VoicemeshError,
)


async def ask(
    provider: Provider, request: GenerationRequest | None = None, **options: object
) -> Whole:
    engine = OpenAiEngine(OpenAiSettings.model_validate({"url": provider.url, **options}))
    await engine.start()
    try:
        return await whole(engine, request or asking("Hello."))
    finally:
        await engine.stop()


async def test_words_stream_through() -> None:
    parts = (event(role="assistant", content=""), event(content="Good "), event(content="day."))
    async with providing(*parts, event(finish="stop"), DONE) as provider:
        reply = await ask(provider, key=SecretStr("sesame"), model="m1")
    assert reply.pieces == ("Good ", "day.")
    assert reply.reason is FinishReason.STOP
    assert provider.keys == ["Bearer sesame"]
    assert provider.asked[0]["model"] == "m1"
    assert provider.asked[0]["stream"] is True


async def test_tool_calls_are_put_together() -> None:
    def call(index: int, **parts: str) -> bytes:
        function = {key: parts[key] for key in ("name", "arguments") if key in parts}
        return event(tool_calls=[{"index": index, "function": function, "id": parts.get("id")}])

    parts = (
        call(0, id="a", name="book", arguments=""),
        call(0, arguments='{"date": '),
        call(1, name="hang_up"),
        call(0, arguments='"2026-12-01"}'),
        event(finish="tool_calls"),
        DONE,
    )
    async with providing(*parts) as provider:
        reply = await ask(provider)
    assert reply.calls == (("book", {"date": "2026-12-01"}), ("hang_up", {}))
    assert reply.reason is FinishReason.TOOL_CALLS


async def test_length_is_told() -> None:
    async with providing(event(content="and so"), event(finish="length"), DONE) as provider:
        assert (await ask(provider)).reason is FinishReason.LENGTH


async def test_comments_usage_and_torn_lines_do_no_harm() -> None:
    stream = b": hello\n\n" + event(content="One.") + b'data: {"usage": {}}\r\n\r\n' + DONE
    async with providing(*(stream[i : i + 7] for i in range(0, len(stream), 7))) as provider:
        assert (await ask(provider)).text == "One."


async def test_a_missing_mark_of_the_end_is_forgiven_after_a_reason() -> None:
    async with providing(event(content="One."), event(finish="stop")) as provider:
        assert (await ask(provider)).text == "One."


@pytest.mark.parametrize(
    ("status", "headers", "kind", "details"),
    [
        ("429 Too Many Requests", {"retry-after": "7"}, Refused, {"retry_after": "7"}),
        ("401 Unauthorized", {}, Misconfigured, {"status": "401"}),
        ("404 Not Found", {}, NotFound, {"status": "404"}),
        ("400 Bad Request", {}, InvalidInput, {"status": "400"}),
        ("500 Oops", {}, Unavailable, {"status": "500"}),
        ("302 Found", {"location": "http://127.0.0.1:1/"}, Unavailable, {"status": "302"}),
    ],
)
async def test_a_refusal_becomes_our_error(
    status: str, headers: dict[str, str], kind: type[VoicemeshError], details: dict[str, str]
) -> None:
    async with providing(b'{"error": "because"}' * 100, status=status, **headers) as provider:
        with pytest.raises(kind, match="because") as caught:
            await ask(provider)
    assert details.items() <= caught.value.details.items()
    assert len(caught.value.message) < 400


@pytest.mark.parametrize(
    "part",
    [
        b"data: {broken\n\n",
        b"data: []\n\n",
        b'data: {"choices": [7]}\n\n',
        b'data: {"choices": 7}\n\n',
        b'data: {"choices": [{"delta": {"content": 5}}]}\n\n',
        b'data: {"choices": [{"delta": {"tool_calls": [{"index": "x"}]}}]}\n\n',
        b'data: {"error": {"message": "boom", "code": 500}}\n\n',
        b"data: " + b"x" * (2 * MAX_EVENT),
        b"data: " + b"[" * 50_000 + b"\n\n",
        event(tool_calls=[{"index": 0, "function": {"name": "t", "arguments": "{oops"}}]) + DONE,
        event(tool_calls=[{"index": 0, "function": {"arguments": "{}"}}]) + DONE,
        event(content="cut off in the mid"),
        b"",
    ],
)
async def test_a_broken_answer_is_the_providers_fault(part: bytes) -> None:
    async with providing(*([part] if part else [])) as provider:
        with pytest.raises(Unavailable) as caught:
            await ask(provider)
    assert caught.value.reason in ("BAD_PROVIDER", "PROVIDER_FAILED")


async def test_a_limit_told_in_the_stream_is_a_refusal() -> None:
    part = b'data: {"error": {"message": "slow down", "code": "rate_limit_exceeded"}}\n\n'
    async with providing(part) as provider:
        with pytest.raises(Refused, match="slow down"):
            await ask(provider)


@pytest.mark.parametrize("parts", [(HANG,), (event(content="Well,"), HANG)])
async def test_a_silent_provider_misses_its_deadline(parts: tuple[bytes, ...]) -> None:
    async with providing(*parts) as provider:
        with pytest.raises(DeadlineMissed, match="silent"):
            await ask(provider, first_seconds=0.05)


async def test_a_provider_that_is_not_there_is_unavailable() -> None:
    async with providing() as provider:
        pass
    with pytest.raises(Unavailable, match="cannot be reached"):
        await ask(provider)


async def test_cancelling_closes_the_connection() -> None:
    async with providing(event(content="Well,"), HANG) as provider:
        engine = OpenAiEngine(OpenAiSettings(url=provider.url, connections=1))
        await engine.start()
        first = asyncio.Event()

        async def listen() -> None:
            async for piece in engine.generate(asking("Hello.")):
                assert piece == TextPiece("Well,")
                first.set()

        task = asyncio.create_task(listen())
        await first.wait()
        with pytest.raises(Refused, match="too many"):
            await whole(engine, asking("Hello?"))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await provider.left.wait()
        provider.parts = [event(content="Yes."), DONE]
        assert (await whole(engine, asking("Hello?"))).text == "Yes."
        await engine.stop()


async def test_settings_that_cannot_work_are_told(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="VOICEMESH_OPENAI_URL"):
        await OpenAiEngine(OpenAiSettings(url="")).start()
    missing = OpenAiSettings(url="http://127.0.0.1:1", key_file=tmp_path / "none")
    with pytest.raises(Misconfigured, match=r"KEY_FILE.*none"):
        await OpenAiEngine(missing).start()
    assert "sesame" not in repr(OpenAiSettings(key=SecretStr("sesame")))


async def test_the_key_may_be_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("sesame\n")
    async with providing(event(content="Yes."), DONE) as provider:
        await ask(provider, key_file=tmp_path / "key")
    assert provider.keys == ["Bearer sesame"]


REQUEST = GenerationRequest(
    messages=(
        Message(Role.SYSTEM, "Be kind."),
        Message(Role.CALLER, "Bye."),
        Message(Role.BOT, "Bye.", (ToolCall("a", "hang_up", "{}"), ToolCall("b", "look", "{}"))),
        Message(Role.TOOL, '{"found": 1}', tool_call_id="b"),
    ),
    tools=(Tool("look", "Looks.", '{"type": "object"}'),),
    knowledge=Knowledge(
        facts=(Fact(("When are you open?",), "Always."),),
        intents=(
            Intent("book", ("Book it.",), (Slot("date", "date", "When?"),), "book"),
            Intent(
                "person",
                ("A person.",),
                (Slot("target", "choice", "", ("+1555",)),),
                "transfer",
                reply="One moment.",
            ),
        ),
        unknown_reply="I don't know.",
    ),
)


def test_a_request_is_told_in_the_words_of_chat_models() -> None:
    system, caller, bot, *results = chat(REQUEST)
    assert system["content"].startswith("Be kind.\n\nWhat you know:\n- When are you open? Always.")
    assert "Ask for date, one at a time. Call the tool book." in system["content"]
    assert 'tool transfer with target +1555. Before that say: "One moment."' in system["content"]
    assert caller == {"role": "user", "content": "Bye."}
    assert [call["id"] for call in bot["tool_calls"]] == ["a", "b"]
    assert sorted((r["tool_call_id"], r["content"]) for r in results) == [
        ("a", "{}"),
        ("b", '{"found": 1}'),
    ]


async def test_tools_and_limits_are_sent() -> None:
    async with providing(event(content="Yes."), DONE) as provider:
        await ask(provider, replace(REQUEST, max_tokens=9, temperature=0.5, model="big"))
    body = provider.asked[0]
    assert body["tools"][0]["function"] == {
        "name": "look",
        "description": "Looks.",
        "parameters": {"type": "object"},
    }
    assert (body["max_tokens"], body["temperature"], body["model"]) == (9, 0.5, "big")


@given(st.lists(st.text("ab:\n\r ", max_size=20)), st.integers(1, 30))
def test_events_are_the_same_however_they_are_cut(lines: list[str], size: int) -> None:
    stream = "".join(f"data: {json.dumps(line)}\n" for line in lines).encode()
    splitter = LineSplitter()
    parts = [stream[at : at + size] for at in range(0, len(stream), size)]
    assert [json.loads(data) for part in parts for data in splitter.feed(part)] == lines
