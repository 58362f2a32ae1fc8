"""Between a caller's bytes and the mesh's samples."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from voicemesh.audio.format import AudioFormat, Encoding, Samples, internal_rate, rescale
from voicemesh.audio.g711 import decode_alaw, decode_mulaw, encode_alaw, encode_mulaw
from voicemesh.audio.resample import Resampler

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def _decode_linear16(data: bytes) -> Samples:
    return np.frombuffer(data, "<i2").astype(np.int16, copy=False)


def _encode_linear16(samples: Samples) -> bytes:
    return samples.astype("<i2", copy=False).tobytes()


_DECODERS: Mapping[Encoding, Callable[[bytes], Samples]] = {
    Encoding.LINEAR16: _decode_linear16,
    Encoding.MULAW: decode_mulaw,
    Encoding.ALAW: decode_alaw,
}
_ENCODERS: Mapping[Encoding, Callable[[Samples], bytes]] = {
    Encoding.LINEAR16: _encode_linear16,
    Encoding.MULAW: encode_mulaw,
    Encoding.ALAW: encode_alaw,
}


class Decoder:
    """Turns one direction's bytes, in a caller's format, into samples at the mesh's rate.

    `rate` is that of the call, 8000 or 16000; by default the one that fits the format.
    """

    def __init__(self, fmt: AudioFormat, rate: int | None = None) -> None:
        self.format = fmt
        self.rate = internal_rate(fmt) if rate is None else rate
        self._decode = _DECODERS[fmt.encoding]
        self._resampler = Resampler(fmt.rate, self.rate)

    @property
    def next_offset(self) -> int:
        """Position, at the mesh's rate, of the next sample that will be returned."""
        return self._resampler.out_offset

    def decode(self, data: bytes) -> Samples:
        """Return what can be known by now; raise InvalidInput where the last sample is torn."""
        self.format.samples_in(data)
        return self._resampler.feed(self._decode(data))

    def skip(self, gap: int) -> Samples:
        """Pass over `gap` samples (of the caller's) of silence; return the sound before them."""
        return self._resampler.skip(gap)

    def flush(self) -> Samples:
        """Return what is held back, at the end or when nothing more is coming for now."""
        return self._resampler.flush()

    def to_internal(self, offset: int) -> int:
        """Return the mesh's offset for an offset of the caller's."""
        return rescale(offset, self.format.rate, self.rate)


class Encoder:
    """Turns one direction's samples at the mesh's rate into bytes in a caller's format.

    `rate` is that of the call, 8000 or 16000; by default the one that fits the format.
    """

    def __init__(self, fmt: AudioFormat, rate: int | None = None) -> None:
        self.format = fmt
        self.rate = internal_rate(fmt) if rate is None else rate
        self._encode = _ENCODERS[fmt.encoding]
        self._resampler = Resampler(self.rate, fmt.rate)

    @property
    def next_offset(self) -> int:
        """Position, in samples of the caller's format, of the next byte that will be returned."""
        return self._resampler.out_offset

    def encode(self, samples: Samples) -> bytes:
        """Return what can be known by now."""
        return self._encode(self._resampler.feed(samples))

    def skip(self, gap: int) -> bytes:
        """Pass over `gap` samples (of the mesh's) of silence; return the sound before them."""
        return self._encode(self._resampler.skip(gap))

    def flush(self) -> bytes:
        """Return what is held back, at the end or when nothing more is coming for now."""
        return self._encode(self._resampler.flush())

    def to_caller(self, offset: int) -> int:
        """Return the caller's offset for an offset of the mesh's."""
        return rescale(offset, self.rate, self.format.rate)
