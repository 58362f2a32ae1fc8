"""What a phone says, placed on the caller's clock.

A jitter buffer gives packets out at their time, and nothing where one is missing. A lost packet
shortens the sound by 20 ms, which recognition does not mind; a longer hole (hold, a phone that
sends no silence, a network that is gone) becomes a gap in the offsets, which means silence.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from voicemesh.audio import Samples

GAP_SECONDS = 0.2
"""The shortest hole that becomes a gap: more than a burst that the jitter buffer swallowed."""


class Ear:
    """Numbers what one phone says; `now` is in seconds."""

    def __init__(self, rate: int) -> None:
        self.next_offset = 0
        """Offset behind the last sample."""
        self._rate = rate
        self._last: float | None = None

    def place(self, samples: Samples, now: float) -> int:
        """Return the offset of the next samples, which came at `now`; at least one."""
        if self._last is not None:
            hole = now - self._last
            if hole > GAP_SECONDS:
                self.next_offset += max(int(hole * self._rate) - samples.size, 0)
        self._last = now
        offset = self.next_offset
        self.next_offset += samples.size
        return offset
