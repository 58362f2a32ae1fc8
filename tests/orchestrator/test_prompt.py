from __future__ import annotations

import json

from orchestrator.prompt import MAX_MESSAGES, compose
from voicemesh.api.language.v1 import language_pb2 as pb
from voicemesh.bots import Bot
from voicemesh.journal import Memory, ReplyState, Sentence, ToolUse, Turn

BOT = Bot(name="desk", persona="You are a desk.")
NAMES = {pb.ROLE_CALLER: "caller", pb.ROLE_BOT: "bot", pb.ROLE_TOOL: "tool"}


def told(*turns: Turn) -> list[str]:
    prompt = compose(BOT, Memory(turns=list(turns)), "call")
    assert prompt.messages[0].role == pb.ROLE_SYSTEM
    return [f"{NAMES[message.role]}: {message.text}" for message in prompt.messages[1:]]


def answered(text: str, *sentences: str, reply: ReplyState = ReplyState.FINISHED) -> Turn:
    parts: list[Sentence | ToolUse] = [Sentence(n, words) for n, words in enumerate(sentences)]
    return Turn(1, text, reply=reply, parts=parts)


def test_instructions_have_the_day_on_which_the_call_began() -> None:
    prompt = compose(BOT, Memory(started_seconds=1_700_000_000), "call")
    [system] = prompt.messages
    assert system.text == "You are a desk.\nToday is Tuesday, 2023-11-14."
    assert (prompt.call_id, prompt.turn) == ("call", 0)


def test_sentences_of_a_reply_are_one_message() -> None:
    assert told(answered("hi", "Hello.", "How are you?"), Turn(2, "fine")) == [
        "caller: hi",
        "bot: Hello. How are you?",
        "caller: fine",
    ]


def test_of_an_interrupted_reply_only_what_was_heard_is_told() -> None:
    turn = answered("hi", "Hello.", "How are you?", reply=ReplyState.INTERRUPTED)
    turn.heard_text = "Hello. How"
    assert told(turn) == ["caller: hi", "bot: Hello. How"]


def test_turns_that_nobody_answered_are_one_message() -> None:
    silent = answered("i want", reply=ReplyState.INTERRUPTED)
    assert told(silent, Turn(2, "to book"), Turn(3, "a room")) == ["caller: i want to book a room"]


def test_reply_that_broke_off_is_not_told_so_that_the_brain_begins_it_again() -> None:
    assert told(answered("hi", "Hello.", reply=ReplyState.OPEN)) == ["caller: hi"]


def test_tools_stand_between_the_words_around_them() -> None:
    turn = Turn(1, "book it", reply=ReplyState.OPEN)
    turn.parts = [
        Sentence(0, "Wait."),
        ToolUse("k1", 1, "look", "{}", result_json="7", answered=True),
        ToolUse("k2", 1, "book", '{"a": 1}', error='"no"', answered=True),
        Sentence(1, "Bad"),
    ]
    assert told(turn) == [
        "caller: book it",
        "bot: Wait.",
        "tool: 7",
        "bot: ",
        'tool: {"error": "\\"no\\""}',
    ]
    messages = compose(BOT, Memory(turns=[turn]), "call").messages
    assert [call.name for message in messages for call in message.tool_calls] == ["look", "book"]
    assert messages[3].tool_call_id == "k1"
    assert json.loads(messages[5].text) == {"error": '"no"'}


def test_tool_of_an_interrupted_reply_was_called_all_the_same() -> None:
    turn = Turn(1, "book it", reply=ReplyState.INTERRUPTED, heard_text="You are")
    turn.parts = [ToolUse("k", 1, "book", "{}", result_json="7", answered=True)]
    assert told(turn) == ["caller: book it", "bot: ", "tool: 7", "bot: You are"]


def test_oldest_messages_are_left_out_but_no_result_stands_alone() -> None:
    first = Turn(1, "book", reply=ReplyState.FINISHED)
    first.parts = [ToolUse("k", 1, "book", "{}", result_json="7", answered=True)]
    later = [
        Turn(number, f"q{number}", reply=ReplyState.FINISHED, parts=[Sentence(number, "A.")])
        for number in range(2, 1 + MAX_MESSAGES // 2)
    ]
    lines = told(first, *later, Turn(999, "last"))
    assert len(lines) <= MAX_MESSAGES
    assert lines[0].startswith("caller: q")
    assert lines[-1] == "caller: last"


def test_a_brain_is_not_told_what_its_bot_withholds() -> None:
    bot = Bot.model_validate({"name": "desk", "redaction": {"before_model": ["card"]}})
    turn = answered("my card is 4242 4242 4242 4242, mail a@b.co", "I take 4242 4242 4242 4242.")
    turn.parts.append(ToolUse("k", 1, "pay", '{"card": "4242424242424242"}', "{}", answered=True))
    messages = compose(bot, Memory(turns=[turn]), "call").messages
    assert messages[1].text == "my card is [card], mail a@b.co"
    assert messages[2].text == "I take [card]."
    assert messages[2].tool_calls[0].arguments_json == '{"card": "[card]"}'
    assert turn.caller_text.startswith("my card is 4242")
