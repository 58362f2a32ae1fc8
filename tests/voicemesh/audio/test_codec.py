from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, strategies as st

from voicemesh.audio import (
    SAMPLE_RATES,
    AudioFormat,
    Decoder,
    Encoder,
    Encoding,
    Samples,
    decode_alaw,
    decode_mulaw,
)
from voicemesh.errors import InvalidInput

FORMATS = [AudioFormat(encoding, rate) for encoding, all_ in SAMPLE_RATES.items() for rate in all_]
formats = st.sampled_from(FORMATS)


def speechlike(samples: int, rate: int) -> Samples:
    times = np.arange(samples) / rate
    sound = 6000 * np.sin(2 * np.pi * 440 * times) + 3000 * np.sin(2 * np.pi * 1800 * times)
    return np.array(np.rint(sound), np.int16)


@pytest.mark.parametrize("fmt", FORMATS, ids=str)
def test_sound_survives_out_and_in(fmt: AudioFormat) -> None:
    encoder, decoder = Encoder(fmt), Decoder(fmt)
    sound = speechlike(encoder.rate // 5, encoder.rate)
    frame = encoder.rate // 50
    data = b"".join(encoder.encode(sound[at : at + frame]) for at in range(0, sound.size, frame))
    data += encoder.flush()
    assert len(data) == encoder.next_offset * fmt.bytes_per_sample
    assert encoder.next_offset == encoder.to_caller(sound.size) == fmt.rate // 5
    back = np.concatenate([decoder.decode(data), decoder.flush()])
    assert back.size == decoder.next_offset == decoder.to_internal(fmt.rate // 5) == sound.size
    inner = slice(frame, -frame)
    error = (back[inner] - sound[inner]).astype(np.float64)
    signal = sound[inner].astype(np.float64)
    assert 10 * np.log10(np.sum(signal**2) / np.sum(error**2 + 1e-9)) > 35


@given(fmt=formats, sizes=st.lists(st.integers(0, 400), max_size=8))
def test_offsets_count_what_was_returned(fmt: AudioFormat, sizes: list[int]) -> None:
    decoder, encoder = Decoder(fmt), Encoder(fmt)
    heard = said = 0
    for size in sizes:
        heard += decoder.decode(bytes(size * fmt.bytes_per_sample)).size
        said += len(encoder.encode(np.zeros(size, np.int16))) // fmt.bytes_per_sample
        assert (decoder.next_offset, encoder.next_offset) == (heard, said)
    heard += decoder.flush().size
    said += len(encoder.flush()) // fmt.bytes_per_sample
    assert heard == decoder.next_offset == decoder.to_internal(sum(sizes))
    assert said == encoder.next_offset == encoder.to_caller(sum(sizes))


def test_a_gap_keeps_offsets_true() -> None:
    decoder = Decoder(AudioFormat(Encoding.LINEAR16, 48000))
    first = decoder.decode(bytes(2 * 960)).size + decoder.skip(4800).size
    assert first == 320
    assert decoder.next_offset == 320 + 1600
    encoder = Encoder(AudioFormat(Encoding.LINEAR16, 24000))
    assert len(encoder.encode(np.zeros(320, np.int16)) + encoder.skip(160)) == 2 * 480
    assert encoder.next_offset == 720


def test_g711_is_only_decoded() -> None:
    data = bytes(range(256))
    mulaw = Decoder(AudioFormat(Encoding.MULAW, 8000))
    assert mulaw.decode(data).tolist() == decode_mulaw(data).tolist()
    alaw = Decoder(AudioFormat(Encoding.ALAW, 8000))
    assert alaw.decode(data).tolist() == decode_alaw(data).tolist()
    assert mulaw.rate == alaw.rate == 8000


def test_linear16_is_little_endian() -> None:
    fmt = AudioFormat(Encoding.LINEAR16, 16000)
    assert Decoder(fmt).decode(b"\x01\x00\xff\xff\x00\x80").tolist() == [1, -1, -32768]
    assert Encoder(fmt).encode(np.array([1, -1, -32768], np.int16)) == b"\x01\x00\xff\xff\x00\x80"


def test_a_call_may_run_at_another_rate_than_the_format_suggests() -> None:
    fmt = AudioFormat(Encoding.MULAW, 8000)
    encoder, decoder = Encoder(fmt, 16000), Decoder(fmt, 16000)
    assert len(encoder.encode(np.zeros(320, np.int16)) + encoder.flush()) == 160
    assert decoder.decode(bytes(160)).size + decoder.flush().size == 320


def test_an_odd_number_of_bytes_is_refused_and_changes_nothing() -> None:
    decoder = Decoder(AudioFormat(Encoding.LINEAR16, 16000))
    with pytest.raises(InvalidInput) as caught:
        decoder.decode(b"\0\0\0")
    assert caught.value.details["field"] == "audio.data"
    assert decoder.next_offset == 0
