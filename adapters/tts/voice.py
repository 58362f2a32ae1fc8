"""One hibari voice: text to clauses, a clause to samples. Blocking; call it from a thread."""

from __future__ import annotations

import re
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from adapters.tts.speakable import speakable
from voicemesh.audio import Resampler

if TYPE_CHECKING:
    from collections.abc import Iterator

    from voicemesh.audio import Samples

RATE = 24000
LEAD_SECONDS, TAIL_SECONDS = 0.02, 0.12
"""Silence left before and behind a sentence: the model's own 0.3 s before would be heard as
slowness."""
LONGEST_PART = 300
"""Characters synthesised at once; more would delay the first audio."""

_FRAME = RATE // 100
_SILENCE = 0.001
"""Root mean square of a frame below which it is silence; full scale is 1."""
_SEED = 0
_BREAK = re.compile(r"[,;:\u2014] ")


class Voice:
    """The weights of one voice. The same clause always gives the same samples."""

    def __init__(self, name: str, model: Any) -> None:  # noqa: ANN401 - the package has no types
        self.name = name
        self._model = model
        # The network is stateless; for the rules that read words that is not promised.
        self._reading = threading.Lock()

    def clauses(self, text: str) -> list[str]:
        """Return, as phonemes, what is spoken at once."""
        with self._reading:
            parts = (self._model.phonemize(part) for part in split(speakable(text)))
            return [clause for part in parts for clause in part]

    def sound(self, clause: str, rate: int) -> Samples:
        """Return a clause at this rate, silence around it trimmed; empty if it has no sound."""
        ids = self._model.ids(clause)
        wave = trim(self._model.from_ids(ids, rng=np.random.default_rng(_SEED)))
        samples = np.rint(np.clip(wave, -1, 1) * 32767).astype(np.int16)
        resampler = Resampler(RATE, rate)
        return np.concatenate((resampler.feed(samples), resampler.flush()))


def split(text: str) -> Iterator[str]:
    """Give parts of at most `LONGEST_PART` characters, cut where one would breathe."""
    while len(text) > LONGEST_PART:
        breaks = [match.end() for match in _BREAK.finditer(text, LONGEST_PART // 3, LONGEST_PART)]
        cut = breaks[-1] if breaks else text.rfind(" ", 1, LONGEST_PART) + 1 or LONGEST_PART
        yield text[:cut]
        text = text[cut:]
    yield text


def trim(wave: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the sound with a little silence before and behind it; nothing if all is silent."""
    frames = wave[: wave.size // _FRAME * _FRAME].reshape(-1, _FRAME)
    loud = np.flatnonzero(np.sqrt((frames**2).mean(axis=1)) > _SILENCE)
    if not loud.size:
        return wave[:0]
    start = int(loud[0]) * _FRAME - int(LEAD_SECONDS * RATE)
    end = (int(loud[-1]) + 1) * _FRAME + int(TAIL_SECONDS * RATE)
    return wave[max(0, start) : end]
