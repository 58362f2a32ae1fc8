from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from numpy.typing import NDArray

from voicemesh.audio import SAMPLE_RATES, Encoding, Resampler, Samples, rescale
from voicemesh.audio.resample import _UNIT, _design
from voicemesh.errors import InvalidInput

RATES = SAMPLE_RATES[Encoding.LINEAR16]
PAIRS = list(permutations(RATES, 2))
each_pair = pytest.mark.parametrize(("in_rate", "out_rate"), PAIRS)


def tone(hertz: float, rate: int, seconds: float = 0.5, amplitude: float = 10000) -> Samples:
    times = np.arange(int(seconds * rate)) / rate
    return np.rint(amplitude * np.sin(2 * np.pi * hertz * times)).astype(np.int16)


def noise(samples: int, seed: int = 1) -> Samples:
    return np.random.default_rng(seed).integers(-(1 << 15), 1 << 15, samples).astype(np.int16)


def whole(in_rate: int, out_rate: int, samples: Samples, frame: int | None = None) -> Samples:
    resampler = Resampler(in_rate, out_rate)
    size = frame or max(samples.size, 1)
    parts = [resampler.feed(samples[at : at + size]) for at in range(0, samples.size, size)]
    return np.concatenate([*parts, resampler.flush()])


def decibels(ratio: float) -> float:
    return float(10 * np.log10(ratio))


