"""What a synthesis engine is given and gives back.

An engine is one module in ``adapters/tts/`` and one line in the table ``adapters.tts.ENGINES``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from adapters.config import AdapterSettings
    from voicemesh.audio import Samples

MAX_SENTENCE_CHARACTERS = 2000
MAX_UNSPOKEN_SENTENCES = 64


@dataclass(frozen=True, slots=True)
class SynthesisRequest:
    """How to speak; the servicer has checked every limit of the contract."""

    rate: int
    """Samples per second: 8000 or 16000."""
    voice: str = ""
    """Empty: the engine's own."""
    language: str = "en"
    call_id: str = ""


class Synthesis(Protocol):
    """One reply being spoken."""

    def speak(self, text: str) -> AsyncIterator[Samples]:
        """Give the sentence's sound piece by piece, each of any length but not empty.

        The same text gives the same samples, so that a listener who heard a part can go on from
        there. When the caller cancels, the generator is closed: it must then stop at once.
        """
        ...

    def close(self) -> None:
        """Free everything; nothing is spoken any more."""


class SynthesisEngine(Protocol):
    """Turns text into speech. One instance serves all calls of its process."""

    async def start(self) -> None:
        """Load models and warm up; nothing is spoken before it returns."""

    def synthesize(self, request: SynthesisRequest) -> Synthesis:
        """Begin a reply; raise ``errors.NotFound`` for an unknown voice, ``Refused`` when full."""
        ...

    async def stop(self) -> None:
        """Free everything; every `Synthesis` has been closed."""


SynthesisEngineFactory: TypeAlias = "Callable[[AdapterSettings], SynthesisEngine]"
