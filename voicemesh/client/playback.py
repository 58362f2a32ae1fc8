"""What would be heard at which moment: a phone without a jitter buffer, modelled.

It plays sound when it arrives, or behind what is still playing. Time is an argument.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from voicemesh.client.sound import resampled

if TYPE_CHECKING:
    from voicemesh.audio import Samples

PAUSE_SECONDS = 0.5
"""A hole shorter than this is a stumble within speech; a longer one, a pause between replies."""


@dataclass(slots=True, eq=False)
class Piece:
    """A run of sound that is played without a hole."""

    offset: int
    """Number of the first sample."""
    count: int
    """How many samples."""
    play_at: float
    """When the first one is heard."""
    samples: Samples | None
    """The sound, if it is kept."""


@dataclass(frozen=True, slots=True)
class Hole:
    """The phone ran out of sound while the bot was speaking."""

    at: float
    """When."""
    seconds: float
    """For how long."""
    offset: int
    """The sample that was late."""


class Playback:
    """Follows the bot's audio as it arrives; `keep_sound` keeps it for a recording.

    `lateness` has one value for each chunk of speech: seconds behind an ideal clock that started
    with the first chunk of its stretch. A stretch is speech without a pause; it ends with a clear.
    """

    def __init__(self, rate: int, *, keep_sound: bool = True) -> None:
        self.rate = rate
        self.pieces: list[Piece] = []
        """What was or will be heard (without `keep_sound`, the latest only)."""
        self.holes: list[Hole] = []
        """Every stumble."""
        self.lateness = array("d")
        """Seconds for each chunk, 0 where it was in time."""
        self.stretches: list[float] = []
        """When each stretch of speech began to arrive."""
        self.next_offset = 0
        """Offset behind the last sample that arrived."""
        self.heard_samples = 0
        """Samples played or waiting to be."""
        self._keep = keep_sound
        self._ideal: float | None = None
        self._end = 0.0

    @property
    def audible_until(self) -> float:
        """When what has arrived will have been heard; 0 if nothing has."""
        return self._end

    def audible(self, now: float) -> bool:
        """Return whether the bot is being heard."""
        return now < self._end

    def audible_for(self, now: float) -> float:
        """Return for how long the current stretch of speech has been heard; 0 if none is."""
        return now - self.stretches[-1] if self.audible(now) else 0.0

    def first_heard_after(self, when: float) -> float | None:
        """Return when the first stretch of speech that began after `when` did so."""
        return next((start for start in self.stretches if start >= when), None)

    def heard(self, now: float) -> int:
        """Return the offset behind the last sample that was heard."""
        for piece in reversed(self.pieces):
            if piece.play_at <= now:
                return piece.offset + min(piece.count, int((now - piece.play_at) * self.rate))
        return self.pieces[0].offset if self.pieces else self.next_offset

    def arrive(self, offset: int, samples: Samples, now: float) -> None:
        """Play a chunk."""
        skipped = min(max(self.next_offset - offset, 0), samples.size)
        offset, samples = offset + skipped, samples[skipped:]
        if not samples.size:
            return
        play_at = self._schedule(offset, now)
        self._place(Piece(offset, samples.size, play_at, samples), now)
        self.next_offset = offset + samples.size
        self.heard_samples += samples.size

    def clear(self, offset: int, now: float) -> None:
        """Drop what lies at or behind `offset` and has not been played yet."""
        for piece in reversed(self.pieces):
            if self._end_of(piece) <= now:
                break
            played = int(max(now - piece.play_at, 0.0) * self.rate)
            self._shorten(piece, min(max(played, offset - piece.offset, 0), piece.count))
        while self.pieces and not self.pieces[-1].count:
            self.pieces.pop()
        self._end = self._end_of(self.pieces[-1]) if self.pieces else min(self._end, now)
        self._ideal = None
        # What follows a clear may repeat offsets that were dropped before they were heard.
        self.next_offset = min(self.next_offset, max(offset, 0))

    def track(self, began: float, rate: int) -> Samples:
        """Return what was heard, from `began` on, at another rate."""
        end = max((self._end_of(piece) for piece in self.pieces), default=began)
        track = np.zeros(max(round((end - began) * self.rate), 0), np.int16)
        for piece in self.pieces:
            start = round((piece.play_at - began) * self.rate)
            if piece.samples is not None:
                sound = piece.samples[max(-start, 0) :]
                room = track[max(start, 0) :][: sound.size]
                room[:] = sound[: room.size]
        return resampled(track, self.rate, rate)

    def _schedule(self, offset: int, now: float) -> float:
        """Return when a chunk is played; take note if that is later than it should be."""
        gap = offset - self.next_offset
        due = self._end + gap / self.rate
        ideal = self._ideal
        if ideal is None or now - due >= PAUSE_SECONDS or (gap and due - now >= PAUSE_SECONDS):
            self._ideal = now - offset / self.rate
            self.stretches.append(now)
            self.lateness.append(0.0)
            return max(now, self._end)
        self.lateness.append(max(now - ideal - offset / self.rate, 0.0))
        if now > due:
            self.holes.append(Hole(due, now - due, offset))
        return max(now, due)

    def _place(self, piece: Piece, now: float) -> None:
        if not self._keep:
            self.pieces = [kept for kept in self.pieces if self._end_of(kept) > now]
            piece.samples = None
        self.pieces.append(piece)
        self._end = self._end_of(piece)

    def _end_of(self, piece: Piece) -> float:
        return piece.play_at + piece.count / self.rate

    def _shorten(self, piece: Piece, count: int) -> None:
        self.heard_samples -= piece.count - count
        piece.count = count
        if piece.samples is not None:
            piece.samples = piece.samples[:count]
