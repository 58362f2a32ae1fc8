from __future__ import annotations

import math
from itertools import cycle, pairwise
from typing import TYPE_CHECKING, get_args

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from gateway import commands as do, events as on
from gateway.call import BYE_SECONDS, CallSettings, Phase
from gateway.downlink import PAUSE_SECONDS
from gateway.outage import FALLBACK_SECONDS
from gateway.playout import Clear, Play, PlayoutState
from gateway.reports import (
    BargedIn,
    CallOver,
    DigitPressed,
    PlayoutReport,
    SpeechBegan,
    SpeechOver,
    Wish,
)
from tests.gateway.rig import RATE, Rig, messages, refused, silence, speech
from voicemesh.api.journal.v1 import journal_pb2
from voicemesh.api.journal.v1.turn_pb2 import TurnReport
from voicemesh.audio import Chunk
from voicemesh.errors import OutOfOrder, Superseded, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


def live(**settings_: object) -> Rig:
    rig = Rig(CallSettings(rate=RATE, **settings_))  # type: ignore[arg-type]
    rig.ready()
    return rig


def talking(rig: Rig, seconds: float = 5.0, begin: int = 0) -> None:
    """Have the bot talk."""
    rig.plan()
    rig.handle(on.BotSounded(Chunk(begin, speech(seconds, begin))))


def kinds(found: Iterable[object]) -> list[type]:
    return [type(message) for message in found]


def audio(found: Iterable[object]) -> list[Chunk]:
    return [message for message in found if isinstance(message, Chunk)]


def end_of(commands: list[do.Command]) -> do.End:
    (end,) = [command for command in commands if isinstance(command, do.End)]
    return end


def test_a_silent_caller_costs_no_message() -> None:
    rig = live()
    rig.hear(silence(10))
    rig.wait(10)
    assert rig.sent() == []
    assert rig.call.due == math.inf


def test_speech_is_sent_whole_with_a_pre_roll_and_nothing_else() -> None:
    rig = live()
    rig.hear(silence(1))
    rig.hear(speech(1, rig.sent_offset))
    rig.hear(silence(1))
    sent = rig.sent()
    began, over = sent[0], sent[-1]
    assert isinstance(began, SpeechBegan)
    assert isinstance(over, SpeechOver)
    chunks = audio(sent)
    assert kinds(sent[1:-1]) == [Chunk] * len(chunks)
    assert chunks[0].offset == began.start_offset - int(0.3 * RATE)
    assert all(a.end == b.offset for a, b in pairwise(chunks))
    assert chunks[-1].end == over.offset + 1
    heard = np.concatenate([each.samples for each in chunks])
    begin = RATE - chunks[0].offset
    np.testing.assert_array_equal(heard[begin : begin + RATE], speech(1, RATE))
    assert abs(began.start_offset - RATE) <= 256
    assert abs(over.end_offset - 2 * RATE) <= 256


def test_the_first_audio_goes_at_once_and_the_rest_in_larger_messages() -> None:
    rig = live()
    rig.hear(silence(1))
    rig.hear(speech(1, rig.sent_offset))
    sizes = [each.samples.size for each in audio(rig.sent())]
    assert sizes[0] >= int(0.3 * RATE)
    assert set(sizes[1:]) == {int(0.1 * RATE)}


def test_that_an_intent_is_kept_is_told_at_once_and_of_nothing_else() -> None:
    rig = live()
    rig.plan()
    assert rig.sent() == []
    kept = rig.call.downlink.journal.next_sequence
    intended = journal_pb2.ToolIntended(key="k", name="book")
    entry = journal_pb2.Entry(sequence=kept, tool_intended=intended)
    for _ in range(2):
        (report,) = messages(rig.handle(on.EntriesCame([entry])))
        assert isinstance(report, PlayoutReport)
        assert report.kept_sequence == kept + 1


def test_everything_waits_for_the_session_and_then_comes_in_order() -> None:
    rig = Rig()
    rig.hear(speech(0.4))
    rig.handle(on.CallerPressed("5"))
    rig.hear(silence(0.4))
    assert rig.sent() == []
    rig.ready()
    rig.handle(on.Acknowledged(RATE, 0))
    assert [kind for kind in kinds(rig.sent()) if kind is not Chunk] == [
        SpeechBegan,
        DigitPressed,
        SpeechOver,
        PlayoutReport,
    ]


def test_reports_never_share_an_offset() -> None:
    rig = live()
    for digit in "123":
        rig.handle(on.CallerPressed(digit))
    assert rig.sent() == [DigitPressed(0, "1"), DigitPressed(1, "2"), DigitPressed(2, "3")]


