"""Whatever breaks, and whenever: the call is the call in which nothing broke.

Both sides of a call are joined in memory (``joined``), and stories are told to them: once
undisturbed, and then with orchestrators that die, links that are cut in one direction or both,
orchestrators that stay away for a while, and replicas that want to go. What the journal says, what
the caller heard and which tools were called must be the same. What these tests find when a rule of
the protocol is broken: ``MUTATIONS.md``.
"""

from __future__ import annotations

from functools import cache, partial
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given, settings, strategies as st

from orchestrator import events
from orchestrator.conversation import Conversation
from orchestrator.turns import NOT_CAUGHT
from tests.chaos.joined import Joined
from tests.orchestrator.driver import WALL_OFFSET, answers
from tests.orchestrator.model_gateway import RATE
from tests.orchestrator.model_senses import Call as ToolCall
from tests.orchestrator.test_resume import BOOK, STEADY, STORIES, Story, quiet, says
from voicemesh.api.language.v1 import language_pb2
from voicemesh.bots import Bot
from voicemesh.journal import ReplyState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.commands import Command, Think
    from tests.orchestrator.driver import Script
    from tests.orchestrator.model_senses import Line

Fault = tuple[float, str, float]
"""When (as a part of the undisturbed call), what, and for how long nobody is there then."""

HOW = ("die", "cut", "mute", "drain", "linger")
FAULTS = st.lists(
    st.tuples(
        st.floats(0, 1),
        st.sampled_from(["die", *HOW]),
        st.sampled_from([0.0, 0.0, 0.1, 0.7, 3.0]),
    ),
    min_size=1,
    max_size=6,
)


def told(
    story: Story,
    faults: Sequence[Fault] = (),
    seconds: float = 0.0,
    last_response: int | None = None,
    script: Script | None = None,
    *,
    tells_nothing: bool = False,
) -> Joined:
    """Tell a story, in which things go wrong; `seconds` is how long it takes undisturbed."""
    bot = Bot.model_validate({"name": "desk"} | story.bot)
    world = Joined(bot, script or answers(story.answers))
    world.tools.results = story.results
    world.last_response = last_response
    world.tells_nothing = tells_nothing
    for part, how, gone in faults:
        world.clock.at(part * seconds, partial(world.hurt, how, gone))
    story.tell(world)
    return world


@cache
def undisturbed(name: str) -> Joined:
    return told(STORIES[name])


def outcome(world: Joined) -> dict[str, Any]:
    """What must not depend on what goes wrong."""
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
        "actions": world.phone.carried_out,
        "heard": world.phone.sound,
        "reason": memory.end_reason,
    }


def same_call(world: Joined, calm: Joined) -> None:
    assert outcome(world) == outcome(calm)


def same_words(world: Joined, calm: Joined) -> None:
    """Compare what a caller who interrupts said and had done.

    Where in a sentence that falls, and whether a nod comes near its end, depends on how long the
    bot was held up before.
    """
    # A bot that was held up may have hung up before the caller came to interrupt it.
    in_time = world.phone.carried_out == calm.phone.carried_out
    said = len(calm.caller_text) if in_time else len(world.caller_text)
    assert world.caller_text == calm.caller_text[:said]
    assert world.tools.done == calm.tools.done
    assert not [turn for turn in world.memory.turns if turn.reply is ReplyState.OPEN]


@pytest.mark.parametrize("name", STORIES)
def test_a_story_is_told_undisturbed(name: str) -> None:
    """What is compared with is right by itself."""
    world = undisturbed(name)
    assert world.memory.end_reason
    assert len(world.opens) == 1


def said_at(world: Joined) -> tuple[float, float]:
    """Return when the caller's first words were taken to be complete, and when they ended."""
    entries = world.phone.call.downlink.journal.entries
    (entry,) = [each for each in entries if each.HasField("caller_said")]
    at = entry.write_time.ToNanoseconds() / 1e9 - WALL_OFFSET
    return at, entry.caller_said.end_offset / RATE


def test_silence_that_was_there_before_is_not_waited_for_again() -> None:
    story = Story([says("when are you open"), quiet])
    calm = told(story)
    usual, end = said_at(calm)
    late = []
    for number in range(12):
        at = end + (usual - end) * (number + 0.5) / 12
        world = told(story, [(at / calm.clock.now, "die", 0.0)], calm.clock.now)
        late.append(said_at(world)[0] - usual)
    # What it takes to open a session and to hear the words again; not the whole silence.
    assert max(late) < 0.1


@settings(max_examples=150, deadline=None)
@given(name=st.sampled_from(STEADY), faults=FAULTS)
# The bot hangs up while no session stands; the next has to know that all was heard.
@example(name="goodbye", faults=[(0.71875, "linger", 0.0), (0.71875, "die", 0.0)])
@example(name="goodbye", faults=[(0.7265625, "linger", 0.0), (0.7265625, "die", 0.0)])
def test_a_call_is_the_same_whatever_breaks(name: str, faults: list[Fault]) -> None:
    calm = undisturbed(name)
    same_call(told(STORIES[name], faults, calm.clock.now), calm)


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("name", STEADY)
def test_a_call_is_the_same_wherever_it_breaks(name: str, how: str) -> None:
    calm = undisturbed(name)
    for number in range(20):
        at = (number + 0.5) / 20
        try:
            same_call(told(STORIES[name], [(at, how, 0.0)], calm.clock.now), calm)
        except AssertionError as error:
            raise AssertionError(f"at {at}: {error}") from error


