"""WAV files: one 16-bit channel in, one or two out."""

from __future__ import annotations

import os
import wave
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from voicemesh.audio.format import SAMPLE_RATES, Encoding, Samples
from voicemesh.errors import InvalidInput

if TYPE_CHECKING:
    from pathlib import Path

_RATES = SAMPLE_RATES[Encoding.LINEAR16]


def read_wav(source: Path | BinaryIO) -> tuple[int, Samples]:
    """Return (rate, samples) of a file with one channel of 16 bits; raise InvalidInput."""
    name = str(source) if isinstance(source, os.PathLike) else "wav"
    # wave.open takes a path as str only.
    opened = name if isinstance(source, os.PathLike) else source
    try:
        with wave.open(opened, "rb") as file:
            form, data = file.getparams(), file.readframes(file.getnframes())
    except (wave.Error, EOFError) as error:
        problem = str(error) or "it ends early"
        raise InvalidInput(name, f"is not a PCM WAV file: {problem}") from error
    for what, is_, allowed in (
        ("channels", form.nchannels, (1,)),
        ("bits a sample", form.sampwidth * 8, (16,)),
        ("samples a second", form.framerate, _RATES),
    ):
        if is_ not in allowed:
            listed = ", ".join(map(str, allowed))
            raise InvalidInput(name, f"has {is_} {what}, not {listed}", allowed=listed)
    return form.framerate, np.frombuffer(data[: len(data) & ~1], "<i2").astype(np.int16)


def write_wav(
    target: Path | BinaryIO, rate: int, left: Samples, right: Samples | None = None
) -> None:
    """Write one channel, or two (caller left, bot right), the shorter one filled with silence."""
    channels = [left] if right is None else [left, right]
    frames = np.zeros((max(channel.size for channel in channels), len(channels)), "<i2")
    for column, channel in enumerate(channels):
        frames[: channel.size, column] = channel
    opened = str(target) if isinstance(target, os.PathLike) else target
    with wave.open(opened, "wb") as file:
        file.setnchannels(len(channels))
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(frames.tobytes())
