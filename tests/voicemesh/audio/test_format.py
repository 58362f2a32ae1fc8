from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from voicemesh.audio import (
    SAMPLE_RATES,
    AudioFormat,
    Encoding,
    internal_rate,
    milliseconds,
    rescale,
    sample_count,
)
from voicemesh.errors import InvalidInput

ALLOWED = [(encoding, rate) for encoding, rates in SAMPLE_RATES.items() for rate in rates]
rates = st.sampled_from(SAMPLE_RATES[Encoding.LINEAR16])


@pytest.mark.parametrize(("encoding", "rate"), ALLOWED)
def test_allowed_formats(encoding: Encoding, rate: int) -> None:
    fmt = AudioFormat(encoding, rate)
    assert fmt.bytes_per_sample == (2 if encoding is Encoding.LINEAR16 else 1)
    assert internal_rate(fmt) == (8000 if rate == 8000 else 16000)
    assert fmt == AudioFormat(encoding, rate, "somewhere.else")


@pytest.mark.parametrize(
    ("encoding", "rate", "allowed"),
    [
        (Encoding.LINEAR16, 0, "8000, 16000, 24000, 48000"),
        (Encoding.LINEAR16, -8000, "8000, 16000, 24000, 48000"),
        (Encoding.LINEAR16, 44100, "8000, 16000, 24000, 48000"),
        (Encoding.MULAW, 16000, "8000"),
        (Encoding.ALAW, 48000, "8000"),
    ],
)
def test_a_bad_rate_names_field_and_allowed_values(
    encoding: Encoding, rate: int, allowed: str
) -> None:
    with pytest.raises(InvalidInput, match=f"not one of {allowed}") as caught:
        AudioFormat(encoding, rate, "start.caller_format")
    assert caught.value.details == {
        "field": "start.caller_format.sample_rate_hertz",
        "allowed": allowed,
    }


def test_a_bad_encoding_names_field_and_allowed_values() -> None:
    with pytest.raises(InvalidInput) as caught:
        AudioFormat("opus", 16000)  # type: ignore[arg-type]
    assert caught.value.details == {"field": "format.encoding", "allowed": "linear16, mulaw, alaw"}


def test_a_torn_sample_is_refused() -> None:
    with pytest.raises(InvalidInput, match="2-byte samples") as caught:
        AudioFormat(Encoding.LINEAR16, 8000).samples_in(b"\0\0\0", "audio.data")
    assert caught.value.details["field"] == "audio.data"
    assert AudioFormat(Encoding.MULAW, 8000).samples_in(b"\0\0\0") == 3


@pytest.mark.parametrize(("encoding", "rate"), ALLOWED)
def test_a_message_holds_one_sample_to_one_second(encoding: Encoding, rate: int) -> None:
    fmt = AudioFormat(encoding, rate)
    second = rate * fmt.bytes_per_sample
    assert fmt.check_chunk(bytes(second)) == rate
    assert fmt.check_chunk(bytes(fmt.bytes_per_sample)) == 1
    for size in (0, second + fmt.bytes_per_sample):
        with pytest.raises(InvalidInput) as caught:
            fmt.check_chunk(bytes(size))
        assert caught.value.details["limit"] == str(rate)


def test_milliseconds_and_samples() -> None:
    assert sample_count(20, 8000) == 160
    assert sample_count(0.1, 8000) == 0
    assert milliseconds(160, 8000) == 20
    assert milliseconds(1, 16000) == 0.0625


@given(offset=st.integers(0, 10**12), from_rate=rates, to_rate=rates)
def test_rescale_returns_the_first_sample_not_before(
    offset: int, from_rate: int, to_rate: int
) -> None:
    scaled = rescale(offset, from_rate, to_rate)
    assert scaled * from_rate >= offset * to_rate
    assert (scaled - 1) * from_rate < offset * to_rate
    if to_rate % from_rate == 0:
        assert rescale(scaled, to_rate, from_rate) == offset
