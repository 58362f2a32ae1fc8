from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from numpy.typing import NDArray

from adapters.language import (
    Fact,
    FinishReason,
    GenerationRequest,
    Intent,
    Knowledge,
    Message,
    Role,
    Slot,
    Tool,
    ToolCall,
)
from adapters.llm.retrieval.dialogue import answer, today_of
from adapters.llm.retrieval.engine import RetrievalEngine
from adapters.llm.retrieval.matching import Matcher
from adapters.llm.retrieval.state import Reply, Setting
from tests.adapters.llm.support import asking, bag_of_words, said, settle, whole
from voicemesh.errors import NotFound, Refused

SLOTS = (
    Slot("date", "date", "Which day?"),
    Slot("people", "number", "How many?"),
    Slot("room", "choice", "Garden or hall?", ("garden", "hall")),
    Slot("code", "digits", "Which code?"),
    Slot("wish", "text", "Any wish?"),
)
KNOWLEDGE = Knowledge(
    facts=(Fact(("Where is it?",), "It is here."), Fact(("Is it dear?",), "No, it is cheap.")),
    intents=(
        Intent("book", ("Book a table.",), SLOTS, "book", "Done: {date}, {id}.", "No luck."),
        Intent("menu", ("Read the menu.",), reply="Soup, then fish."),
        Intent("order", ("Order soup.",), tool="order", reply="Soup comes.", failure_reply=""),
        Intent("bye", ("Goodbye now.",), tool="hang_up", reply="Bye."),
    ),
    unknown_reply="I do not know.",
)
SCHEMA = '{"properties": {"people": {"type": "integer"}, "replaces": {"type": "string"}}}'
TOOLS = (Tool("book", "", SCHEMA), Tool("order", "", "{}"), Tool("hang_up", "", "{}"))
TODAY = Message(Role.SYSTEM, "Be kind. Today is Tuesday, 2026-11-24. Be brief.")
FULL = said("Book a table.", "Friday", "six", "the hall", "4 7 1 1", "A cake, please.")


def reply_to(*messages: Message, tools: tuple[Tool, ...] = TOOLS) -> Reply:
    search = Matcher(bag_of_words).of(KNOWLEDGE)
    history = (TODAY, *messages)
    return answer(Setting(KNOWLEDGE, tools, search, today_of(history)), history)


def called(identity: str, name: str = "book", arguments: str = "{}") -> Message:
    return Message(Role.BOT, "", (ToolCall(identity, name, arguments),))


def told(text: str, identity: str) -> Message:
    return Message(Role.TOOL, text, tool_call_id=identity)


def test_every_kind_of_slot_is_asked_for_and_sent() -> None:
    questions = [reply_to(*FULL[:count]).text for count in range(1, 6)]
    assert [question.split(". ")[-1] for question in questions] == [slot.question for slot in SLOTS]
    call = reply_to(*FULL).call
    assert call is not None
    assert dict(call.arguments) == {
        "date": "2026-11-27",
        "people": 6,
        "room": "hall",
        "code": "4711",
        "wish": "A cake, please.",
    }


def test_a_correction_names_what_it_replaces() -> None:
    sent = '{"date": "2026-11-27", "people": 6, "room": "hall", "code": "4711", "wish": "cake"}'
    booked = (*FULL, called("c1", arguments=sent), told('{"id": "b7"}', "c1"))
    assert reply_to(*booked).text == "Done: Friday, the twenty-seventh of November, b7."
    call = reply_to(*booked, *said("no, make it Thursday")).call
    assert call is not None
    assert (call.arguments["date"], call.arguments["replaces"]) == ("2026-11-26", "b7")


@pytest.mark.parametrize(
    "result",
    ["", "nonsense", "[]", "null", "7", '{"error": "full"}', "[" * 100_000, '{"error": {"a": 1}}'],
)
def test_a_malformed_or_failed_result_is_a_failure(result: str) -> None:
    assert reply_to(*FULL, called("c1"), told(result, "c1")).text == "No luck."


def test_a_failed_call_is_not_repeated_until_something_changes() -> None:
    failed = (*FULL, called("c1"), told("{}broken", "c1"))
    assert reply_to(*failed, *said("Is it dear?")).call is None
    again = reply_to(*failed, *said("Saturday then")).call
    assert again is not None
    assert again.arguments["date"] == "2026-11-28"


def test_a_tool_without_slots_that_fails_says_so_and_ends_there() -> None:
    failed = (*said("Order soup."), called("c1", "order"), told("", "c1"))
    assert reply_to(*failed) == Reply("I do not know.")
    assert reply_to(*failed, *said("Where is it?")).text == "It is here."


@pytest.mark.parametrize("identity", ["c1", "unknown", ""])
def test_a_result_is_taken_up_whatever_its_id(identity: str) -> None:
    reply = reply_to(*FULL, called("c1"), told('{"id": "x"}', identity))
    assert reply.text == "Done: Friday, the twenty-seventh of November, x."


def test_a_result_out_of_nowhere_says_nothing() -> None:
    assert reply_to(told("{}", "c9")) == Reply()


def test_a_call_that_was_not_made_is_made_again() -> None:
    assert reply_to(*FULL, *said("hello there friend")).call == reply_to(*FULL).call


