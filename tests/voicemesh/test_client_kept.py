from __future__ import annotations

import numpy as np
from hypothesis import given, strategies as st

from voicemesh.api.call.v1 import call_pb2
from voicemesh.client.convert import audio_request, dtmf_request, hang_up_request
from voicemesh.client.kept import (
    MAX_KEPT_KEYS,
    MAX_KEPT_SECONDS,
    MAX_MEMORY_BYTES,
    Kept,
    Memory,
    Reader,
)

RATE = 8000
FRAME = 160


def audio(kept: Kept, offset: int, count: int = FRAME) -> None:
    samples = np.arange(offset, offset + count).astype("<i2")
    kept.audio(offset, count, audio_request(offset, samples.tobytes()))


def read(kept: Kept, reader: Reader) -> list[call_pb2.ConverseRequest]:
    found = []
    while (message := kept.next(reader)) is not None:
        found.append(message)
    return found


def test_a_state_is_told_again_unless_it_is_past() -> None:
    kept = Kept(RATE)
    audio(kept, 0)
    kept.state(FRAME, call_pb2.ConverseRequest(hold=call_pb2.Hold(on_hold=True)))
    audio(kept, FRAME)
    kinds = [each.WhichOneof("message") for each in read(kept, Reader())]
    assert kinds == ["audio", "hold", "audio"]
    assert len(read(kept, Reader(wanted_offset=FRAME))) == 2
    kept.commit(FRAME + 1, 0)
    assert [each.WhichOneof("message") for each in read(kept, Reader())] == ["audio"]


steps = st.one_of(
    st.tuples(st.just("audio"), st.integers(0, 500), st.integers(1, 500)),
    st.tuples(st.just("key"), st.just(0), st.just(0)),
    st.tuples(st.just("commit"), st.integers(0, 2000), st.integers(0, 3)),
)


@given(st.lists(steps, max_size=30), st.integers(0, 8000), st.integers(0, 10))
def test_all_that_is_wanted_comes_again_once_and_in_order(
    script: list[tuple[str, int, int]], wanted: int, known: int
) -> None:
    kept, live = Kept(RATE), Reader()
    offset, keys, committed, done = 0, 0, 0, 0
    sent: list[call_pb2.ConverseRequest] = []
    for what, first, second in script:
        if what == "audio":
            offset += first
            audio(kept, offset, second)
            offset += second
        elif what == "key":
            kept.key(offset, dtmf_request("1"))
            keys += 1
        else:
            committed, done = min(offset, committed + first), min(keys, done + second)
            kept.commit(committed, done)
        sent += read(kept, live)
    assert tokens(sent, 0).count(("key", 0)) == min(1, keys)
    wanted, known = max(wanted, committed), max(known, done)
    lowest = {"sample": wanted, "key": known}
    expected = [(kind, number) for kind, number in tokens(sent, 0) if number >= lowest[kind]]
    assert tokens(read(kept, Reader(wanted, known)), known) == expected
    assert kept.held_offset == committed
    assert not kept.lost_samples


def tokens(messages: list[call_pb2.ConverseRequest], keys: int) -> list[tuple[str, int]]:
    """Return every key and sample, by its number; each sample is its own."""
    found = []
    for message in messages:
        if message.HasField("dtmf"):
            found.append(("key", keys))
            keys += 1
        found += [("sample", number) for number in numbered(message)]
    return found


def numbered(message: call_pb2.ConverseRequest) -> range:
    chunk = message.audio
    samples = np.frombuffer(chunk.data, "<i2")
    assert not samples.size or samples[0] == np.array(chunk.offset).astype(np.int16)
    return range(chunk.offset, chunk.offset + samples.size)


def test_a_chunk_that_is_wanted_in_part_is_cut() -> None:
    kept = Kept(RATE)
    audio(kept, 0)
    audio(kept, FRAME)
    (first,) = read(kept, Reader(FRAME + 60))
    assert first.audio.offset == FRAME + 60
    assert numbered(first) == range(FRAME + 60, 2 * FRAME)


def test_audio_and_keys_are_kept_for_a_while_only() -> None:
    kept, late = Kept(RATE), Reader()
    for frame in range(MAX_KEPT_SECONDS * 50 + 50):
        audio(kept, frame * FRAME)
    assert kept.lost_samples == kept.held_offset == RATE
    assert read(kept, late)[0].audio.offset == RATE
    for _ in range(MAX_KEPT_KEYS + 5):
        kept.key(0, dtmf_request("1"))
    keys = [each for each in read(kept, Reader()) if each.HasField("dtmf")]
    assert len(keys) == MAX_KEPT_KEYS


def test_the_end_is_always_sent_again() -> None:
    kept = Kept(RATE)
    audio(kept, 0)
    kept.close(hang_up_request())
    kept.commit(10**9, 0)
    assert kept.closed
    assert [each.WhichOneof("message") for each in read(kept, Reader())] == ["hang_up"]


def test_a_memory_is_replaced_and_bounded() -> None:
    memory = Memory()
    memory.take(b"a", restarts=True)
    memory.take(b"b", restarts=False)
    version = memory.version
    memory.take(b"", restarts=False)
    assert (memory.segments, memory.version) == ([b"a", b"b"], version)
    memory.take(b"c", restarts=True)
    assert memory.segments == [b"c"]
    assert memory.version > version
    memory.take(bytes(MAX_MEMORY_BYTES), restarts=False)
    assert not memory
    memory.take(b"d", restarts=True)
    assert memory
    memory.take(b"", restarts=True)
    assert not memory
