"""Streaming resampling between the rates of the contract."""

# Why own code and no library: it is several times faster than `samplerate` (sinc_fastest), delays
# less, and gives the same samples however a stream is cut, which a replay relies on. Libraries
# that work in blocks hold audio back for longer than a frame.

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from voicemesh.audio.format import SAMPLE_RATES, Encoding, Samples, rescale
from voicemesh.errors import InvalidInput

RATES = SAMPLE_RATES[Encoding.LINEAR16]

_REACH = 16
"""Samples of the slower rate that the filter reaches to either side: 2 ms at 8 kHz."""
_CUTOFF = 0.95
"""Where the filter is 6 dB down, as a share of the slower rate's half."""
_KAISER_BETA = 6.5
"""Puts what lies outside the band below -60 dB."""
_UNIT = 1 << 20
"""Coefficients are whole multiples of 1/_UNIT."""

_NOTHING: Samples = np.empty(0, np.int16)
_LOWEST, _HIGHEST = float(np.iinfo(np.int16).min), float(np.iinfo(np.int16).max)


class _Filter(NamedTuple):
    """Turns the input around one millisecond into one millisecond of output."""

    weights: NDArray[np.float64]
    """One column for each output sample of a millisecond."""
    reach: int
    """Input samples needed before and after a millisecond."""


@lru_cache(maxsize=len(RATES) ** 2)
def _design(in_rate: int, out_rate: int) -> _Filter:
    """Return a Kaiser-windowed sinc, one phase a column.

    Coefficients are rounded to 20 bits behind the point, so that every product with a 16-bit
    sample and every sum of them is exact in a double: the order of summation, and with it the way
    a stream is cut into chunks, cannot change a sample.
    """
    slow = min(in_rate, out_rate)
    reach = _REACH * in_rate // slow
    taps, columns = 2 * reach + in_rate // 1000, np.arange(out_rate // 1000)
    distance = np.arange(-reach, taps - reach)[:, None] - columns * in_rate / out_rate
    window = np.i0(_KAISER_BETA * np.sqrt(np.maximum(1 - (distance / reach) ** 2, 0)))
    sinc = np.where(np.abs(distance) < reach, np.sinc(distance * _CUTOFF * slow / in_rate), 0)
    impulse = sinc * window
    return _Filter(np.rint(impulse * _UNIT / impulse.sum(axis=0)) / _UNIT, reach)


class Resampler:
    """Resamples one stream, fed in chunks of any size.

    Output sample `k` lies at the same time as input sample `k * in_rate / out_rate`: the filter
    shifts nothing, it only holds back what it cannot know yet (at most 2 ms, and the part of a
    millisecond that has begun). After `flush` all is out: `rescale(in_offset, in_rate, out_rate)`
    samples in all.
    """

    def __init__(self, in_rate: int, out_rate: int) -> None:
        for field, rate in (("in_rate", in_rate), ("out_rate", out_rate)):
            if rate not in RATES:
                allowed = ", ".join(map(str, RATES))
                raise InvalidInput(field, f"is {rate}, not one of {allowed}", allowed=allowed)
        self.in_rate, self.out_rate = in_rate, out_rate
        self.in_offset = 0
        """Position behind the last sample fed."""
        self.out_offset = 0
        """Position of the next sample to be returned."""
        self._same = in_rate == out_rate
        self._weights, self._reach = _design(in_rate, out_rate)
        self._step = in_rate // 1000
        self._held: NDArray[np.float64] = np.zeros(self._reach)

    def feed(self, samples: Samples) -> Samples:
        """Take the next samples; return what can be known by now."""
        self.in_offset += samples.size
        output = samples if self._same else self._convolve(samples)
        self.out_offset += output.size
        return output

    def flush(self) -> Samples:
        """Return what is held back, as if silence followed; the stream goes on from silence."""
        return self.skip(0)

    def skip(self, gap: int) -> Samples:
        """Pass over `gap` samples of silence; return what was held back from before them.

        The silence itself is not returned: `out_offset` jumps over it.
        """
        end = rescale(self.in_offset, self.in_rate, self.out_rate)
        silence = np.zeros(self._reach + self._step, np.int16)
        tail = _NOTHING if self._same else self._convolve(silence)[: end - self.out_offset]
        self._held = np.zeros(self._reach)
        self.in_offset += gap
        self.out_offset = rescale(self.in_offset, self.in_rate, self.out_rate)
        return tail

    def _convolve(self, samples: Samples) -> Samples:
        known = np.concatenate((self._held, samples), dtype=np.float64)
        rows = (known.size - 2 * self._reach) // self._step
        if rows <= 0:
            self._held = known
            return _NOTHING
        # Overlapping rows, one a millisecond; copied, because BLAS takes no overlapping matrix.
        size = known.itemsize
        shape, strides = (rows, self._weights.shape[0]), (self._step * size, size)
        view = np.ndarray(shape, known.dtype, known, strides=strides)
        sound = np.ascontiguousarray(view) @ self._weights
        self._held = known[rows * self._step :].copy()
        np.rint(sound, out=sound)
        np.maximum(sound, _LOWEST, out=sound)
        np.minimum(sound, _HIGHEST, out=sound)
        return sound.astype(np.int16).ravel()
