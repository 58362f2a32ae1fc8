from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from hypothesis import given, settings, strategies as st

from gateway.outbox import MAX_HELD_SECONDS, Item, Outbox
from gateway.reports import DigitPressed, SpeechBegan
from tests.gateway.rig import speech
from voicemesh.audio import Chunk

if TYPE_CHECKING:
    from collections.abc import Callable

RATE = 8000


def chunk(offset: int, size: int) -> Chunk:
    return Chunk(offset, speech(size / RATE, offset))


def spans(items: list[Item]) -> list[tuple[int, int] | DigitPressed | SpeechBegan]:
    return [(i.offset, i.end) if isinstance(i, Chunk) else i for i in items]  # type: ignore[misc]


def test_audio_is_joined_until_somebody_waits_for_it() -> None:
    outbox = Outbox(RATE)
    for index in range(3):
        outbox.add(chunk(index * 160, 160))
    assert list(outbox.take(640)) == []
    outbox.add(chunk(480, 160))
    assert spans(list(outbox.take(640))) == [(0, 640)]


def test_a_report_pushes_the_audio_before_it() -> None:
    outbox = Outbox(RATE)
    outbox.add(chunk(0, 160))
    outbox.add(DigitPressed(159, "1"))
    assert spans(list(outbox.take(800))) == [(0, 160), DigitPressed(159, "1")]


def test_a_gap_parts_messages() -> None:
    outbox = Outbox(RATE)
    outbox.add(chunk(0, 160))
    outbox.add(chunk(320, 160))
    assert spans(list(outbox.take(0))) == [(0, 160), (320, 480)]


def test_no_more_than_half_a_second_is_on_the_way() -> None:
    outbox = Outbox(RATE)
    outbox.add(chunk(0, 3 * RATE))
    assert spans(list(outbox.take(0))) == [(0, 4000)]
    assert list(outbox.take(0)) == []
    outbox.acknowledge(4000, 0)
    assert spans(list(outbox.take(0))) == [(4000, 8000)]


def test_an_order_that_offsets_alone_do_not_have_is_kept_in_a_replay() -> None:
    outbox = Outbox(RATE)
    outbox.add(SpeechBegan(1000, 900))
    outbox.add(chunk(500, 600))
    list(outbox.take(0))
    outbox.rewind(600)
    assert spans(list(outbox.take(0))) == [SpeechBegan(1000, 900), (600, 1100)]


def test_what_was_never_sent_cannot_be_committed() -> None:
    outbox = Outbox(RATE)
    outbox.add(chunk(0, 160))
    outbox.acknowledge(10_000, 10_000)
    assert spans(list(outbox.take(0))) == [(0, 160)]


def test_the_oldest_beyond_the_limit_is_dropped_and_counted() -> None:
    outbox = Outbox(RATE)
    outbox.add(SpeechBegan(0, 0))
    for index in range(MAX_HELD_SECONDS + 2):
        outbox.add(chunk(index * RATE, RATE))
    assert outbox.dropped_samples == 2 * RATE
    first, second, *_ = outbox.take(0)
    assert first == SpeechBegan(0, 0)
    assert second.offset == 2 * RATE


class Receiver:
    """Takes what an outbox sends, and keeps what it has committed over a rewind."""

    def __init__(self, outbox: Outbox) -> None:
        self.outbox = outbox
        self.arrived: list[int] = []
        self.committed = 0

    @property
    def behind(self) -> int:
        return self.arrived[-1] + 1 if self.arrived else self.committed

    def take(self, share: float) -> None:
        for item in self.outbox.take(int(share * 800)):
            assert isinstance(item, Chunk)
            expected = speech(item.samples.size / RATE, item.offset)
            np.testing.assert_array_equal(item.samples, expected)
            self.arrived.extend(range(item.offset, item.end))
        assert self.outbox.in_flight <= RATE // 2

    def acknowledge(self, share: float) -> None:
        self.outbox.acknowledge(int(share * self.behind), 0)

    def commit(self, share: float) -> None:
        self.committed = max(self.committed, int(share * self.behind))
        self.outbox.acknowledge(self.behind, self.committed)

    def rewind(self, _share: float) -> None:
        self.outbox.rewind(self.committed)
        self.arrived = [sample for sample in self.arrived if sample < self.committed]


moves_of_a_receiver = st.sampled_from(
    [Receiver.take, Receiver.acknowledge, Receiver.commit, Receiver.rewind]
)


@settings(deadline=None)
@given(
    pieces=st.lists(st.tuples(st.integers(0, 3000), st.integers(1, 2000)), max_size=30),
    moves=st.lists(st.tuples(moves_of_a_receiver, st.floats(0, 1))),
)
def test_every_sample_arrives_once_between_rewinds(
    pieces: list[tuple[int, int]], moves: list[tuple[Callable[[Receiver, float], None], float]]
) -> None:
    outbox = Outbox(RATE)
    offset, wanted = 0, set[int]()
    for gap, size in pieces:
        offset += gap
        outbox.add(chunk(offset, size))
        wanted.update(range(offset, offset + size))
        offset += size
    receiver = Receiver(outbox)
    for move, share in moves:
        move(receiver, share)
    while outbox:
        receiver.take(0)
        receiver.acknowledge(1)
    assert receiver.arrived == sorted(wanted)
