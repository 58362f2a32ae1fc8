from __future__ import annotations

import numpy as np
import pytest

from adapters.stt.mel import HOP, Floats, log_mel


def plain(sound: Floats, samples: int) -> Floats:
    """The same by the letter: pad all, transform all."""
    padded = np.pad(np.pad(sound, (0, samples - sound.size)), 200, mode="reflect")
    frames = np.stack([padded[at : at + 400] for at in range(0, samples, HOP)])
    power = np.abs(np.fft.rfft(frames * np.hanning(401)[:-1], axis=1)) ** 2
    return np.asarray(power.sum(axis=1), np.float32)


@pytest.mark.parametrize("size", [1600, 40000, 159999, 170000])
def test_padding_that_is_not_computed_looks_like_padding_that_is(size: int) -> None:
    samples = max(160000, size // 320 * 320 + 320)
    sound = np.random.default_rng(size).normal(0, 0.1, size).astype(np.float32)
    short = log_mel(sound, samples)
    long = log_mel(np.pad(sound, (0, samples - size)), samples)
    assert short.shape == (80, samples // HOP)
    np.testing.assert_allclose(short, long, atol=1e-5)
    loud = plain(sound, samples) > 1e-3
    assert (short.max(axis=0)[loud] > short.min()).all()
