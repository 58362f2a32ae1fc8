"""Every event in every phase of the caller's side: taken, or refused where it is against the
contract. What each then leads to is told by the other tests."""

from __future__ import annotations

from typing import get_args

import pytest

from orchestrator import events
from orchestrator.conversation import CallFacts, Conversation
from orchestrator.utterance import Phase
from tests.chaos.storms import STRAYS
from voicemesh.api.journal.v1 import journal_pb2
from voicemesh.bots import Bot
from voicemesh.errors import OutOfOrder
from voicemesh.journal import Memory

RATE = 8000
KNOWN_OFFSET = RATE
LATE = 60 * RATE
CALLER: tuple[events.Event, ...] = (
    events.AudioArrived(LATE, bytes(320)),
    events.SpeechStarted(LATE, LATE),
    events.SpeechEnded(LATE, LATE),
    events.PlayoutReported(LATE, 0, 0),
    events.BargedIn(LATE, 0),
    events.DigitPressed(LATE, "1"),
    events.Commanded(LATE, "k", "say", "Hello."),
    events.CallerGone(LATE, "caller_hung_up"),
)
REFUSED = {
    (Phase.SPEAKING, events.SpeechStarted),
    (Phase.PAUSED, events.AudioArrived),
    (Phase.PAUSED, events.SpeechEnded),
    (Phase.KNOWN, events.SpeechStarted),
}
"""Speech begins once, and has no sound when it is over."""


def in_phase(phase: Phase) -> Conversation:
    facts = CallFacts(call_id="call", bot="echo", rate=RATE, replica="orchestrator-0")
    memory = Memory(started=journal_pb2.CallStarted(), next_sequence=3, said_offset=KNOWN_OFFSET)
    conversation = Conversation(Bot(name="echo"), facts, memory, 0.0)
    conversation.start(0.0)
    if phase is Phase.KNOWN:
        conversation.handle(events.SpeechStarted(1, 0), 0.0)
    elif phase is not Phase.QUIET:
        begin = 2 * KNOWN_OFFSET
        conversation.handle(events.SpeechStarted(begin, begin), 1.0)
        for second in range(29 if phase is Phase.CUT else 1):
            sound = events.AudioArrived(begin + second * RATE, bytes(2 * RATE))
            conversation.handle(sound, 1.0)
        if phase is Phase.PAUSED:
            end = begin + RATE
            conversation.handle(events.SpeechEnded(end, end), 2.0)
    assert conversation._hearing.phase is phase
    return conversation


def test_every_event_has_an_example() -> None:
    assert {type(event) for event in (*CALLER, *STRAYS)} == set(get_args(events.Event))


@pytest.mark.parametrize("phase", Phase)
@pytest.mark.parametrize("event", [*CALLER, *STRAYS], ids=lambda event: type(event).__name__)
def test_every_event_in_every_phase(phase: Phase, event: events.Event) -> None:
    conversation = in_phase(phase)
    entries = conversation.memory.next_sequence
    if (phase, type(event)) in REFUSED:
        with pytest.raises(OutOfOrder):
            conversation.handle(event, 2.1)
        return
    conversation.handle(event, 2.1)
    if event in STRAYS:
        assert conversation.memory.next_sequence == entries
        assert conversation._hearing.phase is phase
