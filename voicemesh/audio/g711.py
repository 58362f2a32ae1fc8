"""G.711 companding by table, exact to the bit.

ITU-T Recommendation G.711, "Pulse code modulation (PCM) of voice frequencies"; the arithmetic is
that of the reference programs in ITU-T G.191 (Software Tools Library), whose sweep vectors the
tests hold these tables to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from voicemesh.audio.format import Samples


def _halvings(magnitude: NDArray[np.int64], limit: int) -> NDArray[np.int64]:
    """Return how often each magnitude must be halved to fall below `limit`."""
    above = magnitude >= (limit << np.arange(7))[:, None]
    halvings: NDArray[np.int64] = above.sum(axis=0, dtype=np.int64)
    return halvings


def _mulaw_encoding() -> NDArray[np.uint8]:
    """Table indexed by the sample's 16 bits: 14-bit samples, biased by 33, 8 segments of 16."""
    sample = np.arange(1 << 16).astype(np.uint16).view(np.int16).astype(np.int64)
    magnitude = np.minimum((np.where(sample < 0, ~sample, sample) >> 2) + 33, 0x1FFF)
    segment = _halvings(magnitude, 64)
    step = (magnitude >> (segment + 1)) & 0x0F
    code: NDArray[np.int64] = ((7 - segment) << 4) | (0x0F - step)
    code[sample >= 0] |= 0x80
    return code.astype(np.uint8)


def _mulaw_decoding() -> NDArray[np.int16]:
    code = ~np.arange(256) & 0xFF
    segment, step = (code >> 4) & 7, code & 0x0F
    magnitude = ((((step << 1) + 33) << segment) - 33) << 2
    return np.where(code & 0x80, -magnitude, magnitude).astype(np.int16)


def _alaw_encoding() -> NDArray[np.uint8]:
    """Table indexed by the sample's 16 bits: 12-bit samples, 8 segments, the first two alike."""
    sample = np.arange(1 << 16).astype(np.uint16).view(np.int16).astype(np.int64)
    magnitude = np.where(sample < 0, ~sample, sample) >> 4
    segment = _halvings(magnitude, 32)
    step = (magnitude >> segment) - np.where(magnitude > 15, 16, 0)
    code: NDArray[np.int64] = np.where(magnitude > 15, (segment + 1) << 4, 0) | step
    code[sample >= 0] |= 0x80
    return (code ^ 0x55).astype(np.uint8)


def _alaw_decoding() -> NDArray[np.int16]:
    code = np.arange(256) ^ 0x55
    segment, step = (code >> 4) & 7, code & 0x0F
    fine = (step << 4) + 8
    magnitude = np.where(segment == 0, fine, (fine + 0x100) << np.maximum(segment - 1, 0))
    return np.where(code & 0x80, magnitude, -magnitude).astype(np.int16)


_TO_MULAW, _FROM_MULAW = _mulaw_encoding(), _mulaw_decoding()
_TO_ALAW, _FROM_ALAW = _alaw_encoding(), _alaw_decoding()


def encode_mulaw(samples: Samples) -> bytes:
    """Return one mu-law byte a sample."""
    return _TO_MULAW.take(samples.view(np.uint16)).tobytes()


def decode_mulaw(data: bytes) -> Samples:
    """Return one sample a mu-law byte."""
    return _FROM_MULAW.take(np.frombuffer(data, np.uint8))


def encode_alaw(samples: Samples) -> bytes:
    """Return one A-law byte a sample."""
    return _TO_ALAW.take(samples.view(np.uint16)).tobytes()


def decode_alaw(data: bytes) -> Samples:
    """Return one sample an A-law byte."""
    return _FROM_ALAW.take(np.frombuffer(data, np.uint8))
