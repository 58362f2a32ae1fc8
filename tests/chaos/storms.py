"""Storms: everything that may happen to a machine, at random and in any order.

A storm is given by its seed. Each leaves some kinds of events out, so that machines also stay in
states that those would end. What must hold whatever happens is checked after each event.
"""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Any, get_args

import numpy as np

from gateway import events as on, link_state as link
from gateway.call import _TABLE, CallSettings, Phase
from gateway.playout import Playout, PlayoutState
from orchestrator import events
from tests.chaos.pairs import PLAYOUT
from tests.gateway import test_call, test_link_state
from tests.gateway.rig import RATE, Rig, speech
from tests.orchestrator import test_interleavings as happenings
from voicemesh.api.journal.v1 import journal_pb2
from voicemesh.audio import Chunk
from voicemesh.errors import NotFound, OutOfOrder, Refused

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.orchestrator.driver import World

PAUSES = (0.0, 0.0, 0.02, 0.3, 1.0)


def dice(seed: int) -> Random:
    return Random(seed)  # noqa: S311 - for storms, not for secrets


def some(chance: Random, kinds: tuple[Any, ...]) -> list[Any]:
    """Return some of the kinds."""
    return chance.sample(kinds, chance.randint(len(kinds) // 3, len(kinds)))


# The gateway's call.

CALL_EVENTS = get_args(on.Event)


def call_storm(seed: int) -> None:
    chance = dice(seed)
    rig = Rig(CallSettings(rate=RATE, fallback_target=chance.choice(["", "+1"])))
    rig.acking = False
    kinds = some(chance, CALL_EVENTS)
    for _ in range(60):
        rig.now += chance.choice(PAUSES)
        _call_event(rig, _sample(chance.choice(kinds), rig, chance))


def _sample(kind: type, rig: Rig, chance: Random) -> on.Event:
    held = rig.call.downlink.playout.buffered
    if kind is on.BotSounded:
        return on.BotSounded(Chunk(held, speech(chance.choice([0.1, 1.0]), held)))
    if kind is on.EntriesCame:
        return on.EntriesCame([_entry(rig, chance)])
    if kind is on.FlushTold:
        return on.FlushTold(chance.randint(0, held), held)
    return next(event for event in test_call.ALL_EVENTS if isinstance(event, kind))


def _entry(rig: Rig, chance: Random) -> journal_pb2.Entry:
    number = rig.call.downlink.journal.next_sequence
    entry = journal_pb2.Entry(sequence=number)
    match chance.choice(["sentence", "sentence", "action", "interrupted"]):
        case "sentence":
            entry.sentence_planned.sentence = entry.sentence_planned.turn = number
        case "action":
            entry.action_ordered.key = "a"
        case "interrupted":
            entry.reply_interrupted.turn = max(0, number - 1)
    return entry


def _call_event(rig: Rig, event: on.Event) -> None:
    call = rig.call
    before, heard = call.phase, call.downlink.playout.heard(rig.now)
    allowed = (before, type(event)) in _TABLE
    try:
        rig.handle(event)
    except (OutOfOrder, Refused):
        # Not now, against the contract (sound of no sentence), or too much: it goes on as it was.
        assert call.phase is before
    else:
        assert allowed
    order = list(Phase)
    assert order.index(call.phase) >= order.index(before)
    playout = call.downlink.playout
    assert heard <= playout.heard(rig.now) <= playout.buffered


# The gateway's link.

LINK_EVENTS = get_args(link.Event)


def link_storm(seed: int) -> None:
    chance = dice(seed)
    rig = test_link_state.Rig()
    kinds = some(chance, LINK_EVENTS)
    for _ in range(60):
        rig.now += chance.choice(PAUSES)
        event = _link_event(chance.choice(kinds), rig, chance)
        ghost = getattr(event, "stream", None)
        if ghost is None or ghost in rig.open:
            test_link_state.check(rig, rig.handle(event))
            continue
        before = rig.state.phase, rig.state.current
        found = rig.state.handle(event, rig.now)
        assert all(command == link.Drop(ghost) for command in found)
        assert before == (rig.state.phase, rig.state.current)


def _link_event(kind: type, rig: test_link_state.Rig, chance: Random) -> link.Event:
    stream = chance.choice([*rig.open, max(rig.open, default=0) + 7])
    make: dict[type, Callable[[], link.Event]] = {
        link.Started: link.Started,
        link.ReadyCame: lambda: link.ReadyCame(stream, chance.random() < 0.2),
        link.StreamEnded: lambda: link.StreamEnded(
            stream, NotFound("x") if chance.random() < 0.1 else None, chance.random() < 0.1
        ),
        link.ByeCame: lambda: link.ByeCame(stream, chance.random() < 0.3),
        link.GoAwayCame: lambda: link.GoAwayCame(stream, chance.uniform(0, 3)),
        link.AudioSent: lambda: link.AudioSent(chance.randint(0, 10_000)),
        link.AudioReceived: lambda: link.AudioReceived(chance.randint(0, 10_000)),
        link.Ticked: lambda: link.Ticked(chance.random() < 0.5),
        link.Closed: link.Closed,
    }
    return make[kind]()


# The gateway's playout.


def playout_storm(seed: int) -> None:
    chance = dice(seed)
    playout, now = Playout(RATE), 0.0
    doings = some(chance, PLAYOUT)
    for _ in range(60):
        now += chance.choice(PAUSES)
        before, heard = playout.state, playout.heard(now)
        name = chance.choice(doings)
        try:
            _do_to(playout, name, chance, now)
        except OutOfOrder:
            running = before is PlayoutState.PLAYING
            assert name == "hold" if running else name == "pause"
            assert playout.state is before
        assert heard <= playout.heard(now) <= playout.buffered


def _do_to(playout: Playout, name: str, chance: Random, now: float) -> None:
    held = playout.buffered
    match name:
        case "add":
            playout.add(Chunk(held, np.ones(chance.randint(1, RATE), np.int16)), now)
        case "flush":
            playout.flush(chance.randint(0, held), held + 10, now)
        case "hold":
            playout.hold()
        case _:
            getattr(playout, name)(now)


# The orchestrator's conversation.

LONG_WORDS = " ".join(["blah"] * 100)
"""Longer than an utterance may be."""
STRAYS: tuple[events.Event, ...] = (
    events.Recognised(-1, 0, "ghost", final=True, end_offset=0, engine_seconds=0),
    events.RecognitionFailed(-1, 0, "ghost"),
    events.TextArrived(-1, "ghost", 0.0),
    events.ToolRequested(-1, "book", "{}"),
    events.ThoughtFinished(-1),
    events.ThoughtFailed(-1, "ghost"),
    events.SentenceSounding(-1, 0, 0.0),
    events.SoundArrived(-1, b"\1\1"),
    events.SentenceSounded(-1, 0),
    events.SpeechFailed(-1, "ghost"),
    events.ToolReturned("nothing", "{}", ""),
    events.DrainAsked(1.0),
)
"""Of streams that are gone, or asking for nothing but a message."""


def conversation_storm(seed: int) -> None:
    chance = dice(seed)
    bot = {
        "greeting": chance.choice(["", "Good day. How can I help you?"]),
        "barge_in": {"enabled": chance.random() < 0.8},
        "replies": chance.random() < 0.9,
        "max_call_seconds": chance.choice([20, 3600, 3600]),
        "brain": {"filler": chance.choice(["", "One moment."]), "filler_after_seconds": 0.05},
    }
    world = happenings.make_world(bot)
    world.open()
    names = some(chance, tuple(happenings._NAMES))
    for _ in range(chance.randint(5, 60)):
        _happen(world, chance, chance.choice([*names, "strays", "wait"]))
    if chance.random() < 0.5:
        happenings.calm_down(world)
        happenings.check_the_end(world)
        return
    if chance.random() < 0.5:
        # The last words are heard by nobody in time.
        happenings._fault(world, ("stt", "hang", 0))
        happenings._speak(world, "book it")
        world.clock.run(0.5)
    world.gateway.call_ends("caller_hung_up")
    world.until(lambda: world.gateway.said_bye)
    assert world.memory.end_reason


def _happen(world: World, chance: Random, name: str) -> None:
    values: dict[str, Callable[[], object]] = {
        "wait": lambda: chance.choice([0.003, 0.02, 0.1, 0.3, 0.7, 1.5, 4.0]),
        "speak": lambda: chance.choice([*happenings.WORDS, LONG_WORDS]),
        "cough": lambda: chance.choice([0.1, 0.5, 6.0]),
        "press": lambda: chance.choice("12#"),
        "command": lambda: (
            chance.choice(["k1", "k2", "k3"]),
            chance.choice(["say", "say", "say", "hang_up", "transfer"]),
            "Something else.",
        ),
        "fault": lambda: (
            chance.choice(["stt", "llm", "tts"]),
            chance.choice(["refuse", "die", "hang", "fine"]),
            chance.randint(0, 3),
        ),
        "crash": lambda: chance.choice([0.0, 0.01, 0.3, 2.0]),
        "stray": lambda: chance.choice(STRAYS),
    }
    if name == "strays":
        for event in STRAYS:
            happenings._stray(world, event)
        return
    happenings.ACTIONS[name][0](world, values[name]())
