from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from gateway.playout import (
    LEAD_SECONDS,
    MAX_BUFFERED_SECONDS,
    Clear,
    Play,
    Playout,
    PlayoutCommand,
    PlayoutState,
    Rest,
)
from tests.gateway.rig import speech
from voicemesh.audio import Chunk
from voicemesh.client.playback import Playback
from voicemesh.errors import OutOfOrder, Refused

if TYPE_CHECKING:
    from collections.abc import Callable

RATE = 8000
LEAD = round(LEAD_SECONDS * RATE)


def chunk(offset: int, size: int) -> Chunk:
    return Chunk(offset, speech(size / RATE, offset))


def spans(commands: list[PlayoutCommand]) -> list[tuple[int, int]]:
    return [(c.chunk.offset, c.chunk.end) for c in commands if isinstance(c, Play)]


def run(playout: Playout, begin: float, end: float) -> list[tuple[int, int]]:
    """Tick every 20 ms behind `begin` up to `end`; return what went out."""
    out = []
    for step in range(1, round((end - begin) / 0.02) + 1):
        out += spans(playout.tick(begin + step * 0.02))
    return out


def test_the_first_audio_goes_out_at_once_and_no_more_than_the_lead() -> None:
    playout = Playout(RATE)
    assert spans(playout.add(chunk(0, RATE), 5.0)) == [(0, LEAD)]
    assert playout.heard(5.0) == 0
    assert playout.heard(5.05) == 400


def test_it_paces_in_real_time() -> None:
    playout = Playout(RATE)
    out = spans(playout.add(chunk(0, RATE), 5.0)) + run(playout, 5.0, 6.2)
    assert out[0][0] == 0
    assert out[-1][1] == RATE
    assert all(a[1] == b[0] for a, b in pairwise(out))
    assert playout.heard(6.2) == RATE
    assert playout.state is PlayoutState.IDLE


def test_an_underrun_stops_the_clock() -> None:
    playout = Playout(RATE)
    playout.add(chunk(0, 160), 0.0)
    run(playout, 0.0, 1.0)
    assert playout.heard(1.0) == 160
    assert spans(playout.add(chunk(160, 160), 1.0)) == [(160, 320)]
    assert playout.heard(1.01) == 240


def test_a_gap_is_silence_of_its_length() -> None:
    playout = Playout(RATE)
    playout.add(chunk(0, 160), 0.0)
    playout.add(chunk(480, 160), 0.01)
    run(playout, 0.0, 0.04)
    assert playout.heard(0.05) == 400
    assert playout.heard(0.08) == 640


def test_pause_takes_back_what_was_not_heard_and_resume_plays_it() -> None:
    playout = Playout(RATE)
    playout.add(chunk(0, RATE), 0.0)
    assert playout.pause(0.05) == [Clear(400)]
    assert playout.heard(9.0) == 400
    assert run(playout, 0.05, 0.55) == []
    assert spans(playout.resume(10.0))[0] == (400, 400 + LEAD)
    assert playout.heard(10.05) == 800


def test_only_what_plays_can_pause() -> None:
    with pytest.raises(OutOfOrder):
        Playout(RATE).pause(0.0)


def test_flush_ends_a_pause_and_skips_for_ever() -> None:
    playout = Playout(RATE)
    playout.add(chunk(0, RATE), 0.0)
    playout.pause(0.05)
    assert playout.flush(400, RATE, 0.1) == []
    assert playout.state is PlayoutState.IDLE
    assert playout.heard(0.1) == playout.buffered == RATE
    # The same audio once more, as after a resume, is not played.
    assert spans(playout.add(chunk(0, RATE), 0.2)) == []
    assert spans(playout.add(chunk(RATE, 160), 0.3)) == [(RATE, RATE + 160)]


def test_flush_of_what_is_to_come_lets_the_rest_play() -> None:
    playout = Playout(RATE)
    playout.add(chunk(0, 400), 0.0)
    assert playout.flush(400, 4000, 0.0) == []
    assert run(playout, 0.0, 0.1) == []
    assert spans(playout.add(chunk(4000, 160), 0.1)) == [(4000, 4160)]


def test_flush_in_the_middle_clears_what_was_handed_out_and_plays_on_behind() -> None:
    playout = Playout(RATE)
    playout.add(chunk(0, RATE), 0.0)
    commands = playout.flush(480, 4000, 0.02)
    assert commands[0] == Clear(480)
    assert spans(commands)[0][0] == 4000
    assert playout.heard(0.06) == 4000


def test_rest_is_told_once_when_nothing_follows() -> None:
    playout = Playout(RATE)
    playout.add(chunk(0, 800), 0.0)
    rests = [c for s in range(1, 20) for c in playout.tick(s * 0.02) if isinstance(c, Rest)]
    assert len(rests) == 1


def test_too_much_is_refused() -> None:
    playout = Playout(RATE)
    for second in range(MAX_BUFFERED_SECONDS):
        playout.add(chunk(second * RATE, RATE), 0.0)
    with pytest.raises(Refused):
        playout.add(chunk(MAX_BUFFERED_SECONDS * RATE, 1), 0.0)


class Phone(Playback):
    """Plays what one gateway after another sends."""

    def run(self, playout: Playout, begin: float, end: float) -> None:
        for step in range(1, round((end - begin) / 0.02) + 1):
            self.take(playout.tick(begin + step * 0.02), begin + step * 0.02)

    def take(self, commands: list[PlayoutCommand], now: float) -> None:
        for command in commands:
            if isinstance(command, Play):
                self.arrive(command.chunk.offset, command.chunk.samples, now)
            elif isinstance(command, Clear):
                self.clear(command.offset, now)

    def sound(self) -> np.ndarray[tuple[int], np.dtype[np.int16]]:
        return np.concatenate([each.samples for each in self.pieces if each.samples is not None])


