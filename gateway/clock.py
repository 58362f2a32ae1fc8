"""The caller's clock: where in the caller's direction of a call we are.

The clock is a number of samples at the call's rate, and it never goes back. While audio comes it
is simply the end of what came. When nothing comes, because the caller leaves silence out or its
network stalls, wall time drives it instead, so that the end of speech is noticed and timers run.

Audio that comes later than the clock allowed for is never dropped: it is placed at the clock, and
what follows it without a gap stays behind it. A stall so becomes silence in the caller's direction
for as long as it exceeded what the clock waits, and no longer. At the next gap of the caller's own
the two counts are brought together again as far as the clock allows.
"""

from __future__ import annotations

from collections import deque

from voicemesh.audio import MAX_CHUNK_SECONDS

GAP_JITTER_SECONDS = 0.08
"""What a chunk may be late by, from a caller who leaves silence out."""
STREAM_JITTER_SECONDS = 0.4
"""The same from a caller who sends without a break: for them a pause can only be the network."""
KEPT_ARRIVALS = 200
KEPT_JOINTS = 200


class CallerClock:
    """Places what one caller sends; times are seconds, offsets samples."""

    def __init__(self, rate: int, now: float) -> None:
        self.received = 0
        """Position behind the last sample placed."""
        self._rate = rate
        self._arrived = now
        self._sent_end = 0
        self._shift = 0
        # Until the first chunk has come it may be the longest one allowed.
        self._longest_chunk: float = MAX_CHUNK_SECONDS
        self._heard = False
        self._leaves_gaps = False
        self._arrivals: deque[tuple[int, float]] = deque([(0, now)], KEPT_ARRIVALS)
        # Where the two counts came to differ by another number: position and the caller's own.
        self._joints: deque[tuple[int, int]] = deque([(0, 0)], KEPT_JOINTS)

    def take_up(self, offset: int, position: int, now: float) -> None:
        """Go on where another clock was: at a position, which the caller numbers `offset`."""
        self.received, self._sent_end, self._shift = position, offset, position - offset
        self._arrived = now
        self._arrivals.clear()
        self._arrivals.append((position, now))
        self._joints.clear()
        self._joints.append((position, offset))

    def forgive(self, seconds: float, now: float) -> None:
        """Do not take it for a pause that nothing came for so long: nobody was listening."""
        self._arrived = min(self._arrived + seconds, now)

    @property
    def _waits(self) -> float:
        jitter = GAP_JITTER_SECONDS if self._leaves_gaps else STREAM_JITTER_SECONDS
        return self._longest_chunk + jitter

    def position(self, now: float) -> int:
        """Return the clock."""
        idle = now - self._arrived - self._waits
        return self.received + int(idle * self._rate + 1e-3) if idle > 0 else self.received

    def place(self, offset: int, count: int, now: float) -> int:
        """Return the position of `count` samples that the caller numbers from `offset` on."""
        position = self._join(offset, now)
        longest = self._longest_chunk if self._heard else 0.0
        self._longest_chunk, self._heard = max(longest, count / self._rate), True
        if position - offset != self._shift:
            self._joints.append((position, offset))
        self._sent_end, self._shift = offset + count, position - offset
        self.received = position + count
        self._arrived = now
        self._arrivals.append((self.received, now))
        return position

    def _join(self, offset: int, now: float) -> int:
        clock = self.position(now)
        if offset == self._sent_end:
            return max(clock, offset + self._shift)
        # Where a clock takes over, what is missing may have been heard by the one before.
        self._leaves_gaps = self._leaves_gaps or self._heard
        return max(clock, offset)

    def offset_at(self, position: int) -> int:
        """Return the caller's own number of the sample at a position, or of one before it."""
        behind: int | None = None
        for start, offset in reversed(self._joints):
            if start <= position:
                own = offset + position - start
                return own if behind is None else min(own, behind)
            behind = offset
        start, offset = self._joints[0]
        return max(0, offset + position - start)

    def time_of(self, position: int) -> float:
        """Return when the sample before `position` was spoken, as far as it can be told here."""
        found, at = self._arrivals[-1]
        for end, arrived in reversed(self._arrivals):
            if end < position:
                break
            found, at = end, arrived
        if position > found:
            return at + (position - found) / self._rate
        return at - (found - position) / self._rate