def test_a_stalled_caller_is_taken_to_have_stopped() -> None:
    rig = live()
    rig.hear(speech(1))
    rig.wait(1)
    assert isinstance(rig.sent()[-1], SpeechOver)
    # What comes late is heard all the same.
    rig.hear(speech(1, 5000))
    assert sum(isinstance(each, SpeechBegan) for each in rig.sent()) == 2


def test_barge_in_stops_the_bot_in_the_same_instant() -> None:
    rig = live()
    talking(rig)
    rig.hear(silence(1))
    rig.hear(speech(0.5, rig.sent_offset))
    clear = next(at for at, command in rig.out if isinstance(command, Clear))
    began = next(
        at
        for at, command in rig.out
        if isinstance(command, do.Send) and isinstance(command.message, SpeechBegan)
    )
    assert clear == began
    assert not [at for at, command in rig.out if isinstance(command, Play) and at >= clear]
    report = next(each for each in rig.sent() if isinstance(each, BargedIn))
    # The caller heard exactly what was due by then: the bot began at 100.0.
    assert abs(report.heard_offset - round((clear - 100.0) * RATE)) <= 1
    # Voice activity needs two windows, one may be under way, and a tick may be to come.
    assert clear - 101.0 <= 3 * 0.032 + 0.02


def test_a_bot_that_may_not_be_interrupted_talks_on() -> None:
    rig = live(barge_in=False)
    talking(rig)
    rig.hear(speech(0.5))
    assert rig.call.downlink.playout.state is PlayoutState.PLAYING
    assert BargedIn not in kinds(rig.sent())


def test_play_on_goes_on_where_the_bot_was_stopped() -> None:
    rig = live()
    talking(rig)
    rig.hear(speech(0.5))
    stopped = next(each.heard_offset for each in rig.sent() if isinstance(each, BargedIn))
    plays = [command for command in rig.handle(on.PlayOnTold()) if isinstance(command, Play)]
    assert plays[0].chunk.offset == stopped


def test_flush_ends_the_reply() -> None:
    rig = live()
    talking(rig)
    rig.hear(speech(0.5))
    rig.handle(on.FlushTold(0, 5 * RATE))
    assert rig.call.downlink.playout.state is PlayoutState.IDLE
    assert rig.call.standing(rig.now).played_offset == 5 * RATE


def test_a_pause_that_nobody_answers_ends_in_silence() -> None:
    rig = live()
    talking(rig)
    rig.hear(speech(0.5))
    rig.wait(PAUSE_SECONDS)
    assert rig.call.downlink.playout.state is PlayoutState.IDLE
    assert rig.call.downlink.playout.heard(rig.now) == 5 * RATE


def test_each_session_has_its_time_to_say_what_a_pause_was() -> None:
    rig = live()
    talking(rig)
    rig.hear(speech(0.5))
    for _ in range(2):
        rig.wait(PAUSE_SECONDS - 1.0)
        rig.handle(on.LinkLost())
        rig.wait(2.0)
        rig.ready()
    assert rig.call.downlink.playout.state is PlayoutState.PAUSED
    rig.wait(PAUSE_SECONDS + 0.1)
    assert rig.call.downlink.playout.idle


def test_playout_is_reported_when_it_begins_ends_and_between() -> None:
    rig = live()
    talking(rig, 1.2)
    rig.wait(2)
    reports = [each for each in rig.sent() if isinstance(each, PlayoutReport)]
    assert reports[0].played_offset == 0
    assert reports[-1].played_offset == reports[-1].buffered_offset == int(1.2 * RATE)
    assert len(reports) == 4


def test_a_new_session_is_told_first_how_far_the_bot_was_heard() -> None:
    rig = live()
    talking(rig, 1.0)
    rig.handle(on.LinkLost())
    rig.wait(2.0)
    rig.handle(on.CallerPressed("5"))
    played, digit, now = messages(rig.ready())
    assert isinstance(played, PlayoutReport)
    assert (played.played_offset, played.buffered_offset) == (RATE, RATE)
    assert isinstance(digit, DigitPressed)
    # What is replayed is said by the place it has; then how far the caller has come.
    assert isinstance(now, PlayoutReport)
    assert played.offset == digit.offset < now.offset


