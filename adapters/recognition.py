"""What a recognition engine is given and gives back, and the rules of one utterance.

An engine is one module in ``adapters/stt/`` and one line in the table ``adapters.stt.ENGINES``.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias

import numpy as np

from voicemesh.audio import Chunk, Inbox, Samples
from voicemesh.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable

    from adapters.config import AdapterSettings

MAX_UTTERANCE_SECONDS = 30


@dataclass(frozen=True, slots=True)
class RecognitionRequest:
    """What is to be recognised; the servicer has checked every limit of the contract."""

    rate: int
    """Samples per second: 8000 or 16000."""
    language: str = "en"
    phrases: tuple[str, ...] = ()
    """Words that are likely to occur."""
    partials: bool = False
    """Whether changing transcripts are wanted."""
    call_id: str = ""


@dataclass(frozen=True, slots=True)
class Heard:
    """Words of the utterance, from its first."""

    text: str
    final: bool
    """Whether this answers a `conclude`."""
    samples: int
    """How many samples of the utterance it takes into account."""
    engine_seconds: float
    """How long the engine took for it, waiting included."""


class Recognition(Protocol):
    """One utterance being recognised. Only `next` waits."""

    def feed(self, samples: Samples) -> None:
        """Take further sound."""

    def conclude(self) -> None:
        """Ask for one final transcript of everything fed by now."""

    def finish(self) -> None:
        """Say that nothing follows: `next` ends behind the last final transcript."""

    async def next(self) -> Heard | None:
        """Return the next transcript, or None behind the last; raise what went wrong."""

    def close(self) -> None:
        """Free everything at once, whatever still runs."""


class RecognitionEngine(Protocol):
    """Turns speech into text. One instance serves all calls of its process."""

    async def start(self) -> None:
        """Load models and warm up; nothing is recognised before it returns."""

    def recognize(self, request: RecognitionRequest) -> Recognition:
        """Begin an utterance; raise ``errors.Refused`` when full."""
        ...

    async def stop(self) -> None:
        """Free everything; every `Recognition` has been closed."""


RecognitionEngineFactory: TypeAlias = "Callable[[AdapterSettings], RecognitionEngine]"


class Outbox:
    """Transcripts on their way out; a changing one that was not fetched yet gives way to the next.

    Engines own one per utterance. So that a slow client costs no memory, it holds one changing
    transcript and as many final ones as were asked for.
    """

    def __init__(self) -> None:
        self._finals: deque[Heard] = deque()
        self._partial: Heard | None = None
        self._error: BaseException | None = None
        self._ended = False
        self._news = asyncio.Event()

    def put(self, heard: Heard) -> None:
        """Add a transcript; a final one makes the changing one before it worthless."""
        if heard.final:
            self._finals.append(heard)
            self._partial = None
        else:
            self._partial = heard
        self._news.set()

    def end(self) -> None:
        """Say that nothing follows."""
        self._ended = True
        self._news.set()

    def fail(self, error: BaseException) -> None:
        """Make `next` raise once everything before was fetched."""
        self._error = error
        self._news.set()

    async def next(self) -> Heard | None:
        """Return the next transcript, or None behind the last; raise what `fail` was given."""
        while True:
            if self._finals:
                return self._finals.popleft()
            if self._partial is not None:
                heard, self._partial = self._partial, None
                return heard
            if self._error is not None:
                raise self._error
            if self._ended:
                return None
            self._news.clear()
            await self._news.wait()


class Utterance:
    """The offsets of one utterance: turns chunks at their places into samples in a row."""

    def __init__(self, rate: int) -> None:
        self.start = 0
        """Offset of its first sample."""
        self.unconcluded = False
        """Whether audio came after the last conclude."""
        self._rate = rate
        self._inbox: Inbox | None = None

    def add(self, chunk: Chunk) -> Samples:
        """Return what is new in the chunk, behind the silence of the gap before it, if any."""
        inbox = self._inbox or self._begin(chunk)
        limit = self.start + MAX_UTTERANCE_SECONDS * self._rate
        if chunk.offset < self.start:
            raise InvalidInput(
                "audio.offset",
                f"is {chunk.offset}, before the utterance's first, {self.start}",
                reason="OFFSET_WENT_BACK",
                limit=self.start,
            )
        if chunk.end > limit:
            raise InvalidInput(
                "audio.offset",
                f"an utterance holds at most {MAX_UTTERANCE_SECONDS} s, up to offset {limit}",
                reason="UTTERANCE_TOO_LONG",
                limit=limit,
            )
        gap, new = inbox.accept(chunk)
        self.unconcluded = self.unconcluded or new.samples.size > 0
        if not gap:
            return new.samples
        return np.concatenate((np.zeros(gap, np.int16), new.samples))

    def _begin(self, chunk: Chunk) -> Inbox:
        if chunk.offset < 0:
            raise InvalidInput("audio.offset", f"is {chunk.offset}, must be >= 0", limit=0)
        self.start = chunk.offset
        self._inbox = Inbox(self._rate, strict=False, next_offset=chunk.offset)
        return self._inbox

    def conclude(self) -> None:
        """Note that a final transcript of everything was asked for."""
        self.unconcluded = False
