from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, strategies as st

from voicemesh.bench.ear import Ear
from voicemesh.client.playback import Playback

RATE = 8000


def test_the_first_chunk_sets_the_clock_for_the_others() -> None:
    ear = Ear(RATE)
    late = [ear.arrive(number * 160, 160, now) for number, now in enumerate((1.0, 1.01, 1.09))]
    assert late == pytest.approx([0, 0, 0.05])
    assert not ear.new_stretch
    assert ear.arrive(480, 160, 2.0) == 0
    assert ear.new_stretch


def test_what_was_heard_already_is_not_heard_again() -> None:
    ear = Ear(RATE)
    ear.arrive(0, 160, 1.0)
    assert ear.arrive(0, 160, 1.01) is None
    assert ear.arrive(80, 160, 1.02) is not None
    assert ear.audible_until == pytest.approx(1.03)


def test_a_clear_ends_what_is_audible() -> None:
    ear = Ear(RATE)
    ear.arrive(0, 8000, 1.0)
    ear.clear(800, 1.05)
    assert ear.audible_until == pytest.approx(1.1)
    ear.clear(0, 1.06)
    assert ear.audible_until == pytest.approx(1.06)
    ear.arrive(8000, 160, 1.1)
    assert ear.new_stretch


# Times are odd fractions, so that neither rounds a pause of exactly half a second differently.
_CHUNK = st.tuples(st.integers(0, 900), st.integers(-160, 4000), st.integers(1, 800))


@given(st.lists(_CHUNK, max_size=40), st.sets(st.integers(0, 39), max_size=3))
def test_it_says_what_playback_says(chunks: list[tuple[int, int, int]], clears: set[int]) -> None:
    ear, playback = Ear(RATE), Playback(RATE, keep_sound=False)
    now, offset, heard = 1.0, 0, []
    for number, (millis, gap, count) in enumerate(chunks):
        now += millis / 1000 + 0.000137
        if number in clears:
            ear.clear(0, now)
            playback.clear(0, now)
        begin = max(offset + gap, 0)
        late = ear.arrive(begin, count, now)
        playback.arrive(begin, np.ones(count, np.int16), now)
        if late is not None:
            heard.append(late)
        offset = playback.next_offset
    assert heard == pytest.approx(list(playback.lateness))