def test_audio_without_an_entry_before_it_is_refused() -> None:
    rig = live()
    assert refused(rig, on.BotSounded(Chunk(0, speech(0.1))))
    talking(rig)
    rig.journal(sentence_finished=journal_pb2.SentenceFinished(sentence=0))
    assert refused(rig, on.BotSounded(Chunk(5 * RATE, speech(0.1))))


def test_an_action_waits_for_its_words_and_is_done_once() -> None:
    rig = live()
    talking(rig, 1.0)
    rig.journal(action_ordered=journal_pb2.ActionOrdered(key="a", kind="send_digits"))
    told = on.DigitsTold("a", RATE, "42")
    assert rig.handle(told) == []
    rig.wait(0.9)
    assert not [c for _, c in rig.out if isinstance(c, do.SendDigits)]
    rig.wait(0.2)
    rig.handle(told)
    assert [c for _, c in rig.out if isinstance(c, do.SendDigits)] == [do.SendDigits("42")]


def test_an_action_whose_words_are_flushed_is_dropped() -> None:
    rig = live()
    talking(rig, 1.0)
    rig.journal(action_ordered=journal_pb2.ActionOrdered(key="a", kind="hang_up"))
    rig.handle(on.HangUpTold("a", RATE))
    rig.hear(speech(0.3))
    rig.handle(on.FlushTold(0, RATE))
    rig.wait(1)
    assert rig.call.phase is Phase.LIVE


def test_an_action_without_an_entry_before_it_is_refused() -> None:
    assert refused(live(), on.HangUpTold("a", 0))


def test_the_bot_hangs_up() -> None:
    rig = live()
    rig.journal(call_started=journal_pb2.CallStarted())
    rig.journal(action_ordered=journal_pb2.ActionOrdered(key="a", kind="hang_up"))
    commands = rig.handle(on.HangUpTold("a", 0))
    assert messages(commands) == [CallOver(0, "bot_hung_up")]
    rig.journal(call_ended=journal_pb2.CallEnded(reason="bot_hung_up"))
    end = end_of(rig.handle(on.ByeSaid()))
    assert end.reason == "bot_hung_up"
    assert [entry.sequence for entry in end.entries] == [0, 1, 2]


def test_a_transfer_is_told_before_the_end() -> None:
    rig = live()
    rig.journal(action_ordered=journal_pb2.ActionOrdered(key="a", kind="transfer"))
    assert rig.handle(on.TransferTold("a", 0, "+1"))[0] == do.Transfer("+1")
    assert rig.call.phase is Phase.ENDING


def test_no_bye_within_the_deadline_and_the_record_is_completed_here() -> None:
    rig = live()
    rig.journal(call_started=journal_pb2.CallStarted())
    rig.handle(on.CallerLeft())
    found = rig.wait(BYE_SECONDS + 0.1)
    end = end_of(found)
    assert end.reason == end.entries[-1].call_ended.reason == "caller_hung_up"


def test_a_caller_who_leaves_at_once_is_still_heard() -> None:
    rig = Rig()
    rig.hear(speech(0.4))
    rig.handle(on.CallerLeft())
    commands = rig.ready()
    assert isinstance(commands[0], do.Answer)
    assert kinds(messages(commands))[0] is SpeechBegan
    assert kinds(messages(commands))[-1] is CallOver


def test_no_session_at_all_fails_the_call() -> None:
    rig = Rig()
    error = Unavailable("nobody")
    assert rig.handle(on.LinkFailed(error)) == [do.Fail(error)]


def test_a_call_that_another_gateway_took_over_fails() -> None:
    rig = live()
    error = Superseded("taken over")
    assert rig.handle(on.LinkFailed(error)) == [do.Fail(error)]


def test_without_an_orchestrator_the_fallback_is_carried_out() -> None:
    rig = live(fallback_target="+1")
    rig.handle(on.LinkLost())
    found = rig.wait(FALLBACK_SECONDS + 0.1)
    assert found[0] == do.Transfer("+1")
    assert end_of(found).reason == "failed"


def test_what_was_buffered_plays_on_without_a_session() -> None:
    rig = live()
    talking(rig, 2.0)
    rig.handle(on.LinkLost())
    rig.wait(2.1)
    plays = [c.chunk for _, c in rig.out if isinstance(c, Play)]
    assert sum(chunk.samples.size for chunk in plays) == 2 * RATE


def test_a_command_is_passed_on() -> None:
    rig = live()
    rig.handle(on.ApplicationWished("k", Wish.SAY, "Hello"))
    assert rig.sent()[0].argument == "Hello"  # type: ignore[attr-defined]


