"""What every caller of a benchmark says: recorded speech, encoded once, as the frames of a phone.

`speech.ulaw` is "Yes, please go ahead. What time do you close on Sundays?", 8 kHz mu-law without a
header, by hibari-tts (Apache-2.0), its voice heart. It begins and ends with speech, so that the
last frame is the end of speech.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

FILE = Path(__file__).with_name("speech.ulaw")
RATE = 8000
FRAME_SECONDS = 0.02
FRAME_SAMPLES = 160
SILENCE = b"\xff" * FRAME_SAMPLES
"""A frame of mu-law zeros."""


@dataclass(frozen=True, slots=True)
class Clip:
    """Speech as frames."""

    frames: tuple[bytes, ...]
    """Each holds 20 ms, mu-law."""

    @property
    def seconds(self) -> float:
        """How long it takes to say it."""
        return len(self.frames) * FRAME_SECONDS


@cache
def recorded() -> Clip:
    """Return the packaged clip."""
    data = FILE.read_bytes()
    return Clip(tuple(data[at : at + FRAME_SAMPLES] for at in range(0, len(data), FRAME_SAMPLES)))
