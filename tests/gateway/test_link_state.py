from __future__ import annotations

import math

import pytest
from hypothesis import given, settings, strategies as st

from gateway import link_state as state
from gateway.link_state import (
    OPEN_SECONDS,
    READY_SECONDS,
    SILENCE_SECONDS,
    AudioReceived,
    AudioSent,
    ByeCame,
    Closed,
    Command,
    Dial,
    Drop,
    Event,
    GiveUp,
    GoAwayCame,
    HalfClose,
    LinkPhase,
    LinkState,
    Lose,
    ReadyCame,
    Started,
    StreamEnded,
    Switch,
    Ticked,
)
from voicemesh.errors import NotFound, Refused, Superseded, Unavailable


class Rig:
    """A link's state, its time, and the streams that it has open."""

    def __init__(self) -> None:
        self.state = LinkState(lambda: 1.0)
        self.now = 0.0
        self.open: list[int] = []
        self.dials: list[Dial] = []

    def handle(self, event: Event) -> list[Command]:
        if isinstance(event, StreamEnded) and event.stream in self.open:
            self.open.remove(event.stream)
        commands = self.state.handle(event, self.now)
        for command in commands:
            if isinstance(command, Dial):
                self.dials.append(command)
                self.open.append(command.stream)
            elif isinstance(command, Drop):
                self.open.remove(command.stream)
        return commands

    def wait(self, seconds: float, *, pause: bool = False) -> list[Command]:
        found = []
        for _ in range(round(seconds / 0.02)):
            self.now += 0.02
            found += self.handle(Ticked(pause))
        return found

    def up(self) -> Rig:
        self.handle(Started())
        self.handle(ReadyCame(1))
        self.now += state.STEADY_SECONDS
        return self


def kinds(commands: list[Command]) -> list[type]:
    return [type(command) for command in commands]


def test_a_session_is_opened_and_counts_once_it_is_ready() -> None:
    rig = Rig()
    assert rig.handle(Started()) == [Dial(1, epoch=1, attempt=1)]
    assert rig.handle(ReadyCame(1)) == [Switch(1)]
    assert rig.state.due == math.inf


def test_a_break_raises_the_epoch_at_once() -> None:
    rig = Rig().up()
    assert rig.handle(StreamEnded(1)) == [Lose(), Dial(2, epoch=2, attempt=1)]
    assert rig.handle(ReadyCame(2)) == [Switch(2)]


def test_three_attempts_at_once_and_then_with_pauses_that_grow() -> None:
    rig = Rig().up()
    rig.handle(StreamEnded(1))
    for stream in (2, 3, 4):
        rig.handle(StreamEnded(stream))
    assert [dial.attempt for dial in rig.dials] == [1, 1, 2, 3]
    waits = []
    for stream in range(5, 11):
        began = rig.now
        while rig.dials[-1].stream < stream:
            rig.wait(0.02)
        waits.append(rig.now - began)
        rig.handle(StreamEnded(stream))
    assert waits == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.0, 1.0], abs=0.03)
    assert {dial.epoch for dial in rig.dials[1:]} == {2}


def test_an_open_that_hangs_is_dropped() -> None:
    rig = Rig().up()
    rig.handle(StreamEnded(1))
    commands = rig.wait(READY_SECONDS + 0.02)
    assert commands == [Drop(2), Dial(3, epoch=2, attempt=2)]
    # Too late: it is a ghost.
    assert rig.state.handle(ReadyCame(2), rig.now) == [Drop(2)]


def test_a_new_call_is_not_kept_waiting_for_ever() -> None:
    rig = Rig()
    rig.handle(Started())
    found = rig.wait(OPEN_SECONDS + 2)
    (given_up,) = [command for command in found if isinstance(command, GiveUp)]
    assert isinstance(given_up.error, Unavailable)
    assert not rig.open


def test_a_live_call_never_gives_up_by_itself() -> None:
    rig = Rig().up()
    rig.handle(StreamEnded(1))
    assert GiveUp not in kinds(rig.wait(60))


def test_a_full_mesh_says_so_soon() -> None:
    rig = Rig()
    rig.handle(Started())
    for stream in (1, 2):
        rig.handle(StreamEnded(stream, full=True))
    (given_up,) = rig.handle(StreamEnded(3, full=True))
    assert isinstance(given_up, GiveUp)
    assert isinstance(given_up.error, Refused)