def fit(samples: Samples, hertz: float, rate: int) -> tuple[float, float]:
    """Return (amplitude, SNR in dB) of the tone in `samples`, away from their edges."""
    sound = samples[rate // 100 : -rate // 100].astype(np.float64)
    phase = 2 * np.pi * hertz * np.arange(sound.size) / rate
    basis = np.stack([np.sin(phase), np.cos(phase)], axis=1)
    parts = np.linalg.lstsq(basis, sound)[0]
    rest = sound - basis @ parts
    return float(np.hypot(*parts)), decibels(
        float(np.mean((basis @ parts) ** 2 / np.mean(rest**2)))
    )


@each_pair
def test_a_tone_in_the_pass_band_survives(in_rate: int, out_rate: int) -> None:
    for hertz in (300, 1000, 3000):
        amplitude, snr = fit(whole(in_rate, out_rate, tone(hertz, in_rate), 160), hertz, out_rate)
        assert amplitude == pytest.approx(10000, rel=0.002)
        assert snr > 60


def test_what_would_fold_into_the_band_is_rejected() -> None:
    for hertz in (4600, 5000, 6000, 7500, 11000):
        output = whole(24000, 8000, tone(hertz, 24000))[80:-80].astype(np.float64)
        assert decibels(float(np.mean(output**2)) / (10000**2 / 2) + 1e-12) < -60


def test_no_image_appears_above_the_band() -> None:
    output = whole(8000, 48000, tone(1000, 8000, seconds=1)).astype(np.float64)
    spectrum = np.abs(np.fft.rfft(output * np.hanning(output.size))) ** 2
    assert decibels(spectrum[5000:].max() / spectrum.max()) < -60


@each_pair
def test_the_delay_is_below_3_ms_and_nothing_is_shifted(in_rate: int, out_rate: int) -> None:
    frame = in_rate // 50
    impulse = np.zeros(8 * frame, np.int16)
    impulse[3 * frame : 3 * frame + frame // 20] = 8000  # the first millisecond of a frame
    resampler = Resampler(in_rate, out_rate)
    output = []
    for at in range(0, impulse.size, frame):
        output.append(resampler.feed(impulse[at : at + frame]))
        behind = resampler.in_offset / in_rate - resampler.out_offset / out_rate
        assert behind * 1000 == pytest.approx(2 if min(in_rate, out_rate) == 8000 else 1, abs=1)
        assert behind < 0.003
    sound = np.concatenate(output).astype(np.float64)
    centre = float(np.sum(np.arange(sound.size) * sound) / np.sum(sound)) / out_rate
    expected = (3 * frame + (frame // 20 - 1) / 2) / in_rate
    assert centre == pytest.approx(expected, abs=0.1 / out_rate)


@each_pair
def test_a_chirp_correlates_best_where_it_was(in_rate: int, out_rate: int) -> None:
    def chirp(rate: int) -> NDArray[np.float64]:
        times = np.arange(rate // 2) / rate
        return 8000 * np.sin(2 * np.pi * (200 * times + 2600 * times**2))

    output = whole(in_rate, out_rate, np.rint(chirp(in_rate)).astype(np.int16), in_rate // 50)
    reference = chirp(out_rate)
    size = 1 << (2 * reference.size).bit_length()
    spectrum = np.fft.rfft(output, size) * np.conj(np.fft.rfft(reference, size))
    assert int(np.argmax(np.fft.irfft(spectrum, size))) == 0


@given(
    pair=st.sampled_from(PAIRS),
    cuts=st.lists(st.integers(0, 700), max_size=12),
    seed=st.integers(0, 99),
)
def test_the_way_a_stream_is_cut_changes_no_sample(
    pair: tuple[int, int], cuts: list[int], seed: int
) -> None:
    samples = noise(sum(cuts) + seed, seed)
    resampler = Resampler(*pair)
    parts, at = [], 0
    for cut in [*cuts, seed]:
        parts.append(resampler.feed(samples[at : at + cut]))
        at += cut
        assert resampler.out_offset == sum(part.size for part in parts)
    parts.append(resampler.flush())
    joined = np.concatenate(parts)
    assert joined.dtype == np.int16
    assert joined.tolist() == whole(*pair, samples).tolist()
    assert joined.size == rescale(samples.size, *pair) == resampler.out_offset


@each_pair
def test_sums_are_exact_in_whatever_order(in_rate: int, out_rate: int) -> None:
    weights = _design(in_rate, out_rate).weights * _UNIT
    assert np.array_equal(weights, np.rint(weights))
    assert np.abs(weights).sum(axis=0).max() * (1 << 15) < 1 << 53


def _twin(in_rate: int, out_rate: int, samples: Samples) -> list[int]:
    """Resample one sample at a time, straight from the formula, in plain arithmetic."""
    slow = min(in_rate, out_rate)
    reach, output = 16 * in_rate // slow, []
    for k in range(rescale(samples.size, in_rate, out_rate)):
        at = k * in_rate / out_rate
        near = range(max(0, int(at) - reach), min(samples.size, int(at) + reach + 1))
        distances = np.arange(int(at) - reach, int(at) + reach + 1) - at
        inside = np.abs(distances) < reach
        shape = np.sinc(distances * 0.95 * slow / in_rate) * np.i0(
            6.5 * np.sqrt(np.maximum(1 - (distances / reach) ** 2, 0))
        )
        weights = dict(
            zip(range(int(at) - reach, int(at) + reach + 1), shape * inside, strict=True)
        )
        total = sum(weights.values())
        value = sum(float(samples[i]) * weights[i] / total for i in near)
        output.append(round(min(max(value, -32768), 32767)))
    return output


@each_pair
def test_it_equals_a_slow_twin(in_rate: int, out_rate: int) -> None:
    samples = noise(240)
    # Coefficients are rounded, so a value next to a half may round the other way.
    difference = whole(in_rate, out_rate, samples) - np.array(_twin(in_rate, out_rate, samples))
    assert int(np.abs(difference).max()) <= 1


@each_pair
def test_loud_sound_is_clipped_not_wrapped(in_rate: int, out_rate: int) -> None:
    square = np.where(np.arange(4000) // 40 % 2, 32767, -32768).astype(np.int16)
    output = whole(in_rate, out_rate, square).astype(np.int64)
    assert output.max() == 32767
    assert output.min() == -32768
    assert decibels(float(np.mean(output**2.0)) / 32768**2) > -1


@each_pair
def test_a_constant_stays_exactly_itself(in_rate: int, out_rate: int) -> None:
    margin = out_rate // 100
    for level in (-32768, 1, 12345, 32767):
        output = whole(in_rate, out_rate, np.full(in_rate // 20, level, np.int16))
        assert set(output[margin:-margin].tolist()) == {level}


@pytest.mark.parametrize("rate", RATES)
def test_equal_rates_return_the_input(rate: int) -> None:
    resampler = Resampler(rate, rate)
    samples = noise(100)
    assert resampler.feed(samples) is samples
    assert resampler.flush().size == 0
    assert resampler.skip(50).size == 0
    assert resampler.in_offset == resampler.out_offset == 150


@settings(max_examples=60)
@given(
    pair=st.sampled_from([*PAIRS, (16000, 16000)]),
    runs=st.lists(st.tuples(st.integers(0, 500), st.integers(0, 5000)), max_size=6),
)
def test_offsets_stay_true_over_gaps(pair: tuple[int, int], runs: list[tuple[int, int]]) -> None:
    resampler = Resampler(*pair)
    fed = 0
    for samples, gap in runs:
        begin = resampler.out_offset
        output = resampler.feed(noise(samples)).size
        output += resampler.skip(gap).size
        fed += samples
        assert begin + output == rescale(fed, *pair)
        fed += gap
        assert resampler.in_offset == fed
        assert resampler.out_offset == rescale(fed, *pair)


def test_sound_behind_a_gap_is_that_of_a_new_stream() -> None:
    resampler = Resampler(24000, 16000)
    resampler.feed(noise(1000))
    resampler.skip(2000)
    samples = noise(900, seed=2)
    after = np.concatenate([resampler.feed(samples), resampler.flush()])
    assert after.tolist() == whole(24000, 16000, samples).tolist()


def test_what_is_held_does_not_grow() -> None:
    resampler = Resampler(48000, 8000)
    for _ in range(500):
        resampler.feed(noise(7))
    assert resampler.in_offset / 48000 - resampler.out_offset / 8000 < 0.003


@pytest.mark.parametrize(
    ("in_rate", "out_rate", "field"), [(44100, 8000, "in_rate"), (8000, 0, "out_rate")]
)
def test_other_rates_are_refused(in_rate: int, out_rate: int, field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        Resampler(in_rate, out_rate)
    assert caught.value.details == {"field": field, "allowed": "8000, 16000, 24000, 48000"}
