"""One open voice: which words it says of the sentence that is due, how far its sound has come."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from voicemesh.bots import SynthesisChoice

AUDIBLE = 64
"""Least sample that can be heard: 54 dB below full scale."""


@dataclass(slots=True)
class Voice:
    """A stream of speech; offsets are the bot's."""

    speech: int
    entry: SynthesisChoice
    given: int = 0
    """How many of the sentences that wait it was given."""
    text: str = ""
    """What it says of the sentence that is due."""
    character: int = 0
    """Where in that sentence these words begin."""
    start: int = 0
    """Where the sound of these words begins."""
    made: int = 0
    """Behind the sound that has come of them."""
    sounding: bool = False
    """Whether what comes is the sentence that is due."""
    heard: bool = False
    """Whether any of it can be heard."""
    _silent: bytearray = field(default_factory=bytearray)

    @property
    def label(self) -> str:
        """Return what tells this voice from others."""
        return label(self.entry)

    def place(self, text: str, character: int, start: int) -> None:
        """Say these words of a sentence next, with their sound beginning at ``start``."""
        self.text, self.character, self.start = text, character, start
        self.begin()
        self.sounding = False

    def begin(self) -> None:
        """Begin the sound of the sentence that is due."""
        self.made, self.sounding, self.heard = self.start, True, False
        self._silent.clear()

    def audible(self, data: bytes) -> bytes:
        """Return the sound (LINEAR16) from the first that can be heard, with the silence before it.

        Until then nothing: an engine that sends silence has said nothing.
        """
        if self.heard:
            return data
        self._silent += data
        samples = np.frombuffer(data, "<i2")
        # The lowest sample has no counterpart, so not by absolute values.
        if samples.size == 0 or (samples.max() < AUDIBLE and samples.min() > -AUDIBLE):
            return b""
        self.heard = True
        return bytes(self._silent)

    def take(self, samples: int) -> int:
        """Take note of further sound; return where it begins."""
        begin = self.made
        self.made += samples
        return begin


def label(entry: SynthesisChoice) -> str:
    """Return what tells an entry's voice from others."""
    return f"{entry.name}/{entry.voice}"
