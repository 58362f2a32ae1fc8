"""Whatever can happen, happens in every state: the pairs that storms reach are counted.

A state or an event that is added without a storm that brings them together fails here. What is
refused, and the few pairs that last too short to be met by chance, are tried one by one:
``test_every_event_in_every_phase`` in ``tests/gateway/test_call.py`` and
``tests/orchestrator/test_phases.py``.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any, get_args

import pytest
from hypothesis import given, settings, strategies as st

from gateway.call import Phase
from gateway.link_state import LinkPhase
from gateway.playout import PlayoutState
from orchestrator import events
from orchestrator.conversation import CallFacts, Conversation
from orchestrator.utterance import Phase as CallerPhase
from tests.chaos import pairs
from tests.chaos.storms import (
    CALL_EVENTS,
    LINK_EVENTS,
    call_storm,
    conversation_storm,
    link_storm,
    playout_storm,
)
from tests.orchestrator.test_phases import REFUSED
from voicemesh.bots import Bot
from voicemesh.journal import Memory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

EVENTS = get_args(events.Event)
BRIEF = {CallerPhase.CUT, CallerPhase.KNOWN}
"""They end with the next message or two."""
ONLY_REPLAYED = {(CallerPhase.QUIET, events.SpeechEnded)}
NEVER_QUIET = {
    # It is reported when speech begins.
    (CallerPhase.QUIET, events.BargedIn),
    (CallerPhase.PAUSED, events.BargedIn),
}
NEVER_THEN = {
    # Playout is paused until one is judged.
    ("judged", events.BargedIn),
}


def storms(storm: Callable[[int], None], count: int) -> None:
    for seed in range(count):
        try:
            storm(seed)
        except Exception as error:
            raise AssertionError(f"{storm.__name__}({seed}): {error}") from error


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 2**32))
@pytest.mark.parametrize("storm", [call_storm, link_storm, playout_storm, conversation_storm])
def test_other_storms_are_weathered_too(storm: Callable[[int], None], seed: int) -> None:
    """With ``--hypothesis-profile=explore``: others each time."""
    storm(seed)


def missing(
    reached: pairs.Pairs, states: Iterable[Any], happenings: Iterable[Any]
) -> set[tuple[Any, Any]]:
    return set(product(states, happenings)) - reached


def test_every_event_reaches_a_call_in_every_phase() -> None:
    with pairs.calls() as reached:
        storms(call_storm, 600)
    assert not missing(reached, Phase, CALL_EVENTS)


def test_every_event_reaches_a_link_in_every_phase() -> None:
    with pairs.links() as reached:
        storms(link_storm, 2000)
    assert not missing(reached, LinkPhase, LINK_EVENTS)


def test_everything_is_done_to_a_playout_in_every_state() -> None:
    with pairs.playouts() as reached:
        storms(playout_storm, 200)
    assert not missing(reached, PlayoutState, pairs.PLAYOUT)


def test_every_event_reaches_a_conversation_in_every_state() -> None:
    with pairs.conversations() as (caller, bot, timers):
        storms(conversation_storm, 800)
    long = [phase for phase in CallerPhase if phase not in BRIEF]
    assert missing(caller, long, EVENTS) <= REFUSED | ONLY_REPLAYED | NEVER_QUIET
    assert missing(bot, pairs.BOT, EVENTS) <= NEVER_THEN
    conversation = Conversation(Bot(name="a"), CallFacts("c", "a", 8000, "r"), Memory(), 0.0)
    assert {name for _, name in timers} == set(conversation._due)
