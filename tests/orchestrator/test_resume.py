"""A call that loses its orchestrator, wherever it may be, is the call that did not.

Each story is told once undisturbed. Then the link is cut at every step of it (whatever is on the
way in either direction is lost, the replica is gone), a new conversation is made from the gateway's
journal, and the caller's side is replayed from the offset that it wants.

Mutations that these tests and ``test_interleavings`` find (change the line, see them fail):

* Commit before the journal: in ``Ledger.acknowledge`` acknowledge ``self._received`` twice: words
  are forgotten that no entry has.
* Effect before entry: in ``Thinking._intend_one`` emit the call before the entry is written.
* Forget what is held: in ``Speaking.__init__`` begin with ``self.cursor = memory.bot_offset``: the
  caller hears the beginning of a sentence twice.
* Commit into an utterance: in ``Hearing._begin`` let ``first`` be ``start_offset + margin``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given, settings, strategies as st

from tests.orchestrator.driver import World, answers
from tests.orchestrator.model_gateway import RATE
from tests.orchestrator.model_senses import Call, Line
from voicemesh.bots import Bot
from voicemesh.journal import ReplyState

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass
class Story:
    """What the caller does, and what the bot is; the caller waits for the bot, not for a clock."""

    acts: list[Callable[[World], None]]
    bot: dict[str, Any] = field(default_factory=dict)
    answers: dict[str, Line] = field(default_factory=dict)
    results: dict[str, str] = field(default_factory=dict)

    def world(self) -> World:
        world = World(Bot.model_validate({"name": "desk"} | self.bot), answers(self.answers))
        world.tools.results = self.results
        return world

    def tell(self, world: World) -> World:
        world.open()
        for act in self.acts:
            act(world)
        world.finish()
        return world


def says(text: str) -> Callable[[World], None]:
    def act(world: World) -> None:
        world.until_quiet()
        world.caller_says(text)

    return act


def interrupts(text: str, seconds: float) -> Callable[[World], None]:
    """Speak when so much of the answer was heard, but not before all of it is there."""

    def complete(world: World) -> bool:
        turn = world.memory.turn
        ends = [sentence.end_offset for sentence in turn.sentences] if turn else []
        return bool(turn and turn.caller_text and turn.reply is ReplyState.FINISHED and all(ends))

    def act(world: World) -> None:
        world.until(lambda: complete(world))
        start = world.memory.turns[-1].sentences[0].start_offset or 0
        world.bot_plays(seconds - (world.gateway.playout.heard - start) / RATE)
        world.caller_says(text)

    return act


def presses(digits: str) -> Callable[[World], None]:
    def act(world: World) -> None:
        world.until_quiet()
        for digit in digits:
            world.gateway.caller_presses(digit)
            world.clock.run(0.1)

    return act


def commands(key: str, words: str) -> Callable[[World], None]:
    return lambda world: world.gateway.application_asks(key, "say", words)


def quiet(world: World) -> None:
    world.until_quiet()


BOOK = {"name": "book", "description": "Books.", "url": "http://b/", "filler": "One moment."}
STORIES = {
    "greeting": Story([quiet], {"greeting": "Good day. How can I help you?"}),
    "questions": Story(
        [says("when are you open"), says("and on sunday"), quiet],
        {"greeting": "Hello."},
        {"when are you open": ["We open at", " eight. ", "We close at six. Anything", " else?"]},
    ),
    "booking": Story(
        [says("book monday"), says("thank you"), quiet],
        {"tools": [BOOK]},
        {
            "book monday": [Call("book", {"day": "Monday"})],
            'tool {"ok": 1}': ["You are booked. ", "Anything else?"],
        },
        {"book": '{"ok": 1}'},
    ),
    "words_then_tools": Story(
        [says("book monday"), quiet],
        {"tools": [BOOK, BOOK | {"name": "look"}]},
        {"book monday": ["Let me see. ", Call("look", {"a": 1}), Call("book", {"day": "Monday"})]},
        {"book": '{"ok": 1}', "look": '{"free": 1}'},
    ),
    "interruption": Story(
        [says("a story"), interrupts("no stop it", 0.9), says("go on"), quiet],
        {},
        {"a story": "Once upon a time there was a king. He had three daughters. They were nice."},
    ),
    "backchannel": Story(
        [says("a story"), interrupts("uh huh", 0.9), quiet],
        {},
        {"a story": "Once upon a time there was a king. He had three daughters and a horse."},
    ),
    "goodbye": Story([says("bye"), quiet], {}, {"bye": ["Thank you. Goodbye.", Call("hang_up")]}),
    "goodbye_interrupted": Story(
        [says("bye"), interrupts("wait please", 0.6), quiet],
        {},
        {"bye": ["Thank you for calling. Goodbye.", Call("hang_up")]},
    ),
    "digits": Story(
        [presses("12#"), presses("34"), says("and a word"), quiet], {"greeting": "Number please."}
    ),
    "commands": Story(
        [says("hello"), commands("c1", "You are next."), quiet, commands("c2", "Thanks."), quiet],
        {"greeting": "Hi."},
    ),
    "no_replies": Story([says("just a note"), says("and another"), quiet], {"replies": False}),
}


def outcome(world: World) -> dict[str, Any]:
    """What must not depend on cuts."""
    memory = world.memory
    return {
        "caller": world.caller_text,
        "bot": world.bot_text,
        "turns": [
            (turn.number, turn.caller_text, turn.reply, turn.heard_text, turn.literal)
            for turn in memory.turns
        ],
        "tools": world.tools.done,
        "answers": {key: tool.result_json for key, tool in memory.tools.items()},
        "actions": world.gateway.carried_out,
        "sound": world.gateway.playout.samples.tobytes(),
        "silenced": [end for _, end in world.gateway.playout.silenced],
        "reason": memory.end_reason,
    }


def with_cuts(story: Story, cuts: dict[int, float]) -> World:
    """Tell a story and cut the link at these steps, each for so many seconds."""
    world = story.world()
    step = world.clock.step

    def cutting_step() -> None:
        step()
        pause = cuts.get(world.clock.steps)
        if pause is not None and world.replica:
            world.crash(pause)

    world.clock.step = cutting_step  # type: ignore[method-assign]
    return story.tell(world)


@pytest.mark.parametrize("name", STORIES)
def test_resumes_from_every_step(name: str) -> None:
    story = STORIES[name]
    undisturbed = story.tell(story.world())
    expected = outcome(undisturbed)
    for step in range(1, undisturbed.clock.steps):
        try:
            told = outcome(with_cuts(story, {step: 0.05}))
        except AssertionError as error:
            raise AssertionError(f"cut at step {step}: {error}") from error
        assert told == expected, f"cut at step {step}"


# Where in a sentence an interruption falls depends on how long the bot was held up before.
STEADY = sorted(set(STORIES) - {"interruption", "backchannel", "goodbye_interrupted"})
CUTS = st.dictionaries(
    st.integers(1, 400), st.sampled_from([0.0, 0.003, 0.05, 0.4, 2.0]), max_size=6
)


@settings(max_examples=100, deadline=None)
@given(name=st.sampled_from(STEADY), cuts=CUTS)
def test_resumes_again_and_again(name: str, cuts: dict[int, float]) -> None:
    story = STORIES[name]
    expected = outcome(story.tell(story.world()))
    assert outcome(with_cuts(story, cuts)) == expected


@settings(max_examples=60, deadline=None)
@given(name=st.sampled_from(sorted(STORIES)), cuts=CUTS)
# The session that at last judges a nod comes up long after the pause began.
@example(name="backchannel", cuts={147: 2.0, 181: 0.4, 201: 2.0})
@example(name="goodbye_interrupted", cuts={8: 0.0, 13: 0.0, 103: 2.0})
def test_loses_no_word_and_repeats_no_tool(name: str, cuts: dict[int, float]) -> None:
    story = STORIES[name]
    expected = story.tell(story.world())
    told = with_cuts(story, cuts)
    # A bot that was held up may have hung up before the caller came to interrupt it.
    in_time = told.gateway.carried_out == expected.gateway.carried_out
    said = len(expected.caller_text) if in_time else len(told.caller_text)
    assert told.caller_text == expected.caller_text[:said]
    assert told.tools.done == expected.tools.done
