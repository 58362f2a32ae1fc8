from __future__ import annotations

import asyncio

import numpy as np
import pytest
from hypothesis import given, strategies as st

from adapters.recognition import Heard, Outbox, Utterance
from voicemesh.audio import Chunk
from voicemesh.errors import InvalidInput

RATE = 8000
SOUND = np.arange(1, RATE + 1, dtype=np.int16)


@given(
    start=st.integers(0, 1 << 40),
    runs=st.lists(st.tuples(st.integers(-500, 500), st.integers(1, 800)), max_size=20),
)
def test_samples_land_where_their_offsets_say(start: int, runs: list[tuple[int, int]]) -> None:
    """Whatever repeats and whatever is left out, sample n is at place n, once."""
    utterance, heard, end = Utterance(RATE), np.empty(0, np.int16), 0
    expected: dict[int, int] = {}
    for jump, count in [(0, 1), *runs]:
        at = max(0, end + jump)
        samples = SOUND[at % 100 : at % 100 + count]
        for place, value in enumerate(samples, at):
            if place >= end:
                expected[place] = int(value)
        heard = np.concatenate((heard, utterance.add(Chunk(start + at, samples))))
        end = max(end, at + count)
    assert heard.size == end
    assert [int(value) for value in heard] == [expected.get(place, 0) for place in range(end)]
    assert utterance.start == start


@pytest.mark.parametrize(
    ("offset", "reason"),
    [(999, "OFFSET_WENT_BACK"), (1000 + 30 * RATE - 9, "UTTERANCE_TOO_LONG"), (-1, None)],
)
def test_offsets_out_of_range_are_refused(offset: int, reason: str | None) -> None:
    utterance = Utterance(RATE)
    if reason:
        utterance.add(Chunk(1000, SOUND[:10]))
    with pytest.raises(InvalidInput) as caught:
        utterance.add(Chunk(offset, SOUND[:10]))
    assert caught.value.reason == (reason or "INVALID_FIELD")
    assert "limit" in caught.value.details


def test_thirty_seconds_fit() -> None:
    utterance = Utterance(RATE)
    utterance.add(Chunk(7, SOUND))
    assert utterance.add(Chunk(7 + 29 * RATE, SOUND)).size == 29 * RATE


def test_only_new_audio_wants_a_new_conclude() -> None:
    utterance = Utterance(RATE)
    utterance.add(Chunk(0, SOUND))
    utterance.conclude()
    utterance.add(Chunk(0, SOUND))
    assert not utterance.unconcluded
    utterance.add(Chunk(RATE, SOUND))
    assert utterance.unconcluded


def heard(text: str, *, final: bool) -> Heard:
    return Heard(text, final, len(text), 0.0)


async def test_a_slow_client_gets_the_latest_changing_transcript() -> None:
    outbox = Outbox()
    for text in ("a", "ab", "abc"):
        outbox.put(heard(text, final=False))
    assert await outbox.next() == heard("abc", final=False)
    outbox.put(heard("abcd", final=False))
    outbox.put(heard("done", final=True))
    outbox.put(heard("again", final=True))
    outbox.end()
    assert await outbox.next() == heard("done", final=True)
    assert await outbox.next() == heard("again", final=True)
    assert await outbox.next() is None


async def test_waiting_ends_with_what_went_wrong() -> None:
    outbox = Outbox()
    waiting = asyncio.create_task(outbox.next())
    await asyncio.sleep(0)
    outbox.fail(RuntimeError("gone"))
    with pytest.raises(RuntimeError, match="gone"):
        await waiting