def test_some_answers_are_final() -> None:
    error = NotFound("no bot")
    rig = Rig()
    rig.handle(Started())
    assert rig.handle(StreamEnded(1, error)) == [GiveUp(error)]
    rig = Rig().up()
    assert rig.handle(StreamEnded(1, error)) == [Lose(), GiveUp(error)]


def test_a_superseded_call_is_never_reopened() -> None:
    rig = Rig().up()
    (drop, given_up) = rig.handle(ByeCame(1, superseded=True))
    assert drop == Drop(1)
    assert isinstance(given_up, GiveUp)
    assert isinstance(given_up.error, Superseded)


def test_bye_is_answered_by_half_closing() -> None:
    rig = Rig().up()
    assert rig.handle(ByeCame(1)) == [HalfClose(1)]
    assert rig.handle(StreamEnded(1)) == []
    assert rig.wait(5) == []


def test_a_stream_that_never_ends_after_bye_is_dropped() -> None:
    rig = Rig().up()
    rig.handle(ByeCame(1))
    assert rig.wait(5) == [Drop(1)]


def test_silence_while_audio_is_on_the_way_is_a_break() -> None:
    rig = Rig().up()
    rig.handle(AudioSent(160))
    assert rig.wait(SILENCE_SECONDS - 0.04) == []
    assert rig.wait(0.08) == [Drop(1), Lose(), Dial(2, epoch=2, attempt=1)]


def test_a_late_tick_alone_is_no_break() -> None:
    rig = Rig().up()
    rig.handle(AudioSent(160))
    rig.now += 1.0
    assert rig.handle(Ticked()) == []
    rig.handle(AudioReceived(160))
    assert rig.wait(1) == []


def test_who_was_late_itself_waits_as_much_longer() -> None:
    rig = Rig().up()
    rig.handle(AudioSent(160))
    for _ in range(10):
        rig.now += 0.2
        assert rig.handle(Ticked(late=0.18)) == []
    assert rig.wait(0.08) == []
    assert rig.wait(SILENCE_SECONDS)[0] == Drop(1)


def test_an_open_is_waited_for_as_much_longer_as_nobody_listened() -> None:
    rig = Rig().up()
    rig.handle(StreamEnded(1))
    rig.now += READY_SECONDS + 0.3
    assert rig.handle(Ticked(late=0.3 + 0.02)) == []
    assert rig.wait(0.04)[0] == Drop(2)


def test_progress_is_enough() -> None:
    rig = Rig().up()
    for step in range(50):
        rig.handle(AudioSent((step + 2) * 160))
        rig.now += 0.1
        rig.handle(AudioReceived((step + 1) * 160))
        assert rig.handle(Ticked()) == []


def test_a_move_waits_for_a_pause_and_leaves_the_old_stream_until_the_new_one_stands() -> None:
    rig = Rig().up()
    rig.handle(GoAwayCame(1, 30.0))
    assert rig.wait(5) == []
    assert rig.wait(0.02, pause=True) == [Dial(2, epoch=2, attempt=1)]
    assert rig.state.current == 1
    assert rig.handle(ReadyCame(2)) == [Switch(2), HalfClose(1)]
    assert rig.handle(ByeCame(1)) == []


def test_a_move_without_a_pause_happens_before_the_deadline() -> None:
    rig = Rig().up()
    rig.handle(GoAwayCame(1, 5.0))
    assert kinds(rig.wait(4.2)) == [Dial]


def test_a_move_to_a_session_that_knows_too_little_is_tried_again() -> None:
    rig = Rig().up()
    rig.handle(GoAwayCame(1, 30.0))
    rig.wait(0.02, pause=True)
    assert rig.handle(ReadyCame(2, stale=True)) == [Drop(2), Dial(3, epoch=3, attempt=1)]
    assert rig.state.current == 1


def test_a_stream_that_dies_during_a_move_is_replaced_by_the_one_on_its_way() -> None:
    rig = Rig().up()
    rig.handle(GoAwayCame(1, 30.0))
    rig.wait(0.02, pause=True)
    assert rig.handle(StreamEnded(1)) == [Lose()]
    assert rig.handle(ReadyCame(2)) == [Switch(2)]


