"""Whatever callers, engines, applications and links do, in whatever order: the contract is kept.

The model gateway and the driver check each command as it comes: entries before effects, the memory
equal to the folded journal, bot audio without gap or overlap, nothing committed whose words are in
no entry, a tool's key for one thing only. Here everything that may happen is done at random.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import example, given, settings, strategies as st

from orchestrator import events
from tests.orchestrator.driver import World, answers
from tests.orchestrator.model_senses import Call, Fault
from voicemesh.bots import Bot
from voicemesh.bots.built_in import BUILT_IN
from voicemesh.journal import ReplyState, fold

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.orchestrator.model_senses import Line

LINES: dict[str, Line] = {
    "book it": ["Let me see. ", Call("book", {"day": 1})],
    "two things": [Call("book", {}), Call("look", {})],
    "unknown tool": [Call("cook", {})],
    "bye": ["Goodbye.", Call("hang_up")],
    "hand me over": ["Of course.", Call("transfer", {"target": "+1"})],
    "my name is ann": [Call("remember", {"name": "Ann"}), "Hello Ann."],
    "just note it": [Call("remember", {"note": "x"})],
    "tool {}": "Done.",
    "go on": ["Gladly.", Call("go_to", {"target": "second"})],
    "ask me": ["Type it.", Call("ask_digits", {"most_digits": 1, "secret": True})],
    "press for me": ["Now.", Call("send_digits", {"digits": "12"})],
    "say nothing": [Call("listen")],
    "a story": " ".join(f"This is sentence number {n}." for n in range(6)),
}
WORDS = [*LINES, "uh huh", "yes", "i want to", "what is that", "no"]

BOTS = st.fixed_dictionaries(
    {
        "greeting": st.sampled_from(["", "Good day. How can I help you?"]),
        "patience": st.sampled_from(["brisk", "normal", "patient"]),
        "replies": st.sampled_from([True, True, True, False]),
        "barge_in": st.builds(dict, enabled=st.sampled_from([True, True, False])),
        "brain": st.builds(
            dict,
            filler=st.sampled_from(["", "One moment."]),
            filler_after_seconds=st.sampled_from([0.05, 0.3]),
            most_characters=st.sampled_from([20, 2000]),
        ),
        "silence": st.builds(dict, reprompt_after_seconds=st.sampled_from([2.0, 8.0])),
    }
)


def _speak(world: World, words: str) -> None:
    if not world.gateway.speaking and not world.gateway.over:
        world.gateway.caller_begins(words)


def _cough(world: World, seconds: float) -> None:
    if not world.gateway.speaking and not world.gateway.over:
        world.gateway.caller_coughs(seconds)


def _press(world: World, key: str) -> None:
    if not world.gateway.over:
        world.gateway.caller_presses(key)


def _command(world: World, command: tuple[str, str, str]) -> None:
    if not world.gateway.over:
        world.gateway.application_asks(*command)


def _fault(world: World, fault: tuple[str, str, int]) -> None:
    sense, kind, after = fault
    waiting = getattr(world.faults, sense)
    if sense == "stt":
        world.gateway.hasty = True
    if len(waiting) < 3:
        waiting.append(Fault(kind, after) if kind != "fine" else None)


def _crash(world: World, seconds: float) -> None:
    if world.replica:
        world.crash(seconds)


def _stray(world: World, event: events.Event) -> None:
    """A result that comes too late, or from nowhere."""
    if world.replica:
        world.replica.handle(event)


ACTIONS: dict[str, tuple[Callable[[World, Any], None], st.SearchStrategy[Any]]] = {
    "wait": (
        lambda world, seconds: world.clock.run(seconds),
        st.sampled_from([0.003, 0.02, 0.1, 0.3, 0.7, 1.5, 4.0]),
    ),
    "speak": (_speak, st.sampled_from(WORDS)),
    "cough": (_cough, st.sampled_from([0.1, 0.5])),
    "press": (_press, st.sampled_from("12#")),
    "command": (
        _command,
        st.tuples(
            st.sampled_from(["k1", "k2", "k3"]),
            st.sampled_from(["say", "say", "say", "hang_up", "transfer"]),
            st.just("Something else."),
        ),
    ),
    "fault": (
        _fault,
        st.tuples(
            st.sampled_from(["stt", "llm", "tts"]),
            st.sampled_from(["refuse", "die", "hang", "fine"]),
            st.integers(0, 3),
        ),
    ),
    "crash": (_crash, st.sampled_from([0.0, 0.01, 0.3, 2.0])),
    "stray": (
        _stray,
        st.one_of(
            st.just(events.Recognised(-1, 0, "ghost", final=True, end_offset=0, engine_seconds=0)),
            st.just(events.RecognitionFailed(-1, 0, "ghost")),
            st.builds(events.TextArrived, st.just(-1), st.just("ghost"), st.just(0.0)),
            st.builds(events.ToolRequested, st.just(-1), st.just("book"), st.just("{}")),
            st.builds(events.ThoughtFailed, st.just(-1), st.just("ghost")),
            st.builds(events.ThoughtFinished, st.just(-1)),
            st.builds(events.SentenceSounding, st.just(-1), st.integers(0, 3), st.just(0.0)),
            st.builds(events.SoundArrived, st.just(-1), st.just(b"\1\1")),
            st.builds(events.SentenceSounded, st.just(-1), st.integers(0, 3)),
            st.builds(events.SpeechFailed, st.just(-1), st.just("ghost")),
            st.builds(events.ToolReturned, st.just("nothing"), st.just("{}"), st.just("")),
            st.builds(events.DrainAsked, st.just(1.0)),
        ),
    ),
}
# What is listed more often happens more often.
_NAMES = [*ACTIONS, "wait", "wait", "wait", "speak", "speak", "crash"]
HAPPENINGS = st.lists(
    st.sampled_from(_NAMES).flatmap(lambda name: st.tuples(st.just(name), ACTIONS[name][1])),
    min_size=5,
    max_size=60,
)
HOPE = {name: [f"{name}-1", f"{name}-2"] for name in ("stt", "llm", "tts")}


def make_world(settings_of_bot: dict[str, Any]) -> World:
    engines = {
        sense: [{"name": name, "deadline_seconds": 0.5} for name in names]
        for sense, names in HOPE.items()
    }
    for entry in engines["tts"]:
        entry["sound"] = "one"
    tools = [
        {"name": "book", "description": "Does.", "url": "http://t/"},
        {"name": "look", "description": "Looks.", "url": "http://t/", "cancel_on_barge_in": True},
    ]
    states: dict[str, Any] = {"first": {}, "second": {"prompt": "Now that."}}
    known = {"engines": engines, "tools": tools, "flow": {"start": "first", "states": states}}
    bot = Bot.model_validate({"name": "desk"} | known | settings_of_bot)
    return World(bot, answers(LINES))


@settings(max_examples=300, deadline=None)
@given(bot=BOTS, happenings=HAPPENINGS)
# Words that are in the journal are replayed, because a key pressed before them is not answered yet.
@example(
    bot={"barge_in": {"enabled": False}, "patience": "brisk"},
    happenings=[
        ("speak", "book it"),
        ("press", "1"),
        ("command", ("k1", "say", "Something else.")),
        ("wait", 1.5),
        ("speak", "two things"),
        ("crash", 0.0),
    ],
)
def test_contract_is_kept_whatever_happens(
    bot: dict[str, Any], happenings: list[tuple[str, Any]]
) -> None:
    world = make_world(bot)
    world.open()
    for name, value in happenings:
        ACTIONS[name][0](world, value)
    calm_down(world)
    check_the_end(world)


TELLINGS = st.lists(
    st.one_of(
        st.tuples(st.just("hear"), st.sampled_from(WORDS)),
        st.tuples(st.just("hush"), st.just("This is")),
        *(
            ACTIONS[name][1].map(lambda value, name=name: (name, value))  # type: ignore[misc]
            for name in ("wait", "wait", "press", "crash", "stray")
        ),
    ),
    max_size=30,
)


@settings(max_examples=100, deadline=None)
@given(bot=BOTS, happenings=TELLINGS)
def test_a_leg_of_text_is_heard_word_by_word(
    bot: dict[str, Any], happenings: list[tuple[str, Any]]
) -> None:
    """What callers tell in words is in the journal once, in order, whoever dies."""
    world = make_world(bot | {"keypad": {"most_digits": 1}})
    world.open()
    heard = []
    for number, (name, value) in enumerate(happenings):
        if name in ACTIONS:
            ACTIONS[name][0](world, value)
        elif not world.gateway.over:
            world.gateway.application_asks(f"leg-{number}", name, value)
            heard += [value] if name == "hear" else []
    calm_down(world)
    check_the_end(world)
    # What the bot ended the call before it could be told is nobody's.
    assert world.caller_text == heard[: len(world.caller_text)]
    ended_by_bot = world.memory.end_reason != "caller_hung_up"
    assert ended_by_bot or world.caller_text == heard


def calm_down(world: World) -> None:
    """Let everything that is under way come to its end, and hang up."""
    world.until_quiet()
    world.clock.run(12.0)
    world.until_quiet()
    world.finish()


def check_the_end(world: World) -> None:
    memory = fold(world.gateway.journal.entries)
    assert memory.end_reason
    assert not memory.pending_tools() or world.gateway.over
    assert [s.number for s in memory.sentences.values()] == list(range(len(memory.sentences)))
    assert sorted(memory.tools) == sorted(world.tools.done | _never_called(world))
    for turn in memory.turns:
        unsaid = [s for s in turn.sentences if s.end_offset is None]
        assert not unsaid or turn.reply is ReplyState.INTERRUPTED, f"never said: {unsaid}"
        assert turn.reply is not ReplyState.OPEN, f"never finished: {turn}"


def _never_called(world: World) -> dict[str, Any]:
    """Tools that are answered without a call: built in, or unknown."""
    names = (*BUILT_IN, "cook")
    return {key: None for key, tool in world.memory.tools.items() if tool.name in names}