def change(phone: Phone, at: float, ready: float) -> Playout:
    """Have a phone that hears 6 s of the bot change gateways; return the new one's playout."""
    old, new = Playout(RATE), Playout(RATE)
    phone.take(old.add(chunk(0, 6 * RATE), 0.0), 0.0)
    phone.run(old, 0.0, at)
    old.reach(2.0)
    phone.take(old.tick(at), at)
    heard = phone.heard(at)
    new.take_up(heard, phone.next_offset, at)
    assert new.heard(at) == heard
    phone.run(new, at, ready)
    begin = new.buffered
    phone.take(new.add(chunk(begin, 6 * RATE - begin), ready), ready)
    return new


@settings(max_examples=50, deadline=None)
@given(at=st.integers(1, 250), takes=st.integers(0, 95))
def test_a_change_of_gateways_is_not_heard(at: int, takes: int) -> None:
    phone, ready = Phone(RATE), (at + takes) * 0.02
    new = change(phone, at * 0.02, ready)
    phone.run(new, ready, 8.0)
    assert not phone.holes
    np.testing.assert_array_equal(phone.sound(), speech(6))
    assert new.heard(8.0) == 6 * RATE
    assert new.state is PlayoutState.IDLE


def test_a_change_of_gateways_that_takes_too_long_loses_nothing() -> None:
    phone = Phone(RATE)
    phone.run(change(phone, 1.0, 3.4), 3.4, 9.0)
    assert [hole.seconds for hole in phone.holes] == pytest.approx([0.4 - LEAD_SECONDS], abs=0.05)
    np.testing.assert_array_equal(phone.sound(), speech(6))


def test_an_interruption_during_a_change_of_gateways_goes_on_where_it_was() -> None:
    phone = Phone(RATE)
    new = change(phone, 1.0, 1.2)
    phone.take(new.pause(1.5), 1.5)
    assert not phone.audible(1.51)
    assert new.heard(9.0) == phone.heard(9.0)
    phone.take(new.resume(2.0), 2.0)
    phone.run(new, 2.0, 9.0)
    np.testing.assert_array_equal(phone.sound(), speech(6))


class Listener:
    """The caller's side: plays what was sent when it is due, and drops what a clear says."""

    def __init__(self) -> None:
        self.playout = Playout(RATE)
        self.now = 0.0
        self.end = 0
        self.waiting: list[int] = []
        self.heard: set[int] = set()
        self.flushed: set[int] = set()

    def step(self, move: Move, one: float, two: float) -> None:
        self.now += one if move is Listener.tick else 0.02
        before = self.playout.heard(self.now)
        self.heard.update(sample for sample in self.waiting if sample < before)
        self.waiting = [sample for sample in self.waiting if sample >= before]
        for command in move(self, one, two):
            if isinstance(command, Clear):
                self.waiting = [sample for sample in self.waiting if sample < command.offset]
            elif isinstance(command, Play):
                self.receive(command.chunk)
        assert before <= self.playout.heard(self.now) <= self.playout.buffered
        assert not self.flushed & self.heard
        assert len(self.waiting) <= LEAD + 1

    def receive(self, got: Chunk) -> None:
        assert not self.waiting or got.offset > self.waiting[-1]
        np.testing.assert_array_equal(got.samples, speech(got.samples.size / RATE, got.offset))
        self.waiting.extend(range(got.offset, got.end))

    def add(self, one: float, two: float) -> list[PlayoutCommand]:
        begin = self.end + int(two * 3000 if two > 0.8 else 0)
        self.end = begin + int(one * 3000) + 1
        return self.playout.add(chunk(begin, self.end - begin), self.now)

    def add_again(self, one: float, _two: float) -> list[PlayoutCommand]:
        begin = int(one * self.end)
        return self.playout.add(chunk(begin, self.end - begin), self.now)

    def tick(self, _one: float, _two: float) -> list[PlayoutCommand]:
        return self.playout.tick(self.now)

    def pause(self, _one: float, _two: float) -> list[PlayoutCommand]:
        if self.playout.state is not PlayoutState.PLAYING:
            return []
        return self.playout.pause(self.now)

    def resume(self, _one: float, _two: float) -> list[PlayoutCommand]:
        return self.playout.resume(self.now)

    def flush(self, one: float, two: float) -> list[PlayoutCommand]:
        begin = int(one * self.end)
        behind = begin + int(two * (self.end - begin))
        self.flushed.update(range(max(begin, self.playout.heard(self.now)), behind))
        return self.playout.flush(begin, behind, self.now)


Move: TypeAlias = "Callable[[Listener, float, float], list[PlayoutCommand]]"
moves_of_a_call = st.sampled_from(
    [
        Listener.add,
        Listener.add_again,
        Listener.tick,
        Listener.pause,
        Listener.resume,
        Listener.flush,
    ]
)


@settings(deadline=None)
@given(st.lists(st.tuples(moves_of_a_call, st.floats(0, 1), st.floats(0, 1)), max_size=60))
def test_whatever_happens_the_caller_hears_each_sample_once_or_never(
    script: list[tuple[Move, float, float]],
) -> None:
    listener = Listener()
    for step in script:
        listener.step(*step)
    listener.step(Listener.resume, 0, 0)
    for _ in range(2000):
        listener.step(Listener.tick, 0.02, 0)
    assert listener.playout.state is PlayoutState.IDLE
    assert not listener.waiting
