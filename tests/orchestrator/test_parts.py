"""The smaller parts, each for itself."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import Any

import pytest
from google.protobuf.wrappers_pb2 import StringValue as Text
from hypothesis import given, strategies as st

from orchestrator import commands, events
from orchestrator.conversation import CallFacts, Conversation
from orchestrator.digits import DIGITS, Digits
from orchestrator.ledger import Ledger
from orchestrator.outlet import Outlet
from orchestrator.waterfall import Waterfall
from voicemesh.api.journal.v1 import journal_pb2, turn_pb2
from voicemesh.bots import Bot, Keypad
from voicemesh.errors import OutOfOrder
from voicemesh.journal import Memory

RATE = 8000

# Digits.


def pressed(keys: str, keypad: Keypad, ledger: Ledger | None = None) -> Digits:
    digits = Digits(ledger or Ledger(Memory(), 0.0), keypad)
    for offset, key in enumerate(keys):
        assert digits.pressed(events.DigitPressed(offset, key))
    return digits


MENU = {"1": "Book.", "#": "Again."}


@pytest.mark.parametrize(
    ("keys", "keypad", "complete", "taken"),
    [
        ("12", {}, False, ("12", "", 1)),
        ("12#", {}, True, ("12", "", 2)),
        ("#", {}, True, ("#", "", 0)),
        ("1" * 64, {}, True, ("1" * 64, "", 63)),
        ("", {}, False, None),
        ("12*", {"terminator": "*"}, True, ("12", "", 2)),
        ("12#", {"terminator": ""}, False, ("12#", "", 2)),
        ("123", {"most_digits": 3}, True, ("123", "", 2)),
        ("1", {"menu": MENU}, False, ("1", "Book.", 0)),
        ("1", {"menu": MENU, "most_digits": 1}, True, ("1", "Book.", 0)),
        ("#", {"menu": MENU}, True, ("#", "Again.", 0)),
        ("2", {"menu": MENU}, False, ("2", "", 0)),
        ("4711#", {"secret": True}, True, ("****", "", 4)),
        ("1#", {"secret": True, "menu": MENU}, True, ("1", "Book.", 1)),
        ("2#", {"secret": True, "secret_meaning": "My PIN."}, True, ("****", "My PIN.", 1)),
    ],
)
def test_digits(
    keys: str, keypad: dict[str, Any], *, complete: bool, taken: tuple[str, str, int] | None
) -> None:
    digits = pressed(keys, Keypad(**keypad))
    assert digits.complete is complete
    assert digits.first_offset == (0 if keys else None)
    assert digits.take() == taken
    assert digits.take() is None


def test_keys_behind_an_input_that_waits_are_the_next() -> None:
    ledger = Ledger(Memory(), 0.0)
    digits = pressed("12#34#5", Keypad(), ledger)
    assert digits.take() == ("12", "", 2)
    assert digits.first_offset == 3
    assert ledger.has_deadline(DIGITS)
    assert digits.take() == ("34", "", 5)
    assert not digits.complete
    assert digits.take() == ("5", "", 6)
    assert not ledger.has_deadline(DIGITS)


def test_a_secret_is_known_to_the_ledger_and_to_no_entry() -> None:
    ledger = Ledger(Memory(), 0.0)
    digits = pressed("4711#", Keypad(secret=True), ledger)
    assert "4711" not in str(digits.take())
    assert ledger.secret == "4711"  # noqa: S105


def test_digit_that_is_in_the_journal_is_no_news() -> None:
    ledger = Ledger(Memory(digits_offset=5), 0.0)
    digits = Digits(ledger, Keypad())
    assert not digits.pressed(events.DigitPressed(5, "1"))
    assert not ledger.has_deadline(DIGITS)
    assert digits.pressed(events.DigitPressed(6, "1"))


# Hearing.

CHUNK = RATE // 5


def spoken() -> Conversation:
    """Return a conversation whose caller has just stopped speaking."""
    facts = CallFacts(call_id="call", bot="echo", rate=RATE, replica="orchestrator-0")
    conversation = Conversation(Bot(name="echo"), facts, Memory(), 0.0)
    conversation.start(0.0)
    conversation.handle(events.SpeechStarted(CHUNK, 0), 1.0)
    for number in range(5):
        conversation.handle(events.AudioArrived(number * CHUNK, bytes(2 * CHUNK)), 1.0)
    conversation.handle(events.SpeechEnded(5 * CHUNK, 5 * CHUNK), 1.0)
    return conversation


def test_final_words_outlive_the_recogniser_that_found_them() -> None:
    conversation = spoken()
    conversation.handle(events.Recognised(1, 0, "all of it", True, 5 * CHUNK, 0.0), 1.1)
    conversation.handle(events.RecognitionFailed(1, 0, "it is gone"), 1.15)
    # The next one begins with the first sound again, and the caller has stopped by now.
    conversation.handle(events.Recognised(1, 1, "al", False, 2 * CHUNK, 0.0), 1.2)
    conversation.handle_timer(3.0)
    (said,) = [turn.caller_text for turn in conversation.memory.turns if turn.caller_text]
    assert said == "all of it"


def test_words_so_far_are_not_forgotten_when_a_recogniser_begins_anew() -> None:
    conversation = spoken()
    conversation.handle(events.Recognised(1, 0, "nearly all", False, 4 * CHUNK, 0.0), 1.1)
    conversation.handle(events.RecognitionFailed(1, 0, "it is gone"), 1.15)
    conversation.handle(events.Recognised(1, 1, "ne", False, CHUNK, 0.0), 1.2)
    for attempt in range(1, 5):
        conversation.handle(events.RecognitionFailed(1, attempt, "no such", lasting=True), 20.0)
    (said,) = [turn.caller_text for turn in conversation.memory.turns if turn.caller_text]
    assert said == "nearly all"


def resumed(said_offset: int) -> Conversation:
    """Return a conversation that goes on with a call, and is told again what it knows."""
    memory = Memory(started=journal_pb2.CallStarted(), next_sequence=3, said_offset=said_offset)
    facts = CallFacts(call_id="call", bot="echo", rate=RATE, replica="orchestrator-1")
    conversation = Conversation(Bot(name="echo"), facts, memory, 0.0)
    conversation.start(0.0)
    return conversation


def heard(found: list[commands.Command]) -> list[int]:
    return [command.offset for command in found if isinstance(command, commands.Hear)]


def test_words_that_are_in_the_journal_are_passed_over_with_their_barge_in() -> None:
    conversation, found = resumed(5 * CHUNK), []
    found += conversation.handle(events.SpeechStarted(CHUNK, 0), 1.0)
    found += conversation.handle(events.BargedIn(CHUNK + 1, 10), 1.0)
    for number in range(6):
        audio = events.AudioArrived(number * CHUNK, bytes(2 * CHUNK))
        found += conversation.handle(audio, 1.0)
    found += conversation.handle(events.SpeechEnded(6 * CHUNK, 5 * CHUNK), 1.0)
    assert {type(command) for command in found} == {commands.Ack}
    # What comes behind is new.
    begun = conversation.handle(events.SpeechStarted(9 * CHUNK, 8 * CHUNK), 2.0)
    assert commands.Listen in {type(command) for command in begun}


@pytest.mark.parametrize("chunks", [6, 12])
def test_of_an_utterance_that_was_too_long_the_rest_is_heard(chunks: int) -> None:
    conversation, found = resumed(5 * CHUNK + 10), []
    for number in range(chunks):
        audio = events.AudioArrived(number * CHUNK, bytes(2 * CHUNK))
        found += conversation.handle(audio, 1.0)
    found += conversation.handle(events.SpeechEnded(chunks * CHUNK, chunks * CHUNK - 5), 1.0)
    assert heard(found) == [5 * CHUNK + 10, *range(6 * CHUNK, chunks * CHUNK, CHUNK)]
    assert commands.Conclude(1, 0) in found


# Waterfall.

STAGES = [
    turn_pb2.STAGE_ENDPOINT,
    turn_pb2.STAGE_TRANSCRIPT,
    turn_pb2.STAGE_TOOLS,
    turn_pb2.STAGE_FIRST_TOKEN,
    turn_pb2.STAGE_FIRST_SENTENCE,
    turn_pb2.STAGE_FIRST_AUDIO,
]


@given(st.lists(st.tuples(st.sampled_from(STAGES), st.floats(0, 5), st.floats(0, 9)), min_size=1))
def test_stages_sum_to_the_time_of_the_last(
    closings: list[tuple[turn_pb2.Stage.ValueType, float, float]],
) -> None:
    now, last = 100.0, 100.0
    waterfall = Waterfall(now, 0)
    for stage, pause, engine in closings:
        now += pause
        if not waterfall.has(stage):
            waterfall.close(stage, now, engine, "engine")
            last = now
    stages = waterfall.report("r").stages
    total = sum(part.duration.ToNanoseconds() for part in stages) / 1e9
    assert total == pytest.approx(last - 100.0, abs=1e-6)
    for part in stages:
        assert 0 <= part.engine_duration.ToNanoseconds() <= part.duration.ToNanoseconds()


def test_second_round_of_tools_belongs_to_the_stage() -> None:
    waterfall = Waterfall(0.0, 0)
    waterfall.extend(turn_pb2.STAGE_TOOLS, 1.0)
    waterfall.extend(turn_pb2.STAGE_TOOLS, 3.0)
    [stage] = waterfall.report("r").stages
    assert stage.duration.ToMilliseconds() == 3000


# Outlet.


class Paper:
    """A stream that takes messages when it may."""

    def __init__(self) -> None:
        self.written: list[Text] = []
        self.closed = False
        self.may = asyncio.Event()

    async def write(self, message: Text) -> None:
        await self.may.wait()
        self.written.append(message)

    async def done_writing(self) -> None:
        self.closed = True


async def test_outlet_writes_what_was_put_and_ends() -> None:
    outlet: Outlet[Text] = Outlet(2)
    paper = Paper()
    draining = asyncio.create_task(outlet.drain(paper))
    one, two, three = (Text(value=value) for value in "123")
    assert outlet.put(one)
    await asyncio.sleep(0)  # it is being written
    assert outlet.put(two)
    assert outlet.put(three)
    assert not outlet.put(Text(value="4"))
    outlet.close()
    assert not outlet.put(Text(value="5"))
    paper.may.set()
    await draining
    assert paper.written == [one, two, three]
    assert paper.closed


async def test_outlet_that_is_closed_while_it_waits_ends() -> None:
    outlet: Outlet[Text] = Outlet(2)
    paper = Paper()
    draining = asyncio.create_task(outlet.drain(paper))
    await asyncio.sleep(0)
    outlet.close()
    await draining
    assert paper.closed
    assert not paper.written


# What the contract does not allow.

AUDIO = events.AudioArrived(0, bytes(1600))
STARTED = events.SpeechStarted(900, 0)
ENDED = events.SpeechEnded(2000, 800)
STATES: dict[str, list[events.Event]] = {
    "quiet": [],
    "speaking": [STARTED, AUDIO],
    "paused": [STARTED, AUDIO, ENDED],
    "cut": [STARTED, *(events.AudioArrived(n * RATE, bytes(2 * RATE)) for n in range(29))],
}
ILLEGAL = {
    ("speaking", "started"),
    ("paused", "audio"),
    ("paused", "ended"),
}
HAPPENINGS: dict[str, events.Event] = {
    "started": events.SpeechStarted(300_000, 290_000),
    "audio": events.AudioArrived(300_000, bytes(1600)),
    "ended": events.SpeechEnded(300_000, 290_000),
}


def conversation() -> Conversation:
    facts = CallFacts("call", "desk", RATE, "r")
    talk = Conversation(Bot(name="desk"), facts, Memory(), 0.0)
    talk.start(0.0)
    return talk


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("happening", HAPPENINGS)
def test_every_state_takes_what_it_may_and_nothing_else(state: str, happening: str) -> None:
    talk = conversation()
    for event in STATES[state]:
        talk.handle(event, 1.0)
    if (state, happening) in ILLEGAL:
        with pytest.raises(OutOfOrder):
            talk.handle(HAPPENINGS[happening], 1.0)
    else:
        talk.handle(HAPPENINGS[happening], 1.0)


def test_audio_that_was_heard_already_is_dropped() -> None:
    talk = conversation()
    talk.handle(STARTED, 1.0)
    heard = []
    for event in (AUDIO, AUDIO, events.AudioArrived(400, bytes(1600))):
        heard += [c for c in talk.handle(event, 1.0) if isinstance(c, commands.Hear)]
    ends = [(command.offset, command.offset + len(command.data) // 2) for command in heard]
    assert ends == [(0, 800), (800, 1200)]
    assert all(end == start for (_, end), (start, _) in pairwise(ends))
