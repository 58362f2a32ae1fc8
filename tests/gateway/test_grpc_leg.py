from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from gateway import commands as do, events as on
from gateway.legs.grpc import BotSide, CallerSide
from gateway.playout import Clear, Play
from tests.gateway.rig import speech
from voicemesh.api.audio.v1 import audio_pb2
from voicemesh.api.call.v1 import call_pb2
from voicemesh.audio import AudioFormat, Chunk, Encoder, Encoding, internal_rate

FORMATS = [
    AudioFormat(Encoding.MULAW, 8000),
    AudioFormat(Encoding.ALAW, 8000),
    *(AudioFormat(Encoding.LINEAR16, rate) for rate in (8000, 16000, 24000, 48000)),
]
formats = st.sampled_from(FORMATS)


def request(offset: int, data: bytes) -> call_pb2.ConverseRequest:
    return call_pb2.ConverseRequest(audio=audio_pb2.AudioChunk(offset=offset, data=data))


@settings(deadline=None)
@given(formats, st.lists(st.tuples(st.integers(0, 5000), st.integers(1, 4000)), max_size=12))
def test_a_caller_is_decoded_in_order_and_gaps_stay(
    fmt: AudioFormat, pieces: list[tuple[int, int]]
) -> None:
    side, offset, end = CallerSide(fmt), 0, 0
    for gap, size in pieces:
        offset += gap
        for event in side.events(request(offset, bytes(size * fmt.bytes_per_sample))):
            assert isinstance(event, on.CallerSounded)
            assert event.offset >= end
            end = event.offset + event.samples.size
        # Of a short chunk nothing may be known yet but that there was silence before it.
        end = max(end, offset * side.rate // fmt.rate)
        offset += size
        # At most 3 ms are held back, and what is no whole sample.
        there = offset * side.rate / fmt.rate
        assert there - 0.003 * side.rate - 1 <= end <= there + 1


@settings(deadline=None)
@given(
    formats,
    st.lists(
        st.one_of(
            st.tuples(st.just("play"), st.integers(1, 2000), st.just(0)),
            st.tuples(st.just("gap"), st.integers(1, 2000), st.integers(1, 2000)),
            st.tuples(st.just("clear"), st.integers(1, 2000), st.integers(1, 2000)),
            st.tuples(st.just("rest"), st.just(0), st.just(0)),
        ),
        max_size=12,
    ),
)
def test_a_bot_is_encoded_where_it_belongs(
    fmt: AudioFormat, script: list[tuple[str, int, int]]
) -> None:
    rate = internal_rate(fmt)
    side, offset, expected = BotSide(fmt, rate), 0, 0
    for what, size, other in script:
        found = []
        if what == "rest":
            found = [*side.rest()]
        elif what == "clear":
            offset = max(0, offset - other)
            (cleared,) = side.clear(Clear(offset))
            assert cleared.clear.offset == -(-offset * fmt.rate // rate)
            expected = 0
        else:
            offset += other
            found = [*side.play(Play(Chunk(offset, speech(size / rate, offset, rate))))]
            offset += size
        for response in found:
            assert response.audio.offset >= expected
            count = len(response.audio.data) // fmt.bytes_per_sample
            assert len(response.audio.data) % fmt.bytes_per_sample == 0
            expected = response.audio.offset + count
        assert expected <= -(-offset * fmt.rate // rate)


@pytest.mark.parametrize("fmt", FORMATS, ids=str)
def test_what_is_played_is_what_an_encoder_makes_of_it(fmt: AudioFormat) -> None:
    rate = internal_rate(fmt)
    side, samples = BotSide(fmt, rate), speech(1.0, 0, rate)
    pieces = [
        response.audio.data
        for begin in range(0, samples.size, 480)
        for response in side.play(Play(Chunk(begin, samples[begin : begin + 480])))
    ]
    pieces += [response.audio.data for response in side.rest()]
    encoder = Encoder(fmt, rate)
    assert b"".join(pieces) == encoder.encode(samples) + encoder.flush()


def test_play_after_a_clear_begins_where_the_call_says() -> None:
    side = BotSide(AudioFormat(Encoding.LINEAR16, 48000), 16000)
    samples = speech(0.1, 0, 16000)
    list(side.play(Play(Chunk(0, samples))))
    list(side.clear(Clear(800)))
    (response,) = side.play(do.Play(Chunk(800, samples[800:])))
    assert response.audio.offset == 2400
    data = np.frombuffer(response.audio.data, "<i2")
    assert data.size
