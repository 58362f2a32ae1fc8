from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, strategies as st

from voicemesh.audio import Chunk, Inbox, Placement, ReplayBuffer
from voicemesh.errors import InvalidInput, OutOfOrder

RATE = 100  # small, so that limits are met with few samples
spans = st.lists(st.tuples(st.integers(0, 300), st.integers(0, 60)), max_size=20)


def numbered(offset: int, count: int) -> Chunk:
    """Return a chunk in which every sample's value is its number."""
    return Chunk(offset, np.arange(offset, offset + count).astype(np.int16))


def numbers(chunks: list[Chunk]) -> list[int]:
    """Return the samples of all chunks; they must be where they say they are."""
    for chunk in chunks:
        assert chunk.samples.tolist() == list(range(chunk.offset, chunk.end))
    return [value for chunk in chunks for value in chunk.samples.tolist()]


def test_a_chunk_knows_its_end_and_its_rest() -> None:
    chunk = numbered(10, 5)
    assert chunk.end == 15
    assert chunk.since(3) is chunk
    assert numbers([chunk.since(12)]) == [12, 13, 14]
    assert chunk.since(12).samples.base is not None, "a view, not a copy"
    assert (chunk.since(99).offset, chunk.since(99).samples.size) == (15, 0)


def test_duplicates_are_dropped_and_gaps_reported() -> None:
    inbox = Inbox(RATE, strict=False)
    taken = [inbox.accept(numbered(*span)) for span in ((0, 10), (0, 10), (5, 10), (20, 5), (2, 3))]
    assert [(gap, chunk.samples.tolist()) for gap, chunk in taken] == [
        (0, [*range(10)]),
        (0, []),
        (0, [10, 11, 12, 13, 14]),
        (5, [20, 21, 22, 23, 24]),
        (0, []),
    ]
    assert inbox.place(2, 3) == Placement(0, 3)
    assert inbox.next_offset == 25


def test_an_inbox_may_begin_anywhere() -> None:
    assert Inbox(RATE, strict=False, next_offset=8).place(5, 10) == Placement(0, 3)


@given(spans)
def test_an_inbox_passes_every_sample_once_and_accounts_for_the_rest(
    arriving: list[tuple[int, int]],
) -> None:
    inbox = Inbox(RATE, strict=False)
    silent, passed = 0, []
    for span in arriving:
        gap, chunk = inbox.accept(numbered(*span))
        silent += gap
        passed.append(chunk)
        assert inbox.next_offset == silent + len(numbers(passed))
    heard = numbers(passed)
    assert heard == sorted(set(heard))


@given(spans)
def test_in_order_both_kinds_of_inbox_agree(arriving: list[tuple[int, int]]) -> None:
    strict, lenient = Inbox(RATE, strict=True), Inbox(RATE, strict=False)
    for gap, count in arriving:
        offset = strict.next_offset + gap
        assert strict.place(offset, count) == lenient.place(offset, count) == Placement(gap, 0)


def test_a_caller_must_not_go_back() -> None:
    inbox = Inbox(RATE, strict=True, field="audio.offset")
    inbox.place(0, 10)
    with pytest.raises(InvalidInput) as caught:
        inbox.place(9, 5)
    assert caught.value.reason == "OFFSET_WENT_BACK"
    assert caught.value.details == {"field": "audio.offset", "limit": "10"}
    assert inbox.place(10, 5) == Placement(0, 0), "an offset that was refused changes nothing"


def test_a_caller_must_not_jump_far_ahead() -> None:
    inbox = Inbox(RATE, strict=True)
    inbox.place(0, 10)
    with pytest.raises(InvalidInput) as caught:
        inbox.place(10 + 60 * RATE + 1, 5)
    assert caught.value.reason == "OFFSET_JUMPED"
    assert caught.value.details["limit"] == str(10 + 60 * RATE)
    assert inbox.place(10 + 60 * RATE, 5) == Placement(60 * RATE, 0)
    assert Inbox(RATE, strict=False).place(10**9, 5) == Placement(10**9, 0)


@pytest.mark.parametrize("strict", [True, False])
def test_no_offset_is_negative(strict: bool) -> None:
    with pytest.raises(InvalidInput, match=">= 0"):
        Inbox(RATE, strict=strict).place(-1, 5)


def test_a_replay_begins_where_it_is_wanted() -> None:
    buffer = ReplayBuffer(RATE)
    for span in ((0, 10), (10, 10), (40, 10)):
        buffer.append(numbered(*span))
    assert numbers(buffer.since(0)) == [*range(20), *range(40, 50)]
    assert numbers(buffer.since(15)) == [*range(15, 20), *range(40, 50)]
    assert [chunk.offset for chunk in buffer.since(20)] == [40]
    assert buffer.since(50) == []


def test_what_is_committed_is_forgotten() -> None:
    buffer = ReplayBuffer(RATE)
    buffer.append(numbered(0, 10))
    buffer.append(numbered(20, 10))
    buffer.commit(25)
    buffer.commit(4)  # an old acknowledgement
    assert numbers(buffer.since(0)) == [*range(25, 30)]
    assert (buffer.committed, buffer.held_samples, buffer.dropped_samples) == (25, 5, 0)
    buffer.commit(33)  # silence was committed too
    buffer.append(numbered(30, 10))
    assert numbers(buffer.since(0)) == [*range(33, 40)]


def test_beyond_its_limit_the_oldest_is_dropped_and_counted() -> None:
    buffer = ReplayBuffer(RATE, max_seconds=0.2)
    buffer.append(numbered(0, 15))
    buffer.append(numbered(100, 15))
    assert numbers(buffer.since(0)) == [*range(10, 15), *range(100, 115)]
    assert buffer.dropped_samples == 10
    buffer.append(numbered(200, 50))
    assert numbers(buffer.since(0)) == [*range(230, 250)]
    assert (buffer.held_samples, buffer.dropped_samples) == (20, 60)


def test_chunks_are_appended_in_order() -> None:
    buffer = ReplayBuffer(RATE)
    buffer.append(numbered(5, 5))
    with pytest.raises(OutOfOrder) as caught:
        buffer.append(numbered(9, 5))
    assert caught.value.details["limit"] == "10"


steps = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.integers(0, 30), st.integers(0, 40)),
        st.tuples(st.just("commit"), st.integers(0, 60), st.just(0)),
    ),
    max_size=30,
)


@given(steps=steps, wanted=st.integers(0, 1500))
def test_a_replay_buffer_equals_a_slow_twin(steps: list[tuple[str, int, int]], wanted: int) -> None:
    limit = 50
    buffer = ReplayBuffer(RATE, max_seconds=limit / RATE)
    held: list[int] = []  # the number of every sample that must be there
    end = committed = dropped = 0
    for step, distance, size in steps:
        if step == "append":
            buffer.append(numbered(end + distance, size))
            held += [n for n in range(end + distance, end + distance + size) if n >= committed]
            end += distance + size
        else:
            committed += distance
            buffer.commit(committed)
            held = [n for n in held if n >= committed]
        dropped += max(len(held) - limit, 0)
        held = held[-limit:]
        assert (buffer.held_samples, buffer.dropped_samples) == (len(held), dropped)
        assert (buffer.end, buffer.committed) == (end, committed)
    assert numbers(buffer.since(wanted)) == [n for n in held if n >= wanted]