ALL_EVENTS: list[on.Event] = [
    on.CallerSounded(0, speech(0.02)),
    on.CallerPressed("1"),
    on.PlaybackLagged(0.1),
    on.CallerLeft(),
    on.CallerMoved(),
    on.WindowHeard(256, 0.0),
    on.ApplicationWished("k", Wish.HANG_UP),
    on.MuteSet(True),
    on.HoldSet(True),
    on.SoundGiven(speech(0.02)),
    on.DigitsGiven("1"),
    on.Ticked(),
    on.LinkReady(0),
    on.LinkLost(),
    on.LinkFailed(Unavailable("x")),
    on.EntriesCame([]),
    on.BotSounded(Chunk(0, speech(0.02))),
    on.Acknowledged(0, 0),
    on.FlushTold(0, 0),
    on.PlayOnTold(),
    on.WordsCame(True, "a", True, 1, 0),
    on.HangUpTold("a", 0),
    on.TransferTold("a", 0, "+1"),
    on.DigitsTold("a", 0, "1"),
    on.TurnMeasured(TurnReport(turn=1)),
    on.ByeSaid(),
]
NOT_BEFORE_A_SESSION = {
    on.SoundGiven,
    on.DigitsGiven,
    *(set(get_args(on.LinkEvent)) - {on.LinkReady, on.LinkFailed}),
}


def test_every_event_has_an_example() -> None:
    assert [type(event) for event in ALL_EVENTS] == sorted(
        get_args(on.Event), key=[type(event) for event in ALL_EVENTS].index
    )


def in_phase(phase: Phase) -> Rig:
    rig = Rig()
    if phase is not Phase.OPENING:
        rig.ready()
        rig.plan()
        rig.journal(action_ordered=journal_pb2.ActionOrdered(key="a", kind="hang_up"))
    if phase in (Phase.ENDING, Phase.ENDED):
        rig.handle(on.CallerLeft())
    if phase is Phase.ENDED:
        rig.handle(on.ByeSaid())
    return rig


@pytest.mark.parametrize("phase", Phase)
@pytest.mark.parametrize("event", ALL_EVENTS, ids=lambda event: type(event).__name__)
def test_every_event_in_every_phase(phase: Phase, event: on.Event) -> None:
    rig = in_phase(phase)
    not_yet = phase is Phase.OPENING and type(event) in NOT_BEFORE_A_SESSION
    # That the caller goes on elsewhere ends the live call, and not by an event of it.
    if phase is Phase.ENDED or not_yet or isinstance(event, on.CallerMoved):
        with pytest.raises(OutOfOrder):
            rig.handle(event)
    else:
        rig.handle(event)


class Orchestrator:
    """Takes what is sent, commits when told to, and is forgotten with each break."""

    def __init__(self) -> None:
        self.committed: dict[int, int] = {}
        self.reports: list[object] = []
        self.durable = 0
        self._heard: dict[int, int] = {}
        self._told: list[object] = []
        self.received = 0
        self._speaking = False

    def take(self, found: list[object]) -> None:
        for message in found:
            if isinstance(message, PlayoutReport):
                continue
            if isinstance(message, Chunk):
                for index, sample in enumerate(message.samples.tolist()):
                    assert message.offset + index not in self._heard
                    self._heard[message.offset + index] = sample
                self.received = max(self.received, message.end)
                continue
            self._told.append(message)
            self._speaking = not isinstance(message, SpeechOver)
            self.received = max(self.received, message.offset + 1)  # type: ignore[attr-defined]

    def commit(self) -> int:
        """Journal what is complete: everything, unless an utterance is under way."""
        if not self._speaking and self.received > self.durable:
            self.durable = self.received
            self.committed |= self._heard
            self.reports += self._told
            self._heard, self._told = {}, []
        return self.durable

    def die(self) -> int:
        self._heard, self._told, self._speaking = {}, [], False
        self.received = self.durable
        return self.durable


class Session:
    """A call and its orchestrator, between which the link breaks and acknowledgements fail."""

    def __init__(self) -> None:
        self.rig, self.other = live(), Orchestrator()
        self.rig.acking = False
        self.linked = True

    def hear(self, loud: bool) -> None:
        frame = speech(0.02, self.rig.sent_offset) if loud else silence(0.02)
        found = messages(self.rig.hear(frame))
        assert self.linked or not found
        assert self.rig.call.uplink.outbox.in_flight <= RATE // 2
        self.other.take(found)

    def none(self) -> None:
        pass

    def acknowledge(self) -> None:
        if self.linked:
            event = on.Acknowledged(self.other.received, self.other.durable)
            self.other.take(messages(self.rig.handle(event)))

    def commit(self) -> None:
        if self.linked:
            self.other.commit()
            self.acknowledge()

    def lose(self) -> None:
        if self.linked:
            self.linked = False
            self.rig.handle(on.LinkLost())
            self.other.die()

    def reopen(self) -> None:
        if not self.linked:
            self.linked = True
            self.other.take(messages(self.rig.ready(self.other.die())))
            # Sessions that break at once and write nothing, again and again, are another story.
            self.rig.journal(brain_noted=journal_pb2.BrainNoted(name="n", value_json="1"))


