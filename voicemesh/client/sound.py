"""Sound as a caller handles it: formats by name, files, and changes of rate."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from voicemesh.audio import SAMPLE_RATES, AudioFormat, Encoding, Resampler, read_wav
from voicemesh.errors import InvalidInput

if TYPE_CHECKING:
    from pathlib import Path

    from voicemesh.audio import Samples

FORMATS = {
    "pcmu": AudioFormat(Encoding.MULAW, 8000),
    "pcma": AudioFormat(Encoding.ALAW, 8000),
    **{
        f"l16-{rate}": AudioFormat(Encoding.LINEAR16, rate)
        for rate in SAMPLE_RATES[Encoding.LINEAR16]
    },
}
"""Every format that a caller may use, by its name on a command line."""


def parse_format(name: str) -> AudioFormat:
    """Return the format of this name; raise InvalidInput listing the names there are."""
    try:
        return FORMATS[name.lower()]
    except KeyError:
        allowed = ", ".join(FORMATS)
        raise InvalidInput(
            "format", f"is {name!r}, not one of {allowed}", allowed=allowed
        ) from None


def resampled(samples: Samples, from_rate: int, to_rate: int) -> Samples:
    """Return a whole piece of sound at another rate."""
    if from_rate == to_rate:
        return samples
    resampler = Resampler(from_rate, to_rate)
    return np.concatenate((resampler.feed(samples), resampler.flush()))


def load_speech(path: Path, rate: int) -> Samples:
    """Return a WAV file's sound at `rate`; raise InvalidInput if there is no such file."""
    try:
        file_rate, samples = read_wav(path)
    except OSError as error:
        raise InvalidInput(str(path), f"cannot be read: {error.strerror}") from error
    return resampled(samples, file_rate, rate)