def moving() -> Rig:
    rig = Rig().up()
    rig.handle(GoAwayCame(1, 30.0))
    rig.wait(0.02, pause=True)
    return rig


def test_a_move_to_the_same_replica_loses_nothing() -> None:
    rig = moving()
    assert rig.handle(ByeCame(1, superseded=True)) == [HalfClose(1)]
    assert rig.handle(StreamEnded(1)) == []
    assert rig.handle(ReadyCame(2)) == [Switch(2)]


def test_a_move_that_fails_after_the_same_replica_took_the_call_over_is_a_break() -> None:
    rig = moving()
    rig.handle(ByeCame(1, superseded=True))
    assert rig.handle(StreamEnded(2)) == [Lose(), Dial(3, epoch=2, attempt=2)]
    assert rig.handle(ReadyCame(3)) == [Switch(3)]


def test_a_session_that_its_own_earlier_attempt_took_over_is_lost() -> None:
    rig = moving()
    for stream in (2, 3, 4):
        rig.handle(StreamEnded(stream))
    assert rig.handle(ByeCame(1, superseded=True)) == [Lose()]
    assert kinds(rig.wait(0.2)) == [Dial]


def test_a_replica_that_breaks_every_session_is_not_called_without_a_pause() -> None:
    rig = Rig()
    rig.handle(Started())
    for stream in range(1, 4):
        rig.handle(ReadyCame(stream))
        rig.handle(StreamEnded(stream))
    assert rig.state.phase is LinkPhase.WAITING


def events_for(rig: Rig) -> st.SearchStrategy[Event]:
    stream = st.sampled_from([*rig.open, 0, max(rig.open, default=0) + 7])
    return st.one_of(
        st.builds(Started),
        st.builds(ReadyCame, stream, st.booleans()),
        st.builds(StreamEnded, stream, st.sampled_from([None, None, NotFound("x")]), st.booleans()),
        st.builds(ByeCame, stream, st.booleans()),
        st.builds(GoAwayCame, stream, st.floats(0, 30)),
        st.builds(AudioSent, st.integers(0, 10_000)),
        st.builds(AudioReceived, st.integers(0, 10_000)),
        st.builds(Ticked, st.booleans(), st.sampled_from([0.0, 0.05, 1.0])),
    )


def check(rig: Rig, commands: list[Command]) -> None:
    epochs = [dial.epoch for dial in rig.dials]
    assert epochs == sorted(epochs)
    pairs = [(dial.epoch, dial.attempt) for dial in rig.dials]
    assert len(set(pairs)) == len(pairs)
    assert rig.state.current in (0, *rig.open)
    if rig.state.phase in (LinkPhase.UP, LinkPhase.MOVING):
        assert rig.state.current
    else:
        assert not rig.state.current or rig.state.phase is LinkPhase.CLOSED
    if GiveUp in kinds(commands):
        assert rig.state.phase is LinkPhase.CLOSED


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_any_event_in_any_state(data: st.DataObject) -> None:
    rig = Rig()
    rig.handle(Started())
    for _ in range(data.draw(st.integers(0, 30))):
        rig.now += data.draw(st.sampled_from([0.0, 0.02, 0.3, 1.0, 6.0]))
        event = data.draw(events_for(rig))
        if isinstance(event, (StreamEnded, ReadyCame)) and event.stream not in rig.open:
            # A ghost: nothing may change.
            before = rig.state.current, rig.state.phase
            assert kinds(rig.state.handle(event, rig.now)) in ([], [Drop])
            assert (rig.state.current, rig.state.phase) == before
            continue
        check(rig, rig.handle(event))
    rig.handle(Closed())
    assert not rig.open or rig.state.phase is LinkPhase.CLOSED


@pytest.mark.parametrize("phase", [LinkPhase.OPENING, LinkPhase.WAITING, LinkPhase.MOVING])
def test_closing_drops_every_stream(phase: LinkPhase) -> None:
    rig = Rig() if phase is LinkPhase.OPENING else Rig().up()
    if phase is LinkPhase.OPENING:
        rig.handle(Started())
    elif phase is LinkPhase.MOVING:
        rig.handle(GoAwayCame(1, 30.0))
        rig.wait(0.02, pause=True)
    else:
        for stream in (1, 2, 3, 4):
            rig.handle(StreamEnded(stream))
    assert rig.state.phase is phase
    rig.handle(Closed())
    assert not rig.open
