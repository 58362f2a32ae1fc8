"""Calls whose brain is an HTTP endpoint: real sessions, real HTTP, scripted ears and voice."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from tests.orchestrator.brains.endpoint import SECRET, Answer, Endpoint, lines
from tests.orchestrator.servers import HttpServer
from tests.orchestrator.session_client import opening
from tests.orchestrator.test_session import serving, session
from voicemesh.journal import fold

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from tests.orchestrator.session_client import SessionClient

LOOPBACK = ("127.0.0.0/8",)
BOT = """\
greeting: ""
engines: {{stt: [scripted], llm: [scripted], tts: [scripted]}}
brain:
  filler: {filler}
  filler_after_seconds: 0.05
  webhook: {{url: "{url}", secret: {secret}, deadline_seconds: {deadline}}}
tools:
  - {{name: look, description: Looks., url: "{tool}"}}
"""


@asynccontextmanager
async def talking(
    folder: Path,
    script: Callable[[dict[str, Any]], Answer],
    *,
    allowed: tuple[str, ...] = LOOPBACK,
    **bot: Any,  # noqa: ANN401 - whatever stands in the file
) -> AsyncIterator[tuple[SessionClient, Endpoint]]:
    async with Endpoint(script).running() as endpoint:
        known = {"filler": '""', "secret": SECRET, "deadline": 5, "tool": "http://127.0.0.1:1"}
        text = BOT.format(**(known | {"url": endpoint.address} | bot))
        (folder / "desk.yaml").write_text(text)
        async with (
            serving(folder, allowed_hosts=allowed) as (_, channel),
            session(channel, bot="desk", variables={"plan": "gold"}, caller="+15550111") as client,
        ):
            yield client, endpoint


async def test_a_turn_is_asked_with_the_conversation_and_answered(tmp_path: Path) -> None:
    def script(asked: dict[str, Any]) -> Answer:
        return lines({"say": f"Turn {asked['turn']} it is."}, {"set": {"seen": asked["turn"]}})

    async with talking(tmp_path, script) as (client, endpoint):
        await client.say("hello there")
        await client.until_heard("Turn 1 it is")
        await client.say("and again")
        await client.until_heard("Turn 2 it is")
    first, second = endpoint.asked
    assert (first["key"], first["turn"], first["said"]) == ("call-1-1-0", 1, "hello there")
    assert (first["call_id"], first["bot"], first["caller"]) == ("call-1", "desk", "+15550111")
    assert first["variables"] == {"plan": "gold"}
    assert second["variables"] == {"plan": "gold", "seen": 1}
    spoken = [(line["speaker"], line["text"]) for line in second["transcript"]]
    assert ("caller", "hello there") in spoken
    assert ("bot", "Turn 1 it is.") in spoken
    assert spoken[-1] == ("caller", "and again")
    assert (
        endpoint.headers[0]["idempotency-key"] == endpoint.headers[0]["webhook-id"] == "call-1-1-0"
    )


async def test_the_first_line_is_spoken_before_the_second_is_there(tmp_path: Path) -> None:
    took = []
    goes_on = asyncio.Event()

    def script(_: dict[str, Any]) -> Answer:
        return Answer([b'{"say": "At once."}\n', goes_on, b'{"say": "Much later."}\n'])

    async with talking(tmp_path, script) as (client, endpoint):
        for _ in range(5):
            goes_on.clear()
            await client.say("hello")
            await client.until("audio")
            took.append(time.monotonic() - endpoint.wrote[-1])
            await client.until_heard("At once")
            goes_on.set()
            await client.until_heard("Much later")
            client.audio.clear()
    # The least of them: this machine may be busy with something else.
    assert min(took) <= 0.060, took


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", b'{"actions": [{"say": "Fine."}, {"hang_up": true}]}'),
        ("application/json", b'[{"say": "Fine."}, {"hang_up": true}]'),
        (
            "text/event-stream",
            b'data: {"say": "Fine."}\n\ndata: {"hang_up": {}}\n\ndata: [DONE]\n\n',
        ),
    ],
)
async def test_every_form_of_answer(tmp_path: Path, content_type: str, body: bytes) -> None:
    async with talking(tmp_path, lambda _: Answer([body], content_type)) as (client, _):
        await client.say("bye")
        await client.until_heard("Fine")
        ordered = await client.until_entry("action_ordered")
        assert ordered.kind == "hang_up"


async def test_tools_are_called_and_the_endpoint_is_asked_again(tmp_path: Path) -> None:
    def script(asked: dict[str, Any]) -> Answer:
        last = asked["transcript"][-1]
        if last["speaker"] == "tool":
            return lines({"say": f"It is {json.loads(last['text'])['found']}."})
        return lines({"call_tool": {"name": "look", "arguments": {"what": "it"}}})

    async with (
        HttpServer(body=b'{"found": "blue"}').running() as tool,
        talking(tmp_path, script, tool=tool.address) as (client, endpoint),
    ):
        await client.say("look it up")
        await client.until_heard("It is blue")
    assert [asked["key"] for asked in endpoint.asked] == ["call-1-1-0", "call-1-1-1"]
    [line] = [line for line in endpoint.asked[1]["transcript"] if line["speaker"] == "tool"]
    assert (line["tool"], line["arguments"]) == ("look", {"what": "it"})
    assert endpoint.asked[1]["said"] == ""


async def test_the_filler_covers_a_cold_start(tmp_path: Path) -> None:
    warm = asyncio.Event()

    def script(_: dict[str, Any]) -> Answer:
        return Answer([warm, b'{"say": "Here I am."}\n'])

    async with talking(tmp_path, script, filler="One moment.") as (client, _):
        await client.say("hello")
        await client.until_heard("One moment")
        warm.set()
        await client.until_heard("Here I am")


async def test_a_turn_that_broke_off_is_asked_again_with_its_key(tmp_path: Path) -> None:
    never = asyncio.Event()
    parts: list[list[bytes | asyncio.Event]] = [
        [b'{"say": "One."}\n', never],
        [b'{"say": "One."}\n', b'{"say": "Two."}\n'],
    ]

    def script(_: dict[str, Any]) -> Answer:
        return Answer(parts.pop(0))

    async with talking(tmp_path, script) as (client, endpoint):
        await client.say("count")
        await client.until_heard("One")
        broken = client.call
        async with session_again(client) as other:
            await other.until_heard("Two")
            never.set()
            texts = [s.text for s in fold(client.journal + other.journal).sentences.values()]
        broken.cancel()
    assert texts == ["One.", "Two."]
    assert {asked["key"] for asked in endpoint.asked} == {"call-1-1-0"}
    assert len(endpoint.asked) == 2


@asynccontextmanager
async def session_again(client: SessionClient) -> AsyncIterator[SessionClient]:
    """Open the call anew with what its gateway has, while the first session is still at work."""
    again = type(client)(client.channel)
    end = client.audio[-1].offset + len(client.audio[-1].data) // 2
    facts = {"bot": "desk", "epoch": 2, "journal": client.journal}
    await again.open(opening(**facts, buffered_offset=end, played_offset=end))
    try:
        yield again
    finally:
        again.call.cancel()


async def until_gone(client: SessionClient) -> str:
    """Read on until the call ends with the fallback; return what the bot said."""
    ordered = await client.until_entry("action_ordered")
    assert ordered.kind == "hang_up"
    return " ".join(s.text for s in fold(client.journal).sentences.values())


@pytest.mark.parametrize(
    "answer",
    [
        Answer([], status=302, headers={"location": "http://10.0.0.1/"}),
        Answer([], status=404),
        Answer([b'{"say": "x"}'], content_type="text/html"),
        Answer([b'{"shout": "x"}\n']),
        Answer([b"no json\n"]),
        Answer([b'{"say": "' + b"x" * 70_000 + b'"}\n']),
        Answer([b" " * 60_000 + b"\n"] * 35),
        Answer([b"x" * 2_000_000], content_type="application/json"),
        Answer([]),
    ],
    ids=["redirect", "404", "html", "unknown", "garbage", "line", "2 MB", "2 MB json", "nothing"],
)
async def test_what_no_answer_is_ends_the_call_with_the_fallback(
    tmp_path: Path, answer: Answer
) -> None:
    async with talking(tmp_path, lambda _: answer) as (client, endpoint):
        await client.say("hello")
        assert "something is wrong" in await until_gone(client)
        # Once more at once, in case it was the way there; then it is given up.
        assert len(endpoint.asked) <= 2


async def test_a_private_address_is_refused_unless_allowed(tmp_path: Path) -> None:
    async with talking(tmp_path, lambda _: lines({"say": "x"}), allowed=()) as (client, endpoint):
        await client.say("hello")
        assert "something is wrong" in await until_gone(client)
        assert not endpoint.asked


async def test_an_endpoint_that_comes_back_in_time_is_asked_again(tmp_path: Path) -> None:
    answers = [Answer([], status=503), Answer([], status=429), lines({"say": "Back again."})]
    async with talking(tmp_path, lambda _: answers.pop(0)) as (client, endpoint):
        await client.say("hello")
        await client.until_heard("Back again")
    assert len({asked["key"] for asked in endpoint.asked}) == 1


async def test_one_that_hangs_is_asked_again_at_its_deadline(tmp_path: Path) -> None:
    never = asyncio.Event()
    answers = [Answer([never]), lines({"say": "Awake."})]
    async with talking(tmp_path, lambda _: answers.pop(0), deadline=0.3) as (client, endpoint):
        await client.say("hello")
        await client.until_heard("Awake")
        assert [asked["key"] for asked in endpoint.asked] == ["call-1-1-0"] * 2
        never.set()
