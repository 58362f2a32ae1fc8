from __future__ import annotations

import asyncio
from dataclasses import replace
from itertools import pairwise

import pytest

from adapters.language import FinishReason, Message, Role, TextPiece, Tool
from adapters.llm.scripted import ScriptedEngine
from tests.adapters.llm.support import asking, whole

TRANSFER = Tool("transfer", "", '{"properties": {"target": {"enum": ["+1555", "+1556"]}}}')


@pytest.mark.parametrize(
    ("said", "text", "calls"),
    [
        ("Hello there.", "You said: Hello there. That was turn 1.", ()),
        ("call tool lookup please", "", (("lookup", {"text": "call tool lookup please"}),)),
        ("Goodbye!", "Goodbye.", (("hang_up", {}),)),
        ("transfer me", "I will transfer you.", (("transfer", {"target": "+1555"}),)),
        ("Say nothing.", "", ()),
    ],
)
async def test_the_script(said: str, text: str, calls: tuple[object, ...]) -> None:
    reply = await whole(ScriptedEngine(), replace(asking(said), tools=(TRANSFER,)))
    assert (reply.text, reply.calls) == (text, calls)
    assert reply.reason is (FinishReason.TOOL_CALLS if calls else FinishReason.STOP)


async def test_turns_are_counted_and_results_repeated() -> None:
    reply = await whole(ScriptedEngine(), asking("One.", "Two."))
    assert reply.text == "You said: Two. That was turn 2."
    told = replace(asking("x"), messages=(Message(Role.TOOL, '{"a": 1}', tool_call_id="c"),))
    assert (await whole(ScriptedEngine(), told)).text == 'The tool said: {"a": 1}.'


async def test_a_long_story_has_twelve_sentences() -> None:
    reply = await whole(ScriptedEngine(), asking("Tell me a long story."))
    assert len(reply.pieces) == 12
    assert reply.text.endswith("This is sentence 12.")


@pytest.mark.virtual_time
async def test_it_keeps_its_times() -> None:
    loop = asyncio.get_running_loop()
    begun = loop.time()
    pieces = ScriptedEngine(0.4, 60.0).generate(asking("one two three four"))
    at = [loop.time() - begun async for piece in pieces if isinstance(piece, TextPiece)]
    assert len(at) == 10
    assert at[0] == pytest.approx(0.4)
    assert all(b - a == pytest.approx(1 / 60) for a, b in pairwise(at))
