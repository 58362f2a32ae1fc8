"""Understands exactly what the scripted synthesiser says; costs next to nothing.

Other sound has no words for it, so its transcript says how long it was ("utterance of 2140
milliseconds"): the same audio gives the same text, and lost or doubled audio another one.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import TYPE_CHECKING

import numpy as np

from adapters.recognition import Heard, Outbox
from voicemesh.audio import tonetext

if TYPE_CHECKING:
    from adapters.recognition import RecognitionRequest
    from voicemesh.audio import Samples

PARTIAL_SECONDS = 0.4
MARKER_SECONDS = 1.5
"""Sound in which the marker of words must begin, pre-roll included, seconds."""


def transcript(samples: Samples, rate: int, *, wordless: bool = False) -> str:
    """Return the words in the sound, or else (also if known to be `wordless`) how long it is."""
    words = None if wordless else tonetext.decode(samples, rate)
    return f"utterance of {samples.size * 1000 // rate} milliseconds" if words is None else words


class ScriptedEngine:
    """Answers every conclude after a fixed time."""

    def __init__(self, final_seconds: float) -> None:
        self._delay = final_seconds

    async def start(self) -> None:
        """Nothing to load."""

    def recognize(self, request: RecognitionRequest) -> ScriptedRecognition:
        """Begin an utterance."""
        return ScriptedRecognition(request, self._delay)

    async def stop(self) -> None:
        """Nothing is held."""


class ScriptedRecognition:
    """One utterance."""

    def __init__(self, request: RecognitionRequest, delay: float) -> None:
        self._request = request
        self._delay = delay
        self._sound: list[Samples] = []
        self._fed = 0
        self._wordless = False
        self._next_partial = int(PARTIAL_SECONDS * request.rate)
        self._timers: deque[asyncio.Handle] = deque()
        self._unanswered = 0
        self._finished = False
        self._outbox = Outbox()

    def feed(self, samples: Samples) -> None:
        """Take further sound."""
        self._sound.append(samples)
        self._fed += samples.size
        if self._wants_partial():
            self._next_partial = self._fed + int(PARTIAL_SECONDS * self._request.rate)
            words = tonetext.decode(self._whole(), self._request.rate)
            # What carries words begins with their marker: the rest need not be searched.
            self._wordless = words is None and self._fed > MARKER_SECONDS * self._request.rate
            if words:
                self._outbox.put(Heard(words, final=False, samples=self._fed, engine_seconds=0))

    def _wants_partial(self) -> bool:
        wanted = self._request.partials and not self._unanswered and not self._wordless
        return wanted and self._fed >= self._next_partial

    def conclude(self) -> None:
        """Answer after the fixed time, with what was fed by now."""
        self._unanswered += 1
        loop = asyncio.get_running_loop()
        args = self._whole(), time.monotonic()
        self._timers.append(loop.call_later(self._delay, self._answer, *args))

    def _answer(self, sound: Samples, asked: float) -> None:
        # They fire in the order in which they were set.
        self._timers.popleft()
        self._unanswered -= 1
        seconds = time.monotonic() - asked
        text = transcript(sound, self._request.rate, wordless=self._wordless)
        self._outbox.put(Heard(text, final=True, samples=sound.size, engine_seconds=seconds))
        self._end_if_answered()

    def finish(self) -> None:
        """End behind the last answer."""
        self._finished = True
        self._end_if_answered()

    def _end_if_answered(self) -> None:
        if self._finished and not self._unanswered:
            self._outbox.end()

    async def next(self) -> Heard | None:
        """Return the next transcript."""
        return await self._outbox.next()

    def close(self) -> None:
        """Answer nothing any more."""
        for timer in self._timers:
            timer.cancel()
        self._sound.clear()

    def _whole(self) -> Samples:
        """Return all sound; what was joined once is not joined again."""
        self._sound = [np.concatenate(self._sound) if self._sound else np.empty(0, np.int16)]
        return self._sound[0]
