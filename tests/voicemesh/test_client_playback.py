from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, strategies as st

from voicemesh.client.playback import Playback

RATE = 8000
FRAME = np.ones(160, np.int16)


def playing(arrivals: list[float], *, keep_sound: bool = True) -> Playback:
    playback = Playback(RATE, keep_sound=keep_sound)
    for number, now in enumerate(arrivals):
        playback.arrive(number * 160, FRAME, now)
    return playback


def test_frames_in_time_leave_no_hole() -> None:
    playback = playing([1.0, 1.0, 1.02, 1.03, 1.08])
    assert playback.holes == []
    assert max(playback.lateness) < 1e-9
    assert playback.audible_until == pytest.approx(1.1)
    assert playback.audible(1.09)
    assert not playback.audible(1.1)
    assert playback.audible_for(1.05) == pytest.approx(0.05)


def test_a_late_frame_is_a_hole_and_moves_what_follows() -> None:
    playback = playing([1.0, 1.07, 1.08])
    (hole,) = playback.holes
    assert hole.offset == 160
    assert (hole.at, hole.seconds) == pytest.approx((1.02, 0.05))
    assert list(playback.lateness) == pytest.approx([0, 0.05, 0.04])
    assert playback.audible_until == pytest.approx(1.11)


def test_a_pause_between_replies_is_no_hole() -> None:
    playback = playing([1.0, 3.0])
    assert playback.holes == []
    assert playback.stretches == [1.0, 3.0]
    assert playback.first_heard_after(1.5) == 3.0
    assert playback.first_heard_after(3.5) is None


def test_a_gap_in_the_offsets_is_silence() -> None:
    playback = playing([1.0])
    playback.arrive(320, FRAME, 1.01)
    track = playback.track(1.0, RATE)
    assert track.size == 480
    assert not track[160:320].any()
    assert track[320:].all()
    assert playback.stretches == [1.0]


def test_clear_drops_only_what_was_not_heard() -> None:
    playback = playing([1.0] * 10)
    playback.clear(0, 1.05)
    assert playback.heard_samples == pytest.approx(400, abs=1)
    assert not playback.audible(1.06)
    playback.arrive(1600, FRAME, 1.06)
    assert playback.stretches == [1.0, 1.06]
    track = playback.track(1.0, RATE)
    assert track.sum() == pytest.approx(560, abs=2)
    assert track[480:].all()


def test_clear_keeps_what_lies_before_its_offset() -> None:
    playback = playing([1.0] * 10)
    playback.clear(800, 1.01)
    assert playback.heard_samples == 800
    assert playback.audible_until == pytest.approx(1.1)


def test_clear_of_silence_does_nothing() -> None:
    playback = Playback(RATE)
    playback.clear(100, 1.0)
    assert not playback.audible(1.0)
    assert playback.track(0.0, RATE).size == 0


def test_duplicates_are_heard_once() -> None:
    playback = playing([1.0, 1.0])
    playback.arrive(160, FRAME, 1.01)
    playback.arrive(240, FRAME, 1.01)
    assert playback.heard_samples == 400


def test_the_track_starts_with_the_call_and_has_its_rate() -> None:
    playback = playing([0.99, 1.0])
    assert playback.track(1.0, RATE).size == 240
    assert playback.track(1.0, 16000).size == 480


def test_without_sound_little_is_kept() -> None:
    playback = playing([1 + 0.02 * n for n in range(500)], keep_sound=False)
    assert len(playback.pieces) <= 3
    assert playback.heard_samples == 500 * 160


@given(
    st.lists(st.floats(min_value=0, max_value=0.8), max_size=40),
    st.lists(st.tuples(st.integers(0, 40), st.integers(0, 6000)), max_size=4),
)
def test_nothing_is_heard_twice_nor_before_it_arrived(
    delays: list[float], clears: list[tuple[int, int]]
) -> None:
    playback, now = Playback(RATE), 0.0
    for number, delay in enumerate(delays):
        now += delay
        for at, offset in clears:
            if at == number:
                playback.clear(offset, now)
        playback.arrive(number * 160, FRAME, now)
    ends = [(piece.play_at, piece.play_at + piece.count / RATE) for piece in playback.pieces]
    for (_, end), (start, _) in pairwise(ends):
        assert start >= end - 1e-9
    assert playback.heard_samples == sum(piece.count for piece in playback.pieces)
    assert min(playback.lateness, default=0) >= 0
    assert int(playback.track(0.0, RATE).sum()) <= playback.heard_samples
