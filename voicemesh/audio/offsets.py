"""Audio addressed by sample: what arrives twice, what is missing, what must be kept for a replay.

Each direction of a call numbers its samples from 0. A gap in the numbers is silence.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from voicemesh.errors import InvalidInput, OutOfOrder

if TYPE_CHECKING:
    from voicemesh.audio.format import Samples


@dataclass(frozen=True, slots=True, eq=False)
class Chunk:
    """A run of samples at its place in one direction of a call."""

    offset: int
    """Number of the first sample."""
    samples: Samples
    """The sound."""

    @property
    def end(self) -> int:
        """Number of the sample behind the last one."""
        return self.offset + self.samples.size

    def since(self, offset: int) -> Chunk:
        """Return the part from `offset` on; it shares memory with this one."""
        if offset <= self.offset:
            return self
        return Chunk(min(offset, self.end), self.samples[offset - self.offset :])


@dataclass(frozen=True, slots=True)
class Placement:
    """How a run of samples joins what came before."""

    gap: int
    """Samples of silence before it."""
    duplicates: int
    """Samples at its beginning that were there already."""


class Inbox:
    """Follows the offsets of one direction as they arrive.

    `strict` is for a caller, who must neither go back (OFFSET_WENT_BACK) nor jump ahead by more
    than `max_jump_seconds` (OFFSET_JUMPED). On a link inside the mesh both are legal: a replay
    repeats samples, and silence is left out however long it lasts.
    """

    def __init__(
        self,
        rate: int,
        *,
        strict: bool,
        next_offset: int = 0,
        max_jump_seconds: float = 60,
        field: str = "audio.offset",
    ) -> None:
        self.next_offset = next_offset
        """Number of the sample behind the last one that arrived."""
        self._strict = strict
        self._max_jump = int(max_jump_seconds * rate)
        self._field = field

    def place(self, offset: int, count: int) -> Placement:
        """Take note of `count` samples from `offset` on; raise InvalidInput where not allowed."""
        if offset < 0:
            raise InvalidInput(self._field, f"is {offset}, must be >= 0", limit=0)
        if self._strict:
            self._refuse(offset)
        duplicates = min(max(self.next_offset - offset, 0), count)
        gap = max(offset - self.next_offset, 0)
        self.next_offset = max(self.next_offset, offset + count)
        return Placement(gap, duplicates)

    def accept(self, chunk: Chunk) -> tuple[int, Chunk]:
        """Return the silent samples before the chunk, and what of it is new (maybe nothing)."""
        placement = self.place(chunk.offset, chunk.samples.size)
        return placement.gap, chunk.since(chunk.offset + placement.duplicates)

    def _refuse(self, offset: int) -> None:
        if offset < self.next_offset:
            raise InvalidInput(
                self._field,
                f"went back to {offset}; must be >= {self.next_offset}",
                reason="OFFSET_WENT_BACK",
                limit=self.next_offset,
            )
        limit = self.next_offset + self._max_jump
        if offset > limit:
            raise InvalidInput(
                self._field,
                f"jumped from {self.next_offset} to {offset}; must be <= {limit}",
                reason="OFFSET_JUMPED",
                limit=limit,
            )


class ReplayBuffer:
    """Keeps the sound of one direction until the other side has committed it.

    Chunks are kept as they came, never joined. Beyond `max_seconds` of sound (gaps are free) the
    oldest is dropped and counted.
    """

    def __init__(self, rate: int, max_seconds: float = 30) -> None:
        self.committed = 0
        """Everything before this offset was forgotten because it was committed."""
        self.end = 0
        """Offset behind the last sample appended."""
        self.held_samples = 0
        """Samples of sound held now."""
        self.dropped_samples = 0
        """Samples of sound dropped without having been committed."""
        self._limit = int(max_seconds * rate)
        self._chunks: deque[Chunk] = deque()

    def append(self, chunk: Chunk) -> None:
        """Keep a chunk, which must not begin before the end of the one before."""
        if chunk.offset < self.end:
            raise OutOfOrder("offset", f"is {chunk.offset}; must be >= {self.end}", limit=self.end)
        self.end = chunk.end
        new = chunk.since(self.committed)
        if new.samples.size:
            self._chunks.append(new)
            self.held_samples += new.samples.size
        excess = self.held_samples - self._limit
        if excess > 0:
            self._forget(excess)
            self.dropped_samples += excess

    def commit(self, offset: int) -> None:
        """Forget what lies before `offset`; an offset that was committed before does nothing."""
        self.committed = max(self.committed, offset)
        while self._chunks and self._chunks[0].offset < offset:
            self._forget(min(offset - self._chunks[0].offset, self._chunks[0].samples.size))

    def since(self, offset: int) -> list[Chunk]:
        """Return what is held from `offset` on, in order."""
        return [chunk.since(offset) for chunk in self._chunks if chunk.end > offset]

    def _forget(self, count: int) -> None:
        """Drop the oldest `count` samples."""
        self.held_samples -= count
        while count:
            oldest = self._chunks.popleft()
            if oldest.samples.size > count:
                self._chunks.appendleft(oldest.since(oldest.offset + count))
                return
            count -= oldest.samples.size
