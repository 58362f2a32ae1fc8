"""The log-mel spectrogram that Whisper expects, in plain numpy."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

RATE = 16000
HOP = 160
"""Samples from frame to frame: 10 ms."""

Floats = NDArray[np.float32]

_SIZE = 400
_BANDS = 80
_FLOOR = 1e-10


def log_mel(sound: Floats, samples: int) -> Floats:
    """Return 80 bands by frames of the sound, padded with silence to `samples`.

    Whisper's own recipe: log10, at most 8 below the loudest, scaled to about -1 to 1.
    """
    frames = samples // HOP
    padded = np.zeros(samples + _SIZE, np.float32)
    padded[_SIZE // 2 : _SIZE // 2 + sound.size] = sound
    padded[: _SIZE // 2] = sound[_SIZE // 2 : 0 : -1] if sound.size > _SIZE // 2 else 0
    # Behind the sound all frames are alike, so only one of them is computed.
    busy = min(frames, (sound.size + _SIZE) // HOP + 1)
    view = np.lib.stride_tricks.sliding_window_view(padded, _SIZE)[: busy * HOP : HOP]
    power = np.abs(np.fft.rfft(view * _window(), axis=1)) ** 2
    bands = np.log10(np.maximum(_filters() @ power.T.astype(np.float32), _FLOOR))
    spectrum = np.full((_BANDS, frames), np.log10(_FLOOR), np.float32)
    spectrum[:, :busy] = bands
    np.maximum(spectrum, spectrum.max() - 8, out=spectrum)
    return np.ascontiguousarray((spectrum + 4) / 4)


@lru_cache(maxsize=1)
def _window() -> Floats:
    return np.hanning(_SIZE + 1)[:-1].astype(np.float32)


@lru_cache(maxsize=1)
def _filters() -> Floats:
    """Triangles on Slaney's scale: linear to 1 kHz, logarithmic above; all of equal area."""
    linear, log_step = 200 / 3, np.log(6.4) / 27
    break_mel = 1000 / linear
    mels = np.linspace(0, break_mel + np.log(RATE / 2 / 1000) / log_step, _BANDS + 2)
    hertz = np.where(mels < break_mel, linear * mels, 1000 * np.exp(log_step * (mels - break_mel)))
    width = np.diff(hertz)
    distance = hertz[:, None] - np.fft.rfftfreq(_SIZE, 1 / RATE)[None]
    rising, falling = -distance[:-2] / width[:-1, None], distance[2:] / width[1:, None]
    triangles = np.maximum(0, np.minimum(rising, falling))
    return np.asarray(triangles * (2 / (hertz[2:] - hertz[:-2]))[:, None], np.float32)