def test_a_tool_that_may_not_be_called_is_not() -> None:
    assert reply_to(*FULL, tools=()) == Reply("I do not know.")
    assert reply_to(*said("Goodbye now."), tools=()) == Reply("Bye.")


def test_slots_that_another_engine_filled_are_taken_as_they_are() -> None:
    sent = '{"date": "soon", "people": 6, "room": null, "code": [], "wish": "x"}'
    history = (*said("Hi"), called("c1", arguments=sent), told('{"id": "b7"}', "c1"))
    call = reply_to(*history, *said("no, make it Thursday")).call
    assert call is not None
    assert (call.arguments["date"], call.arguments["replaces"]) == ("2026-11-26", "b7")


def test_intents_without_a_tool_just_answer() -> None:
    assert reply_to(*said("Read the menu.")) == Reply("Soup, then fish.")


def test_a_reply_that_was_begun_is_finished() -> None:
    begun = (*said("Is it dear?"), Message(Role.BOT, "No, it "))
    assert reply_to(*begun).text == "is cheap."
    other = (*said("Is it dear?"), Message(Role.BOT, "Something else."))
    assert reply_to(*other).text == "No, it is cheap."


def test_the_instructions_name_the_day() -> None:
    assert today_of((TODAY,)).isoformat() == "2026-11-24"
    assert today_of(()).year >= 2026


UTTERANCES = st.sampled_from(
    [
        *(message.text for message in FULL),
        "Is it dear? And where is it?",
        "no",
        "yes",
        "never mind",
        "no, Thursday",
        "Goodbye now.",
        "pardon?",
        "",
        "!?",
        "Actually,",
        "Order soup.",
        "7",
    ]
)
RESULTS = st.sampled_from(['{"id": "b1"}', '{"error": "x"}', "", '{"id": 3, "date": null}'])


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(UTTERANCES, RESULTS, st.booleans()), max_size=8))
def test_any_conversation_goes_on_and_two_replicas_agree(
    turns: list[tuple[str, str, bool]],
) -> None:
    history: list[Message] = []
    for text, result, heard in turns:
        history.append(Message(Role.CALLER, text))
        for _ in range(3):
            reply = reply_to(*history)
            assert reply == reply_to(*history)
            assert reply.text or reply.call
            if not reply.call or not heard:
                break
            history.append(called(f"c{len(history)}", reply.call.name))
            if reply.call.name == "hang_up":
                break
            history.append(told(result, f"c{len(history) - 1}"))
            assert reply_to(*history).call is None


async def started(**options: object) -> RetrievalEngine:
    engine = RetrievalEngine(encoder=lambda: bag_of_words, **options)  # type: ignore[arg-type]
    await engine.start()
    return engine


async def test_a_reply_comes_in_pieces_and_finishes() -> None:
    engine = await started()
    request = replace(asking("Where is it? And is it dear?"), knowledge=KNOWLEDGE)
    reply = await whole(engine, request)
    assert reply.pieces == ("It is here.", " No, it is cheap.")
    assert reply.reason is FinishReason.STOP
    leaving = await whole(engine, replace(asking("Goodbye now."), knowledge=KNOWLEDGE, tools=TOOLS))
    assert (leaving.text, leaving.calls) == ("Bye.", (("hang_up", {}),))
    assert leaving.reason is FinishReason.TOOL_CALLS
    await engine.stop()


async def test_an_unknown_model_is_not_found() -> None:
    engine = await started()
    with pytest.raises(NotFound, match="no model 'big'"):
        await whole(engine, replace(asking("Hello"), model="big"))
    await engine.stop()


class Gate:
    """An encoder that waits to be let through."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.entered = threading.Event()

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.entered.set()
        assert self.open.wait(10)
        return bag_of_words(texts)


async def test_full_is_refused_and_cancelled_makes_room() -> None:
    gate = Gate()
    engine = RetrievalEngine(encoder=lambda: gate, waiting=1)
    await engine.start()
    request = replace(asking("Where is it?"), knowledge=KNOWLEDGE)
    running = asyncio.create_task(whole(engine, request))
    await asyncio.get_running_loop().run_in_executor(None, gate.entered.wait)
    waiting = asyncio.create_task(whole(engine, request))
    await settle()
    with pytest.raises(Refused, match="too many"):
        await whole(engine, request)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    late = asyncio.create_task(whole(engine, request))
    await settle()
    gate.open.set()
    assert (await running).text == (await late).text == "It is here."
    await engine.stop()


async def test_bots_of_a_folder_are_read_at_the_start(tmp_path: Path) -> None:
    bots = Path(__file__).parents[3] / "bots"
    seen: list[str] = []

    def encoder(texts: Sequence[str]) -> NDArray[np.float32]:
        seen.extend(texts)
        return bag_of_words(texts)

    for folder in (bots, tmp_path):
        engine = RetrievalEngine(folder, encoder=lambda: encoder)
        await engine.start()
        await engine.stop()
    assert "What are your opening hours?" in seen


def test_requests_without_knowledge_are_answered_with_unknown() -> None:
    search = Matcher(bag_of_words).of(Knowledge(unknown_reply="Sorry."))
    setting = Setting(Knowledge(unknown_reply="Sorry."), (), search, today_of((TODAY,)))
    assert answer(setting, said("Anything?")) == Reply("Sorry.")
    assert GenerationRequest(()).messages == ()
