"""How late the bot's frames come, without looking at their sound.

The same figures as `voicemesh.client.Playback`, which keeps everything a recording needs and so
costs several times as much for each frame; the tests hold the two to each other.
"""

from __future__ import annotations

from voicemesh.client.playback import PAUSE_SECONDS


class Ear:
    """Follows the bot's audio of one call by its offsets. Time is an argument."""

    __slots__ = ("_end", "_ideal", "_next_offset", "_rate", "new_stretch")

    def __init__(self, rate: int) -> None:
        self.new_stretch = False
        """Whether the last chunk was the first after a pause or a clear."""
        self._rate = rate
        self._next_offset = 0
        self._ideal: float | None = None
        self._end = 0.0

    @property
    def audible_until(self) -> float:
        """When what has arrived will have been heard; 0 if nothing has."""
        return self._end

    def arrive(self, offset: int, count: int, now: float) -> float | None:
        """Hear a chunk; return its lateness in seconds, None if all of it was heard before."""
        skipped = max(self._next_offset - offset, 0)
        if skipped >= count:
            return None
        offset, count = offset + skipped, count - skipped
        gap = offset - self._next_offset
        due = self._end + gap / self._rate
        ideal = self._ideal
        self.new_stretch = (
            ideal is None or now - due >= PAUSE_SECONDS or (gap > 0 and due - now >= PAUSE_SECONDS)
        )
        if ideal is None or self.new_stretch:
            self._ideal = now - offset / self._rate
            late, play_at = 0.0, max(now, self._end)
        else:
            late, play_at = max(now - ideal - offset / self._rate, 0.0), max(now, due)
        self._end = play_at + count / self._rate
        self._next_offset = offset + count
        return late

    def clear(self, offset: int, now: float) -> None:
        """Forget what lies at or behind `offset` and has not been heard yet."""
        unheard = max(self._next_offset - offset, 0) / self._rate
        self._end = max(min(self._end, now), self._end - unheard)
        self._ideal = None
        self._next_offset = min(self._next_offset, max(offset, 0))