def conversation(script: list[tuple[bool, int]], moves: list[Callable[[Session], None]]) -> Session:
    """Play a script; behind each frame the next of the moves happens."""
    session, move = Session(), cycle(moves)
    for loud in [loud for loud, count in script for _ in range(count)] + [False] * 50:
        session.hear(loud)
        next(move)(session)
    session.reopen()
    for _ in range(200):
        session.acknowledge()
    session.other.commit()
    return session


scripts = st.lists(st.tuples(st.booleans(), st.integers(1, 60)), min_size=1, max_size=8)
mishaps = st.lists(
    st.sampled_from(
        [Session.none, Session.acknowledge, Session.commit, Session.lose, Session.reopen]
    ),
    min_size=1,
)


@settings(max_examples=60, deadline=None)
@given(scripts, mishaps)
def test_breaks_lose_nothing_and_repeat_nothing(
    script: list[tuple[bool, int]], moves: list[Callable[[Session], None]]
) -> None:
    calm, stormy = conversation(script, [Session.commit]), conversation(script, moves)
    assert stormy.other.committed == calm.other.committed
    assert stormy.other.reports == calm.other.reports
    assert stormy.rig.call.uplink.outbox.dropped_samples == 0


def test_the_end_of_a_call_tells_first_how_much_of_the_bot_was_heard() -> None:
    rig = live()
    talking(rig, 1.0)
    rig.wait(0.3)
    rig.handle(on.CallerLeft())
    report, over = rig.sent()[-2:]
    assert isinstance(report, PlayoutReport)
    assert report.played_offset == pytest.approx(0.3 * RATE, abs=2)
    assert isinstance(over, CallOver)


def test_a_change_of_orchestrators_waits_until_every_sentence_has_all_its_sound() -> None:
    rig = Rig()
    rig.ready()
    rig.journal(call_started=journal_pb2.CallStarted(bot="desk", sample_rate_hertz=RATE))
    assert rig.call.at_pause
    rig.journal(reply_started=journal_pb2.ReplyStarted(turn=1))
    rig.plan()
    assert not rig.call.at_pause
    # Nothing more is thought of, but what was is still being spoken.
    rig.journal(reply_finished=journal_pb2.ReplyFinished(turn=1))
    assert not rig.call.at_pause
    rig.handle(on.BotSounded(Chunk(0, speech(2))))
    finished = journal_pb2.SentenceFinished(sentence=0, start_offset=0, end_offset=2 * RATE)
    rig.journal(sentence_finished=finished)
    # The caller hears it for two more seconds, which a change does not disturb.
    assert rig.call.at_pause
    assert rig.call.at_rest


def test_a_change_of_gateways_waits_for_what_is_to_be_done_behind_the_bots_words() -> None:
    rig = Rig()
    rig.ready()
    rig.plan()
    rig.handle(on.BotSounded(Chunk(0, speech(1))))
    finished = journal_pb2.SentenceFinished(sentence=0, start_offset=0, end_offset=RATE)
    rig.journal(sentence_finished=finished)
    ordered = journal_pb2.ActionOrdered(key="k", kind="send_digits", after_offset=RATE)
    rig.journal(action_ordered=ordered)
    rig.handle(on.DigitsTold("k", RATE, "1"))
    assert rig.call.at_pause
    assert not rig.call.at_rest
    rig.wait(1.2)
    assert rig.call.at_rest


def test_the_orchestrator_knows_that_a_call_is_on_hold() -> None:
    rig = live()
    rig.handle(on.HoldSet(True))
    rig.wait(3)
    rig.handle(on.HoldSet(False))
    held = [each.on_hold for each in rig.sent() if isinstance(each, PlayoutReport)]
    assert held == [True, False]
    rig.handle(on.HoldSet(True))
    rig.handle(on.LinkLost())
    [report] = messages(rig.ready())
    assert isinstance(report, PlayoutReport)
    assert report.on_hold
