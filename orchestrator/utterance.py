"""What the caller is saying, and what may happen to it when."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from orchestrator.events import AudioArrived
    from orchestrator.waterfall import Waterfall


class Phase(enum.Enum):
    """What the caller is doing."""

    QUIET = "quiet"
    SPEAKING = "speaking"
    PAUSED = "paused"
    CUT = "cut off after 28 s"
    KNOWN = "saying again what is in the journal"


# (phase, what happens) -> phase. Anything else is against the contract. While an utterance that
# was too long waits for its words, whatever comes is kept for the one after it.
TRANSITIONS: dict[tuple[Phase, str], Phase] = {
    (Phase.QUIET, "started"): Phase.SPEAKING,
    # Audio without a start: the rest of an utterance that was too long.
    (Phase.QUIET, "audio"): Phase.SPEAKING,
    # The end of an utterance that is in the journal already.
    (Phase.QUIET, "ended"): Phase.QUIET,
    (Phase.SPEAKING, "audio"): Phase.SPEAKING,
    (Phase.SPEAKING, "ended"): Phase.PAUSED,
    (Phase.SPEAKING, "cut"): Phase.CUT,
    (Phase.PAUSED, "started"): Phase.SPEAKING,
    (Phase.PAUSED, "over"): Phase.QUIET,
    (Phase.CUT, "over"): Phase.QUIET,
    # A key that was pressed earlier may wait for its answer yet; then all from there on is
    # replayed, an utterance that needed none included.
    (Phase.QUIET, "began again"): Phase.KNOWN,
    (Phase.KNOWN, "ended"): Phase.QUIET,
    (Phase.KNOWN, "went on"): Phase.QUIET,
}
AWAITING_WORDS = frozenset({Phase.PAUSED, Phase.CUT})


@dataclass(slots=True)
class Utterance:
    """What the caller is saying; kept whole until it is in the journal."""

    number: int
    first_offset: int
    """Nothing from here on may be acknowledged as committed yet."""
    start_offset: int
    end_offset: int = 0
    next_offset: int = 0
    """Behind everything that belongs to it, its last event included."""
    chunks: list[AudioArrived] = field(default_factory=list)
    text: str = ""
    words_offset: int = 0
    """Behind the audio that the words are of."""
    attempts: int = 0
    """How many recognisers were given it."""
    gave_up: bool = False
    """Whether no recogniser is left."""
    final: bool = False
    """Whether the text is final for everything heard."""
    endpointed: bool = False
    """Whether the silence was long enough."""
    engine_seconds: float = 0.0
    engine: str = ""
    """Who found the words."""
    waterfall: Waterfall | None = None
    untold_silence: float = 0.0
    """Silence that had passed before its end was told, beyond that by which its end is known."""

    @property
    def audio_offset(self) -> int:
        """Behind the last audio that arrived; 0 if none has."""
        return self.chunks[-1].end_offset if self.chunks else 0
