"""Whisper on this machine: a small model for changing transcripts, a larger one for final ones."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from adapters.recognition import Heard, Outbox
from adapters.stt.decoder import Decoder
from adapters.stt.mel import RATE
from adapters.stt.weights import base_folder, tiny_folder
from adapters.workers import Workers
from voicemesh.audio import Resampler
from voicemesh.errors import InvalidInput, Refused

if TYPE_CHECKING:
    from collections.abc import Callable

    from adapters.config import AdapterSettings
    from adapters.recognition import RecognitionRequest
    from voicemesh.audio import Samples

PARTIAL_SECONDS = 0.4
"""New audio that a changing transcript waits for."""
PARTIAL_SHARE = 0.25
"""Share of the time that changing transcripts of a long utterance may take."""
FINAL_BEAM, PARTIAL_BEAM = 5, 1


class Listener(Protocol):
    """A model as this engine sees it; blocking."""

    def knows(self, language: str) -> bool:
        """Tell whether it understands the language."""

    def words(self, sound: Samples, *, beam: int, language: str = "en") -> str:
        """Return what is said in 16 kHz sound."""


@dataclass(frozen=True, slots=True)
class Models:
    """Both models of a process, loaded once."""

    partial: Listener
    final: Listener


def load(settings: AdapterSettings) -> Models:
    """Load the models from their packages; raise MissingModel if one is not there."""
    # One worker more than finals: languages that the small model does not know are its too.
    workers = settings.stt_workers + 1
    return Models(
        partial=Decoder(tiny_folder(), threads=1),
        final=Decoder(base_folder(), threads=settings.stt_threads, workers=workers),
    )


class WhisperEngine:
    """Serves all utterances of the process with two models and a few threads.

    Final transcripts wait in line; when the line is full new utterances are refused, so that every
    one that was accepted is answered. Changing transcripts never wait: they are made when their
    worker is idle and skipped when it is not.
    """

    def __init__(
        self, settings: AdapterSettings, load: Callable[[AdapterSettings], Models] = load
    ) -> None:
        self.finals = Workers("stt-final", settings.stt_workers)
        self.partials = Workers("stt-partial", 1)
        self.partial: asyncio.Task[None] | None = None
        """The changing transcript that was begun last, of whichever utterance."""
        self._settings = settings
        self._load = load
        self._models: Models | None = None

    async def start(self) -> None:
        """Load both models and decode once with each."""
        self._models = await asyncio.to_thread(self._load, self._settings)
        noise = np.random.default_rng(0).integers(-999, 999, RATE).astype(np.int16)
        await asyncio.to_thread(self._models.partial.words, noise, beam=PARTIAL_BEAM)
        await asyncio.to_thread(self._models.final.words, noise, beam=FINAL_BEAM)

    def recognize(self, request: RecognitionRequest) -> WhisperRecognition:
        """Begin an utterance; raise Refused while too many final transcripts wait."""
        if self._models is None:
            raise RuntimeError("the engine was not started")
        if not self._models.final.knows(request.language):
            raise InvalidInput(
                "config.language", f"{request.language!r} is not known", language=request.language
            )
        limit = self._settings.stt_waiting
        if self.finals.waiting >= limit:
            raise Refused(f"{limit} final transcripts are waiting already", limit=limit)
        return WhisperRecognition(self, self._models, request)

    async def stop(self) -> None:
        """Let go of the models."""
        self.finals.stop()
        self.partials.stop()
        self._models = None


class WhisperRecognition:
    """One utterance."""

    def __init__(self, engine: WhisperEngine, models: Models, request: RecognitionRequest) -> None:
        self._engine = engine
        self._models = models
        self._request = request
        self._resampler = Resampler(request.rate, RATE)
        self._sound: list[Samples] = []
        self._next_partial = PARTIAL_SECONDS
        self._partial: asyncio.Task[None] | None = None
        self._asked: list[float] = []
        self._wanted = self._stretch()
        self._answer = _Answer("", 0)
        self._final: asyncio.Task[None] | None = None
        self._finished = False
        self._outbox = Outbox()

    def feed(self, samples: Samples) -> None:
        """Take further sound, and begin a changing transcript if one is due."""
        self._sound.append(self._resampler.feed(samples))
        if self._wants_partial():
            self._partial = asyncio.create_task(self._make_partial(self._stretch()))
            self._engine.partial = self._partial

    def _wants_partial(self) -> bool:
        seconds = self._resampler.in_offset / self._request.rate
        if not self._request.partials or seconds < self._next_partial:
            return False
        running = self._engine.partial
        return self._final is None and (running is None or running.done())

    async def _make_partial(self, stretch: _Stretch) -> None:
        began = _now()
        language = self._request.language
        known = self._models.partial.knows(language)
        model = self._models.partial if known else self._models.final
        try:
            text = await self._engine.partials.run(
                model.words, stretch.sound, beam=PARTIAL_BEAM, language=language
            )
        except Exception as error:
            self._outbox.fail(error)
            return
        seconds = _now() - began
        pause = max(PARTIAL_SECONDS, seconds / PARTIAL_SHARE)
        self._next_partial = stretch.samples / self._request.rate + pause
        # Once a final transcript is there or under way, this one is worthless.
        if text and self._final is None and stretch.samples > self._wanted.samples:
            self._outbox.put(Heard(text, False, stretch.samples, seconds))

    def conclude(self) -> None:
        """Stand in the line for a final transcript, unless this utterance does already.

        Those who ask while it still waits are answered together, with the sound fed by the last.
        """
        self._asked.append(_now())
        self._wanted = self._stretch()
        if self._final is None:
            self._final = asyncio.create_task(self._make_finals())

    async def _make_finals(self) -> None:
        try:
            while self._asked:
                await self._answer_asked()
        except Exception as error:
            self._outbox.fail(error)
        self._final = None
        self._end_if_answered()

    async def _answer_asked(self) -> None:
        if self._wanted.samples == self._answer.samples:
            asked, self._asked = self._asked, []
        else:
            async with self._engine.finals.place():
                asked, self._asked = self._asked, []
                stretch = self._wanted
                text = await self._engine.finals.run(
                    self._models.final.words,
                    stretch.sound,
                    beam=FINAL_BEAM,
                    language=self._request.language,
                )
                self._answer = _Answer(text, stretch.samples)
        for asked_at in asked:
            answer = self._answer
            self._outbox.put(Heard(answer.text, True, answer.samples, _now() - asked_at))

    def finish(self) -> None:
        """End behind the last final transcript."""
        self._finished = True
        self._end_if_answered()

    def _end_if_answered(self) -> None:
        if self._finished and self._final is None:
            self._outbox.end()

    async def next(self) -> Heard | None:
        """Return the next transcript."""
        return await self._outbox.next()

    def close(self) -> None:
        """Leave the line and drop the sound; what runs already ends unheard."""
        for task in (self._final, self._partial):
            if task is not None:
                task.cancel()
        self._sound.clear()

    def _stretch(self) -> _Stretch:
        """Return all sound by now; what was joined once is not joined again."""
        if len(self._sound) != 1:
            self._sound = [np.concatenate([np.empty(0, np.int16), *self._sound])]
        return _Stretch(self._sound[0], self._resampler.in_offset)


@dataclass(frozen=True, slots=True)
class _Stretch:
    """The utterance from its start."""

    sound: Samples
    """At Whisper's rate."""
    samples: int
    """How many samples of the utterance that are, at its own rate."""


@dataclass(frozen=True, slots=True)
class _Answer:
    """The latest final transcript."""

    text: str
    samples: int


def _now() -> float:
    # Not the loop's own clock: the fast one counts whole milliseconds.
    return time.monotonic()
