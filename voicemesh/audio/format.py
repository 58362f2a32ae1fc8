"""What audio may look like, and how its samples are counted."""

from __future__ import annotations

from dataclasses import InitVar, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from voicemesh.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Mapping

Samples: TypeAlias = NDArray[np.int16]
"""One channel of signed 16-bit linear PCM."""

MESH_RATES = (8000, 16000)
"""Samples per second that audio has inside the mesh."""

MAX_CHUNK_SECONDS = 1
"""Longest run of audio in one message, seconds."""


class Encoding(StrEnum):
    """How samples are written as bytes."""

    LINEAR16 = "linear16"
    """Signed 16-bit little-endian linear PCM."""
    MULAW = "mulaw"
    """ITU-T G.711 mu-law."""
    ALAW = "alaw"
    """ITU-T G.711 A-law."""


SAMPLE_RATES: Mapping[Encoding, tuple[int, ...]] = {
    Encoding.LINEAR16: (8000, 16000, 24000, 48000),
    Encoding.MULAW: (8000,),
    Encoding.ALAW: (8000,),
}
"""Samples per second allowed for each encoding."""


@dataclass(frozen=True, slots=True)
class AudioFormat:
    """The form of one direction's audio; always one channel."""

    encoding: Encoding
    """How samples are written."""
    rate: int
    """Samples per second."""
    field: InitVar[str] = "format"
    """Where the values came from, for the error to name."""

    def __post_init__(self, field: str) -> None:
        if self.encoding not in SAMPLE_RATES:
            allowed = ", ".join(SAMPLE_RATES)
            raise InvalidInput(
                f"{field}.encoding", f"is {self.encoding!r}, not one of {allowed}", allowed=allowed
            )
        rates = SAMPLE_RATES[self.encoding]
        if self.rate not in rates:
            allowed = ", ".join(map(str, rates))
            raise InvalidInput(
                f"{field}.sample_rate_hertz",
                f"is {self.rate}, not one of {allowed} for {self.encoding}",
                allowed=allowed,
            )

    @property
    def bytes_per_sample(self) -> int:
        """Bytes that one sample takes."""
        return 2 if self.encoding is Encoding.LINEAR16 else 1

    def samples_in(self, data: bytes, field: str = "audio.data") -> int:
        """Count the samples in `data`; raise InvalidInput where the last one is torn."""
        count, torn = divmod(len(data), self.bytes_per_sample)
        if torn:
            raise InvalidInput(
                field,
                f"{len(data)} bytes are not a whole number of {self.bytes_per_sample}-byte samples",
                bytes_per_sample=self.bytes_per_sample,
            )
        return count

    def check_chunk(self, data: bytes, field: str = "audio.data") -> int:
        """Count the samples of one message; raise InvalidInput if none, torn, or too many."""
        count = self.samples_in(data, field)
        limit = MAX_CHUNK_SECONDS * self.rate
        if not 1 <= count <= limit:
            raise InvalidInput(
                field, f"holds {count} samples; 1 to {limit} are allowed", limit=limit
            )
        return count


def internal_rate(fmt: AudioFormat) -> int:
    """Return the rate that audio of this format has inside the mesh."""
    return 8000 if fmt.rate == 8000 else 16000


def sample_count(ms: float, rate: int) -> int:
    """Return the whole samples that fit into `ms` milliseconds."""
    return int(ms * rate // 1000)


def milliseconds(samples: int, rate: int) -> float:
    """Return how long `samples` last, in milliseconds."""
    return samples * 1000 / rate


def rescale(offset: int, from_rate: int, to_rate: int) -> int:
    """Return the first sample at `to_rate` that is not before sample `offset` at `from_rate`."""
    return -(-offset * to_rate // from_rate)
