"""What a caller hears, and what becomes of what they say, while no orchestrator is there."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from gateway import commands as do, events as on
from gateway.call import CallSettings, Phase
from gateway.holding import Lines
from gateway.outage import (
    FALLBACK_SECONDS,
    FRUITLESS_SECONDS,
    FRUITLESS_SESSIONS,
    HOLDING_SECONDS,
    PATIENCE_SECONDS,
    STEADY_SECONDS,
    SUSPICIOUS_SESSIONS,
)
from gateway.playout import Clear, Play, PlayoutState
from gateway.reports import (
    BargedIn,
    CallOver,
    DigitPressed,
    PlayoutReport,
    SpeechBegan,
    SpeechOver,
    Wish,
    Wished,
)
from tests.gateway.rig import RATE, Rig, messages, silence, speech
from voicemesh.api.journal.v1 import journal_pb2
from voicemesh.audio import Chunk, Samples
from voicemesh.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

HOLDING = np.full(RATE, 77, np.int16)
APOLOGY = np.full(2 * RATE, 99, np.int16)


def live(**settings_: object) -> Rig:
    given_ = {"rate": RATE, "lines": Lines(HOLDING, APOLOGY)} | settings_
    rig = Rig(CallSettings(**given_))  # type: ignore[arg-type]
    rig.ready()
    rig.journal(call_started=journal_pb2.CallStarted())
    return rig


class Phone:
    """What the caller heard: samples by the numbers that they were sent with."""

    def __init__(self, out: Iterable[tuple[float, do.Command]]) -> None:
        self.sound: dict[int, int] = {}
        self.began: list[float] = []
        end = 0
        for now, command in out:
            if isinstance(command, Clear):
                self.sound = {n: s for n, s in self.sound.items() if n < command.offset}
                end = min(end, command.offset)
            elif isinstance(command, Play):
                assert command.chunk.offset >= end, "numbers went back"
                if not self.sound or command.chunk.offset > max(self.sound) + 1:
                    self.began.append(now)
                end = command.chunk.end
                numbered = enumerate(command.chunk.samples.tolist(), command.chunk.offset)
                self.sound |= dict(numbered)

    @property
    def samples(self) -> list[int]:
        return [self.sound[number] for number in sorted(self.sound)]

    @property
    def whole(self) -> bool:
        """Whether there is no gap."""
        return sorted(self.sound) == list(range(len(self.sound)))


def talking(rig: Rig, seconds: float, begin: int = 0) -> Samples:
    rig.plan()
    sound = speech(seconds, begin)
    rig.handle(on.BotSounded(Chunk(begin, sound)))
    return sound


def heard(rig: Rig) -> list[int]:
    phone = Phone(rig.out)
    assert phone.whole
    return phone.samples


def first_play(rig: Rig, sample: int) -> float:
    return next(
        now for now, each in rig.out if isinstance(each, Play) and each.chunk.samples[0] == sample
    )


# The line.


def test_the_holding_line_is_heard_within_two_seconds_and_only_once() -> None:
    rig = live()
    lost = rig.now
    rig.handle(on.LinkLost())
    rig.wait(9)
    assert HOLDING_SECONDS <= first_play(rig, 77) - lost < 2.0
    assert heard(rig) == HOLDING.tolist()


def test_a_short_outage_is_not_spoken_of() -> None:
    rig = live()
    rig.handle(on.LinkLost())
    rig.wait(HOLDING_SECONDS - 0.1)
    rig.ready()
    rig.wait(3)
    assert heard(rig) == []


def test_the_bot_goes_on_behind_the_line_where_it_was() -> None:
    rig = live()
    first = talking(rig, 0.5)
    rig.wait(1)
    rig.handle(on.LinkLost())
    rig.wait(HOLDING_SECONDS + 0.5)
    rig.ready()
    second = talking(rig, 0.5, begin=first.size)
    # The line is said to its end first.
    rig.wait(3)
    assert heard(rig) == [*first, *HOLDING, *second]
    assert rig.call.standing(rig.now).played_offset == RATE
    assert rig.call.due == math.inf


def test_what_is_buffered_is_heard_before_the_line() -> None:
    rig = live()
    sound = talking(rig, 4.0)
    rig.handle(on.LinkLost())
    rig.wait(6)
    assert heard(rig) == [*sound, *HOLDING]


def test_the_line_waits_for_the_caller_to_finish_and_nothing_they_say_is_lost() -> None:
    rig = live()
    rig.handle(on.LinkLost())
    rig.hear(silence(1))
    said = speech(2, rig.sent_offset)
    rig.hear(said)
    assert heard(rig) == []
    rig.hear(silence(1))
    assert heard(rig) == HOLDING[: len(heard(rig))].tolist() != []
    rig.ready()
    for _ in range(20):
        rig.handle(on.Acknowledged(rig.sent_offset, 0))
    sent = [message for message in rig.sent() if isinstance(message, Chunk)]
    replayed = np.concatenate([chunk.samples for chunk in sent])
    begin = RATE - sent[0].offset
    np.testing.assert_array_equal(replayed[begin : begin + said.size], said)


def test_a_caller_who_speaks_stops_the_line_and_interrupts_nobody() -> None:
    rig = live()
    first = talking(rig, 0.5)
    rig.wait(1)
    rig.handle(on.LinkLost())
    rig.hear(silence(HOLDING_SECONDS + 0.3))
    rig.hear(speech(0.5, rig.sent_offset))
    rig.hear(silence(0.5))
    rig.ready()
    second = talking(rig, 0.5, begin=first.size)
    rig.wait(2)
    assert BargedIn not in [type(message) for message in rig.sent()]
    samples = heard(rig)
    assert samples[: first.size] == first.tolist()
    assert samples[-second.size :] == second.tolist()
    said = len(samples) - first.size - second.size
    assert 0.3 * RATE < said < RATE


def test_a_caller_who_speaks_while_the_bot_waits_behind_the_line_interrupts_it() -> None:
    rig = live()
    rig.handle(on.LinkLost())
    rig.hear(silence(HOLDING_SECONDS + 0.3))
    rig.ready()
    sound = talking(rig, 1.0)
    rig.hear(speech(0.3, rig.sent_offset))
    (barged,) = [each for each in rig.sent() if isinstance(each, BargedIn)]
    assert barged.heard_offset == 0
    assert rig.call.downlink.playout.state is PlayoutState.PAUSED
    rig.hear(silence(0.5))
    rig.handle(on.PlayOnTold())
    rig.wait(2)
    assert heard(rig)[-sound.size :] == sound.tolist()


def test_words_of_the_bot_are_shown_where_the_caller_hears_them() -> None:
    rig = live()
    rig.handle(on.LinkLost())
    rig.wait(4)
    rig.ready()
    words = on.WordsCame(True, "Hello.", True, 1, 100)
    (shown,) = rig.handle(words)
    assert isinstance(shown, do.Show)
    assert shown.words.start_offset == 100 + HOLDING.size
    said = on.WordsCame(False, "Hello.", True, 1, 100)
    assert rig.handle(said) == [do.Show(said)]


def test_a_line_that_nobody_has_spoken_yet_is_left_out_and_said_as_soon_as_it_is_there() -> None:
    lines = Lines()
    rig = live(lines=lines)
    rig.handle(on.LinkLost())
    rig.wait(4)
    assert heard(rig) == []
    lines.holding = HOLDING
    rig.wait(2)
    assert heard(rig) == HOLDING.tolist()


def test_a_barge_in_waits_for_a_session_however_long_that_takes() -> None:
    rig = live()
    sound = talking(rig, 3.0)
    rig.hear(silence(0.5))
    rig.handle(on.LinkLost())
    rig.hear(speech(0.3, rig.sent_offset))
    rig.wait(8)
    assert rig.call.downlink.playout.state is PlayoutState.PAUSED
    rig.ready()
    rig.handle(on.PlayOnTold())
    rig.wait(4)
    samples = [sample for sample in heard(rig) if sample != 77]
    assert samples == sound.tolist()


# The end.


def test_gone_for_good_the_caller_hears_an_apology_and_the_record_is_whole() -> None:
    rig = live(fallback_target="+1")
    lost = rig.now
    rig.handle(on.LinkLost())
    found = rig.wait(14)
    assert first_play(rig, 99) - lost == pytest.approx(FALLBACK_SECONDS, abs=0.05)
    assert heard(rig) == [*HOLDING, *APOLOGY]
    assert rig.call.phase is Phase.ENDED
    transfer, end = found[-2:]
    assert transfer == do.Transfer("+1")
    assert isinstance(end, do.End)
    assert end.reason == end.entries[-1].call_ended.reason == "failed"


def test_without_an_apology_the_end_comes_at_once() -> None:
    rig = live(lines=Lines())
    rig.handle(on.LinkLost())
    found = rig.wait(FALLBACK_SECONDS + 0.1)
    assert [type(command) for command in found] == [do.End]


def test_who_speaks_is_not_cut_off_by_the_apology_but_not_waited_for_for_ever() -> None:
    rig = live()
    rig.handle(on.LinkLost())
    rig.hear(silence(FALLBACK_SECONDS - 1))
    rig.hear(speech(PATIENCE_SECONDS, rig.sent_offset))
    assert 99 not in heard(rig)
    rig.hear(speech(2, rig.sent_offset))
    assert 99 in heard(rig)


def test_no_session_ever_again_lets_the_bot_finish_what_it_has_said() -> None:
    rig = live()
    sound = talking(rig, 3.0)
    rig.handle(on.LinkLost())
    rig.handle(on.LinkFailed(Unavailable("gone")))
    rig.wait(6)
    assert heard(rig) == [*sound, *APOLOGY]
    assert rig.call.phase is Phase.ENDED


def test_an_orchestrator_that_comes_back_during_the_apology_writes_the_end() -> None:
    rig = live()
    rig.handle(on.LinkLost())
    rig.wait(FALLBACK_SECONDS + 0.5)
    assert rig.call.phase is Phase.ENDING
    sent = messages(rig.ready())
    assert isinstance(sent[-1], CallOver)
    rig.journal(call_ended=journal_pb2.CallEnded(reason="failed"))
    assert rig.handle(on.ByeSaid()) == []
    found = rig.wait(3)
    assert heard(rig) == [*HOLDING, *APOLOGY]
    (end,) = [command for command in found if isinstance(command, do.End)]
    assert sum(entry.HasField("call_ended") for entry in end.entries) == 1


def test_sessions_that_break_at_once_end_no_outage() -> None:
    rig = live()
    lost = rig.now
    for _ in range(100):
        if rig.call.phase is not Phase.LIVE:
            break
        rig.handle(on.LinkLost())
        rig.wait(0.1)
        if rig.call.phase is Phase.LIVE:
            rig.ready()
            rig.wait(0.06)
    assert HOLDING_SECONDS <= first_play(rig, 77) - lost < 2.2
    assert FALLBACK_SECONDS <= first_play(rig, 99) - lost < FALLBACK_SECONDS + 0.5


@pytest.mark.parametrize("proof", ["entry", "time"])
def test_a_session_that_is_of_use_ends_the_outage(proof: str) -> None:
    rig = live()
    for _ in range(20):
        rig.handle(on.LinkLost())
        rig.wait(1.0)
        rig.ready()
        if proof == "entry":
            rig.journal(brain_noted=journal_pb2.BrainNoted(name="n", value_json="1"))
        else:
            rig.wait(STEADY_SECONDS + 0.1)
    rig.wait(20)
    assert heard(rig) == []
    assert rig.call.phase is Phase.LIVE


# What no orchestrator survives.


def dying(rig: Rig, sessions: int, lived: float = 0.06, *, speaking: bool = False) -> None:
    """Have so many sessions break soon after they have been told everything; none is left."""
    rig.hear(speech(STEADY_SECONDS + 0.1, rig.sent_offset) if speaking else silence(1.1))
    rig.handle(on.LinkLost())
    for _ in range(sessions):
        rig.ready(rig.call.downlink.last_entry.consumed_offset)
        rig.hear(speech(lived, rig.sent_offset) if speaking else silence(lived))
        rig.handle(on.LinkLost())


def told_now(rig: Rig) -> list[type]:
    reflected = rig.call.downlink.last_entry.consumed_offset
    told = [type(message) for message in messages(rig.ready(reflected))]
    return [kind for kind in told if kind is not PlayoutReport]


def test_an_utterance_that_no_session_survives_is_taken_out_and_what_follows_is_told() -> None:
    rig = live()
    rig.hear(speech(0.5))
    rig.hear(silence(0.5))
    rig.handle(on.CallerPressed("7"))
    dying(rig, SUSPICIOUS_SESSIONS)
    last = rig.call.downlink.last_entry
    assert last.caller_unheard.turn == 1
    assert last.caller_unheard.start_offset == 0 or last.caller_unheard.start_offset < RATE
    assert last.consumed_offset == last.caller_unheard.end_offset
    assert rig.call.uplink.outbox.taken_out == 1
    assert rig.call.uplink.outbox.dropped_samples >= RATE // 2
    assert told_now(rig) == [DigitPressed]


def test_fewer_deaths_prove_nothing() -> None:
    rig = live()
    rig.hear(speech(0.5))
    rig.hear(silence(0.5))
    dying(rig, SUSPICIOUS_SESSIONS - 1)
    assert told_now(rig)[0] is SpeechBegan
    dying(rig, SUSPICIOUS_SESSIONS - 1)
    assert told_now(rig)[0] is SpeechBegan


@pytest.mark.parametrize(
    ("deaths", "seconds", "guilty"),
    [
        (FRUITLESS_SESSIONS, 2.0, True),
        (FRUITLESS_SESSIONS - 1, 2.0, False),
        (2 * FRUITLESS_SESSIONS, FRUITLESS_SECONDS + 0.1, False),
    ],
)
def test_what_kills_slowly_is_found_out_too(deaths: int, seconds: float, *, guilty: bool) -> None:
    rig = live()
    rig.handle(on.CallerPressed("7"))
    dying(rig, deaths, seconds)
    assert rig.call.uplink.outbox.taken_out == guilty


def test_an_answer_that_nobody_lives_to_give_ends_the_call() -> None:
    rig = live()
    rig.journal(reply_started=journal_pb2.ReplyStarted(turn=1))
    dying(rig, FRUITLESS_SESSIONS, 2.0)
    # Another session stands at once, and would die like the others.
    rig.ready()
    found = rig.wait(3.0)
    (over,) = [each for each in messages(found) if isinstance(each, CallOver)]
    assert over.reason == "failed"
    assert rig.call.phase is Phase.ENDED
    assert set(heard(rig)) >= {99}


def test_a_session_that_answers_at_last_is_welcome() -> None:
    rig = live()
    rig.journal(reply_started=journal_pb2.ReplyStarted(turn=1))
    dying(rig, FRUITLESS_SESSIONS - 1, 2.0)
    rig.ready()
    rig.plan()
    dying(rig, FRUITLESS_SESSIONS - 1, 2.0)
    rig.ready()
    rig.wait(3.0)
    assert rig.call.phase is Phase.LIVE


def test_a_call_in_which_nothing_happens_is_not_to_blame() -> None:
    rig = live()
    dying(rig, 3 * FRUITLESS_SESSIONS, 2.0)
    rig.ready()
    rig.wait(3.0)
    assert rig.call.phase is Phase.LIVE


def test_a_journal_that_grows_proves_innocence() -> None:
    rig = live()
    rig.handle(on.CallerPressed("7"))
    for number in range(3 * SUSPICIOUS_SESSIONS):
        rig.handle(on.LinkLost())
        rig.ready()
        rig.journal(brain_noted=journal_pb2.BrainNoted(name=f"n{number}", value_json="1"))
    assert rig.call.uplink.outbox.taken_out == 0


def test_one_thing_is_taken_out_at_a_time() -> None:
    rig = live()
    for digit in "12":
        rig.handle(on.CallerPressed(digit))
    rig.handle(on.ApplicationWished("k", Wish.SAY, "Hello."))
    dying(rig, SUSPICIOUS_SESSIONS)
    assert told_now(rig) == [DigitPressed, Wished]
    dying(rig, SUSPICIOUS_SESSIONS)
    assert told_now(rig) == [Wished]
    dying(rig, SUSPICIOUS_SESSIONS)
    assert told_now(rig) == []
    unheard = [
        each for each in rig.call.downlink.journal.entries if each.HasField("caller_unheard")
    ]
    assert [each.caller_unheard.turn for each in unheard] == [1, 2, 0]
    # The rest is nobody's fault.
    dying(rig, 2 * SUSPICIOUS_SESSIONS)
    assert rig.call.uplink.outbox.taken_out == 3


def test_of_speech_that_goes_on_only_what_was_said_so_far_is_taken_out() -> None:
    rig = live()
    rig.hear(speech(0.5))
    dying(rig, SUSPICIOUS_SESSIONS, speaking=True)
    assert told_now(rig) == []
    rig.hear(speech(0.5, rig.sent_offset))
    rig.hear(silence(0.5))
    later = rig.sent()[-3:]
    assert isinstance(later[-1], SpeechOver)
    assert isinstance(later[0], Chunk)


def test_a_barge_in_that_was_taken_out_lets_the_bot_go_on() -> None:
    rig = live()
    sound = talking(rig, 2.0)
    rig.hear(silence(0.5))
    rig.hear(speech(0.3, rig.sent_offset))
    rig.hear(silence(0.5))
    assert rig.call.downlink.playout.state is PlayoutState.PAUSED
    dying(rig, SUSPICIOUS_SESSIONS)
    rig.wait(3)
    samples = [sample for sample in heard(rig) if sample != 77]
    assert samples == sound.tolist()


def test_the_end_of_a_call_is_never_taken_out() -> None:
    rig = live()
    rig.handle(on.CallerLeft())
    for _ in range(2 * SUSPICIOUS_SESSIONS):
        rig.handle(on.LinkLost())
        sent = messages(rig.ready())
        assert isinstance(sent[-1], CallOver)


def test_without_a_journal_there_is_nothing_to_write_it_in() -> None:
    rig = Rig()
    rig.ready()
    rig.handle(on.CallerPressed("1"))
    dying(rig, SUSPICIOUS_SESSIONS)
    assert not rig.call.downlink.journal.entries
    assert messages(rig.ready()) == []


# Whatever happens.


class Tale:
    """A call to which things happen; what the bot says is numbered by its samples."""

    def __init__(self) -> None:
        self.rig = live()
        self.linked = True
        self.sent = 0

    def lose(self, _seconds: float) -> None:
        if self.linked:
            self.linked = False
            self.rig.handle(on.LinkLost())

    def stand(self, _seconds: float) -> None:
        if not self.linked:
            self.linked = True
            self.rig.ready()
            self.rig.journal(brain_noted=journal_pb2.BrainNoted(name="n", value_json="1"))

    def speak(self, seconds: float) -> None:
        self.rig.hear(speech(seconds, self.rig.sent_offset))
        self.rig.hear(silence(0.4))

    def wait(self, seconds: float) -> None:
        self.rig.wait(seconds)

    def bot(self, seconds: float) -> None:
        if self.linked:
            self.sent += talking(self.rig, seconds + 0.1, self.sent).size

    def play_on(self, _seconds: float) -> None:
        if self.linked:
            self.rig.handle(on.PlayOnTold())

    def flush(self, _seconds: float) -> None:
        if self.linked:
            held = self.rig.call.standing(self.rig.now)
            self.rig.handle(on.FlushTold(held.played_offset, held.buffered_offset))


MOVES = [Tale.lose, Tale.stand, Tale.speak, Tale.wait, Tale.bot, Tale.play_on, Tale.flush]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(MOVES), st.floats(0.0, 2.5)), max_size=25))
def test_the_caller_hears_one_stream_and_every_sample_of_the_bots_at_most_once(
    story: list[tuple[Callable[[Tale, float], None], float]],
) -> None:
    tale = Tale()
    for move, seconds in story:
        if tale.rig.call.phase is Phase.LIVE:
            move(tale, seconds)
    phone = Phone(tale.rig.out)
    of_bot = [sample for sample in phone.samples if sample not in (77, 99)]
    expected = iter(speech(tale.sent / RATE).tolist())
    assert all(sample in expected for sample in of_bot), "repeated or out of order"
    # Only what was flushed has left a gap.
    assert phone.whole or Tale.flush in [move for move, _ in story]
