"""What the bot says, on its way to a phone: in order, at its time, a little ahead of the phone.

The gateway paces the bot already; what is kept here is what it is ahead by, and what came while
the phone was on hold.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from voicemesh.audio import Samples

FRAME_SECONDS = 0.02
LEAD_SECONDS = 0.2
"""How far ahead of the phone sound is given out: what a busy event loop may be late by. It can be
taken back, and the gateway is not further ahead itself."""
LONGEST_SECONDS = 30.0
"""The most that waits: a bot that goes on while it is on hold is heard from the newest of it."""


@dataclass(slots=True)
class _Piece:
    offset: int
    samples: Samples
    due: float
    """When it may be heard at the earliest, seconds."""


class Mouth:
    """The bot's sound that waits; offsets are the bot's, times seconds."""

    def __init__(self, rate: int) -> None:
        self.next_offset = 0
        """Offset behind the last sample that came."""
        self.spoken = 0
        """Offset behind the last sample that was given out."""
        self.waiting = 0
        """How many samples wait."""
        self._rate = rate
        self._frame = int(FRAME_SECONDS * rate)
        self._pieces: deque[_Piece] = deque()
        self._end = 0.0

    def arrive(self, offset: int, samples: Samples, now: float) -> None:
        """Take a chunk; what came already is dropped, a gap before it is silence."""
        skipped = min(max(self.next_offset - offset, 0), samples.size)
        offset, samples = offset + skipped, samples[skipped:]
        if not samples.size:
            return
        due = max(now, self._end + (offset - self.next_offset) / self._rate)
        self._end = due + samples.size / self._rate
        self.next_offset = offset + samples.size
        self._pieces.append(_Piece(offset, samples, due))
        self.waiting += samples.size
        while self.waiting > LONGEST_SECONDS * self._rate:
            self.waiting -= self._pieces.popleft().samples.size

    def frame(self, now: float) -> Samples | None:
        """Return the next samples, at most 20 ms of them; None where none are due."""
        if not self._pieces or self._pieces[0].due > now + LEAD_SECONDS:
            return None
        piece = self._pieces[0]
        taken, piece.samples = piece.samples[: self._frame], piece.samples[self._frame :]
        piece.offset += taken.size
        self.spoken = piece.offset
        self.waiting -= taken.size
        if not piece.samples.size:
            self._pieces.popleft()
        return taken

    def clear(self, offset: int, now: float) -> None:
        """Drop what lies at or behind `offset`; it may come again, with other sound."""
        for piece in self._pieces:
            self.waiting -= piece.samples.size
            piece.samples = piece.samples[: max(offset - piece.offset, 0)]
            self.waiting += piece.samples.size
        while self._pieces and not self._pieces[-1].samples.size:
            self._pieces.pop()
        last = self._pieces[-1] if self._pieces else None
        self._end = last.due + last.samples.size / self._rate if last else now
        self.next_offset = min(self.next_offset, max(offset, 0))
        self.spoken = min(self.spoken, self.next_offset)

    def drop(self, now: float) -> None:
        """Drop everything that waits, for good."""
        self._pieces.clear()
        self.waiting = 0
        self._end = now
