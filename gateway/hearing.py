"""What one call gives to voice activity, what it hears back, and the sound just before speech."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from gateway.vad import WINDOW_MS, GateSettings, SpeechEvent, SpeechGate

if TYPE_CHECKING:
    from voicemesh.audio import Chunk, Samples

PRE_ROLL_MS = 300


@dataclass(frozen=True, slots=True, eq=False)
class Feed:
    """Have voice activity look at these samples."""

    samples: Samples


@dataclass(frozen=True, slots=True)
class Skip:
    """Tell voice activity that so many samples are silence."""

    samples: int


HearingCommand: TypeAlias = Feed | Skip


class Hearing:
    """Follows one caller; offsets are positions of the caller's clock.

    Voice activity answers every command before the next is given: what `Skip` completes is heard
    before anything else.
    """

    def __init__(self, rate: int, settings: GateSettings | None = None) -> None:
        self._gate = SpeechGate(rate, settings)
        self._window = WINDOW_MS * rate // 1000
        # Speech may be noticed a few windows after it began.
        within = (settings or GateSettings()).start_within
        self._kept = PRE_ROLL_MS * rate // 1000 + within * self._window
        self._pre_roll = PRE_ROLL_MS * rate // 1000
        self._given = 0
        self._heard = 0
        self._silent_until = 0
        self._recent: deque[Chunk] = deque()

    @property
    def speaking(self) -> bool:
        """Whether the caller speaks."""
        return self._gate.speaking

    def take(self, chunk: Chunk) -> list[HearingCommand]:
        """Take the next audio; while nobody speaks it is also kept for the pre-roll."""
        commands: list[HearingCommand] = []
        if chunk.offset > self._given:
            commands.append(Skip(chunk.offset - self._given))
        commands.append(Feed(chunk.samples))
        self._given = chunk.end
        if not self._gate.speaking:
            self._recent.append(chunk)
            while self._recent[0].end < self._heard - self._kept:
                self._recent.popleft()
        return commands

    def advance(self, position: int) -> list[HearingCommand]:
        """Let the clock pass without audio; matters only while the caller is thought to speak."""
        # Two windows at least: then one begins anew behind the silence, whatever was pending.
        gap = position - self._given
        if not self._gate.speaking or gap < 2 * self._window:
            return []
        self._given = self._silent_until = position
        return [Skip(gap)]

    def heard(self, end: int, probability: float) -> list[SpeechEvent]:
        """Take what voice activity says about a window."""
        self._silent_until = 0
        self._heard = end
        return self._gate.handle(end, probability)

    def settle(self) -> list[SpeechEvent]:
        """Take note of silence that `advance` passed over."""
        until, self._silent_until = self._silent_until, 0
        return self._gate.silence(until) if until else []

    def pre_roll(self, start: int, earliest: int) -> list[Chunk]:
        """Return the sound from a little before `start`, not before `earliest`, and forget it."""
        begin = max(start - self._pre_roll, earliest)
        chunks = [chunk.since(begin) for chunk in self._recent if chunk.end > begin]
        self._recent.clear()
        return chunks
