from __future__ import annotations

from hypothesis import given, settings, strategies as st

from gateway.clock import GAP_JITTER_SECONDS, STREAM_JITTER_SECONDS, CallerClock

RATE = 8000
FRAME = 160


def test_a_steady_caller_is_placed_where_it_says() -> None:
    clock = CallerClock(RATE, 0.0)
    for index in range(100):
        now = (index + 1) * 0.02
        assert clock.place(index * FRAME, FRAME, now) == index * FRAME
        assert clock.position(now) == (index + 1) * FRAME


def test_a_gap_in_the_offsets_is_kept() -> None:
    clock = CallerClock(RATE, 0.0)
    clock.place(0, FRAME, 0.02)
    assert clock.place(RATE, FRAME, 1.02) == RATE


def test_the_clock_runs_on_while_nothing_comes() -> None:
    clock = CallerClock(RATE, 0.0)
    clock.place(0, FRAME, 0.02)
    late = 0.02 + FRAME / RATE + STREAM_JITTER_SECONDS
    assert clock.position(late) == FRAME
    assert clock.position(late + 1.0) == FRAME + RATE


def test_who_leaves_gaps_is_waited_for_less() -> None:
    clock = CallerClock(RATE, 0.0)
    clock.place(0, FRAME, 0.02)
    clock.place(RATE, FRAME, 1.02)
    assert clock.position(1.02 + FRAME / RATE + GAP_JITTER_SECONDS + 1.0) == 2 * RATE + FRAME


def test_what_a_clock_before_has_heard_is_no_gap_of_the_callers() -> None:
    clock = CallerClock(RATE, 0.0)
    clock.take_up(RATE, RATE, 0.0)
    clock.place(RATE + FRAME, FRAME, 0.02)
    late = 0.02 + FRAME / RATE + STREAM_JITTER_SECONDS
    assert clock.position(late) == RATE + 2 * FRAME


def test_audio_after_a_stall_is_placed_behind_the_silence_that_was_told() -> None:
    clock = CallerClock(RATE, 0.0)
    clock.place(0, FRAME, 0.02)
    there = clock.position(5.0)
    assert there > FRAME
    assert clock.place(FRAME, FRAME, 5.0) == there
    assert clock.place(2 * FRAME, FRAME, 5.0) == there + FRAME


def test_a_caller_of_long_chunks_is_not_taken_to_stall() -> None:
    clock = CallerClock(RATE, 0.0)
    for index in range(10):
        now = float(index + 1)
        assert clock.position(now) == index * RATE
        assert clock.place(index * RATE, RATE, now) == index * RATE


def test_when_a_sample_was_spoken() -> None:
    clock = CallerClock(RATE, 10.0)
    for index in range(10):
        clock.place(index * FRAME, FRAME, 10.02 + index * 0.02)
    assert clock.time_of(5 * FRAME) == 10.1
    assert abs(clock.time_of(5 * FRAME - 80) - 10.09) < 1e-9
    assert abs(clock.time_of(11 * FRAME) - 10.22) < 1e-9


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(1, 8000), st.integers(0, 20000), st.floats(0, 3)),
        min_size=1,
        max_size=60,
    )
)
def test_it_never_goes_back_and_nothing_overlaps(
    chunks: list[tuple[int, int, float]],
) -> None:
    clock, offset, now, end = CallerClock(RATE, 0.0), 0, 0.0, 0
    for size, gap, pause in chunks:
        now += pause
        before = clock.position(now)
        offset += gap
        position = clock.place(offset, size, now)
        assert position >= before >= end
        assert clock.position(now) == position + size
        offset += size
        end = position + size


@given(
    st.lists(
        st.tuples(
            st.integers(0, 16_000),  # samples of silence that the caller leaves out
            st.integers(1, 8000),  # samples that it sends
            st.floats(0, 3),  # seconds by which they are late
            st.booleans(),  # whether another clock takes over behind them
        ),
        max_size=20,
    )
)
def test_a_place_is_found_again_by_the_callers_own_count(
    script: list[tuple[int, int, float, bool]],
) -> None:
    now, offset, clock = 100.0, 0, CallerClock(RATE, 100.0)
    for gap, count, late, taken_up in script:
        offset += gap
        now += (gap + count) / RATE + late
        before = clock.received
        position = clock.place(offset, count, now)
        assert position >= before
        assert clock.offset_at(position) == offset
        assert clock.offset_at(position + count) == offset + count
        # Whatever lies before is not numbered higher, however the counts differ.
        assert clock.offset_at(max(0, position - 1)) <= offset
        offset += count
        if taken_up:
            back = min(count, 160)
            again = CallerClock(RATE, now)
            place = clock.received - back
            again.take_up(clock.offset_at(place), place, now)
            assert again.place(offset - back, back, now) == place
            assert again.received == clock.received
            clock = again