@pytest.mark.parametrize("name", STORIES)
def test_a_session_may_die_behind_each_of_its_messages(name: str) -> None:
    calm = undisturbed(name)
    same = same_call if name in STEADY else same_words
    for number in range(1, calm.responses + 1):
        try:
            same(told(STORIES[name], last_response=number), calm)
        except AssertionError as error:
            raise AssertionError(f"behind message {number}: {error}") from error


@settings(max_examples=100, deadline=None)
@given(name=st.sampled_from(sorted(set(STORIES) - set(STEADY))), faults=FAULTS)
# Nobody judges the nod for longer than a pause may last.
@example(name="backchannel", faults=[(0.55, "die", 4.6)])
def test_interruptions_lose_no_word_and_repeat_nothing(name: str, faults: list[Fault]) -> None:
    calm = undisturbed(name)
    same_words(told(STORIES[name], faults, calm.clock.now), calm)


@settings(max_examples=30, deadline=None)
@given(at=st.floats(0.1, 0.9), gone=st.floats(2.0, 9.0))
def test_a_long_outage_is_bridged_and_changes_nothing(at: float, gone: float) -> None:
    calm = undisturbed("booking")
    world = told(STORIES["booking"], [(at, "die", gone)], calm.clock.now)
    assert outcome(world) == outcome(calm)
    # It is not told of while the caller speaks or hears something.
    assert world.phone.lines in (0, RATE) or 0 < world.phone.lines < RATE


def moody() -> Script:
    """Return a brain that never says the same twice."""
    moods = count()

    def script(_: Think) -> Line:
        mood = next(moods)
        return [f"This is mood {mood}. ", f"It may change from {mood}. ", f"Well, {mood} it is."]

    return script


def one_of_each_mood(faults: list[Fault]) -> None:
    story = Story([says("hello"), says("and now"), quiet], {"greeting": "Hello."})
    world = told(story, faults, 8.2, script=moody())
    assert world.caller_text == ["hello", "and now"]
    assert [len(turn.sentences) for turn in world.memory.turns] == [1, 3, 3]
    assert not [turn for turn in world.memory.turns if turn.reply is not ReplyState.FINISHED]


# A ghost and the session that took its place say different things; the caller hears one of them.
@settings(max_examples=40, deadline=None)
@given(faults=FAULTS)
def test_a_brain_that_answers_otherwise_each_time_is_heard_once(faults: list[Fault]) -> None:
    one_of_each_mood(faults)


@pytest.mark.parametrize("how", HOW)
def test_it_is_heard_once_wherever_it_breaks(how: str) -> None:
    for number in range(60):
        one_of_each_mood([((number + 0.5) / 60, how, 0.0)])


def changing_its_mind() -> Script:
    """A brain that books another day each time it is asked."""
    moods = count()

    def script(think: Think) -> Line:
        if think.prompt.messages[-1].role == language_pb2.ROLE_TOOL:
            return ["It is done."]
        return [ToolCall("book", {"day": next(moods)})]

    return script


@pytest.mark.parametrize("how", HOW)
def test_no_tool_is_called_whose_intent_the_gateway_has_not(how: str) -> None:
    for number in range(40):
        story = Story([says("book it"), quiet], {"tools": [BOOK]})
        fault = ((number + 0.5) / 40, how, 0.0)
        world = told(story, [fault], 5.0, script=changing_its_mind())
        (intent,) = world.memory.tools.values()
        assert world.tools.done == {intent.key: (intent.name, intent.arguments_json)}
        assert intent.answered


# Where the gateway does not say what it has, one that died or was cut off may have called a tool
# whose intent the gateway never got: with the same words its successor asks for the same by the
# same key, with others by another.
@pytest.mark.parametrize("how", HOW)
def test_a_key_stands_for_one_thing_whatever_the_brain_wants(how: str) -> None:
    for number in range(40):
        story = Story([says("book it"), quiet], {"tools": [BOOK]})
        fault = ((number + 0.5) / 40, how, 0.0)
        script = changing_its_mind()
        world = told(story, [fault], 5.0, script=script, tells_nothing=True)
        (intent,) = world.memory.tools.values()
        assert world.tools.done[intent.key] == (intent.name, intent.arguments_json)
        assert intent.answered


def test_no_orchestrator_for_good_is_an_apology_and_a_whole_record() -> None:
    story = STORIES["questions"]
    world = Joined(Bot.model_validate({"name": "desk"} | story.bot), answers(story.answers))
    world.open()
    says("when are you open")(world)
    world.until_quiet()
    before = world.memory
    world.hurt("die", 1000.0)
    world.until(lambda: world.phone.said_bye)
    assert world.phone.lines == 2 * RATE
    assert world.memory.end_reason == "failed"
    assert world.memory.turns == before.turns
    world.check()


def test_what_kills_every_orchestrator_is_left_out_and_the_call_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    acts = [says("hello"), says("abracadabra"), says("are you there"), quiet]
    world = Joined(Bot.model_validate({"name": "desk"}))
    deaths = 0
    handle = Conversation.handle

    def handle_or_die(self: Conversation, event: events.Event, now: float) -> list[Command]:
        nonlocal deaths
        if not (isinstance(event, events.Recognised) and "abracadabra" in event.text):
            return handle(self, event, now)
        deaths += 1
        next(one for one in world.wires if one.replica and one.replica.conversation is self).die()
        return []

    monkeypatch.setattr(Conversation, "handle", handle_or_die)
    world.open()
    for act in acts:
        act(world)
    world.phone.call_ends("caller_hung_up")
    world.until(lambda: world.phone.said_bye)
    assert 4 <= deaths <= 6
    assert world.caller_text == ["hello", "are you there"]
    assert NOT_CAUGHT in world.bot_text
    unheard = [e for e in world.gateway.journal.entries if e.HasField("caller_unheard")]
    assert len(unheard) == 1
