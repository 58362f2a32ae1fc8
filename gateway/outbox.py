"""What a caller said and did, in order, until the orchestrator has committed it.

Not every item is sent at once: no more than 500 ms of audio may be on the way un-received, and
audio is joined into larger messages where nobody waits for it. Nothing is forgotten before it was
committed, except for the oldest audio beyond 30 s, and that is counted.
"""

from __future__ import annotations

from collections import deque
from itertools import chain
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from gateway.reports import CallOver, Report, SpeechBegan, SpeechOver
from voicemesh.audio import Chunk

if TYPE_CHECKING:
    from collections.abc import Iterator

Item: TypeAlias = Chunk | Report

MAX_HELD_SECONDS = 30
MAX_IN_FLIGHT_SECONDS = 0.5
LEAST_PIECE_SECONDS = 0.02
"""A message is not cut smaller than this to fit what may be in flight."""


class Outbox:
    """Holds items in order; those before the cursor were sent, those behind it wait."""

    def __init__(self, rate: int) -> None:
        self.received = 0
        """Everything before this caller offset has arrived."""
        self.committed = 0
        """Everything before this caller offset was forgotten."""
        self.in_flight = 0
        """Samples of audio sent and not received."""
        self.dropped_samples = 0
        """Samples forgotten without having been committed."""
        self.taken_out = 0
        """Utterances and events that were taken out."""
        self._rate = rate
        self._window = int(MAX_IN_FLIGHT_SECONDS * rate)
        self._least_piece = int(LEAST_PIECE_SECONDS * rate)
        self._limit = MAX_HELD_SECONDS * rate
        self._held = 0
        self.waiting = 0
        """Samples of audio that wait to be sent."""
        self._sent: deque[Item] = deque()
        self._waiting: deque[Item] = deque()
        self._on_the_way: deque[tuple[int, int]] = deque()

    def __bool__(self) -> bool:
        """Whether anything waits to be sent."""
        return bool(self._waiting)

    @property
    def settled(self) -> bool:
        """Whether everything was sent and committed."""
        return not self._waiting and not self._sent

    @property
    def first_offset(self) -> int | None:
        """Offset of the first item that waits; None if none does."""
        return self._waiting[0].offset if self._waiting else None

    def count(self, kind: type[Item]) -> int:
        """Return how many items of a kind are not committed yet."""
        return sum(
            isinstance(item, kind) for items in (self._sent, self._waiting) for item in items
        )

    def add(self, item: Item) -> None:
        """Keep an item, behind all others."""
        self._waiting.append(item)
        if isinstance(item, Chunk):
            self._held += item.samples.size
            self.waiting += item.samples.size
            if self._held > self._limit:
                self._drop_oldest(self._held - self._limit)

    def take(self, least: int) -> Iterator[Item]:
        """Yield what is to be sent now; audio of fewer than `least` samples waits for more."""
        while self._waiting:
            if isinstance(self._waiting[0], Chunk):
                chunk = self._next_chunk(least)
                if chunk is None:
                    return
                self.in_flight += chunk.samples.size
                self.waiting -= chunk.samples.size
                self._on_the_way.append((chunk.end, chunk.samples.size))
                item: Item = chunk
            else:
                item = self._waiting.popleft()
            self._sent.append(item)
            yield item

    def acknowledge(self, received: int, committed: int) -> None:
        """Take note of what has arrived, and forget what was committed."""
        self.received = max(self.received, received)
        while self._on_the_way and self._on_the_way[0][0] <= self.received:
            self.in_flight -= self._on_the_way.popleft()[1]
        # Only what was sent can have been committed, whatever is claimed.
        if committed > self.committed:
            self.committed = committed
            _, self._sent = self._split(self._sent, committed)
            self._held = sum(_size(item) for items in (self._sent, self._waiting) for item in items)

    def rewind(self, wanted: int) -> None:
        """Begin anew from the offset that a new stream wants."""
        self._sent, again = self._split(self._sent, wanted)
        self._waiting = again + self._waiting
        self.waiting = sum(map(_size, self._waiting))
        self.received = wanted
        self.in_flight = 0
        self._on_the_way.clear()

    def take_out(self, reflected: int) -> list[Item]:
        """Take out the oldest utterance or event that is not before `reflected`; return its items.

        To be called while no session stands. What is before `reflected` is forgotten: it is in
        the journal. What follows on the end of a call is nobody's fault, and stays.
        """
        _, items = self._split(deque(chain(self._sent, self._waiting)), reflected)
        taken: list[Item] = []
        spoken = bool(items) and isinstance(items[0], Chunk | SpeechBegan)
        while items and not isinstance(items[0], CallOver):
            taken.append(items.popleft())
            if not spoken or isinstance(taken[-1], SpeechOver):
                break
        self.dropped_samples += sum(_size(item) for item in taken)
        self.taken_out += bool(taken)
        self._sent.clear()
        self._waiting = items
        self._held = self.waiting = sum(map(_size, items))
        return taken

    def _next_chunk(self, least: int) -> Chunk | None:
        """Take the next run of audio as one chunk; None where it has to wait."""
        room = min(self._window - self.in_flight, self._rate)
        size, complete = self._run(room)
        if size < least and not complete:
            return None
        if size > room:
            size = room if room >= self._least_piece else 0
        return self._cut(size) if size > 0 else None

    def _run(self, room: int) -> tuple[int, bool]:
        """Return the samples that follow each other without a gap, and whether that is all."""
        size, end = 0, None
        for item in self._waiting:
            if not isinstance(item, Chunk) or (end is not None and item.offset != end):
                return size, True
            size, end = size + item.samples.size, item.end
            if size >= room:
                return size, True
        return size, False

    def _cut(self, size: int) -> Chunk:
        """Take the first `size` samples off what waits; they are known to have no gap."""
        parts, offset = [], self._waiting[0].offset
        while size:
            chunk = self._waiting.popleft()
            assert isinstance(chunk, Chunk)  # noqa: S101 - as `_run` has seen
            if chunk.samples.size > size:
                self._waiting.appendleft(chunk.since(chunk.offset + size))
            parts.append(chunk.samples[:size])
            size -= parts[-1].size
        return Chunk(offset, parts[0] if len(parts) == 1 else np.concatenate(parts))

    @staticmethod
    def _split(items: deque[Item], offset: int) -> tuple[deque[Item], deque[Item]]:
        """Part items into those before `offset` and the others, each in order."""
        before: deque[Item] = deque()
        behind: deque[Item] = deque()
        for item in items:
            if not isinstance(item, Chunk):
                (before if item.offset < offset else behind).append(item)
                continue
            if item.offset < offset:
                before.append(Chunk(item.offset, item.samples[: offset - item.offset]))
            if item.end > offset:
                behind.append(item.since(offset))
        return before, behind

    def _drop_oldest(self, excess: int) -> None:
        self._held -= excess
        self.dropped_samples += excess
        for items in (self._sent, self._waiting):
            passed: deque[Item] = deque()
            while excess and items:
                item = items.popleft()
                if not isinstance(item, Chunk):
                    passed.append(item)
                elif item.samples.size > excess:
                    passed.append(item.since(item.offset + excess))
                    excess = 0
                else:
                    excess -= item.samples.size
            items.extendleft(reversed(passed))
        self.waiting = sum(map(_size, self._waiting))


def _size(item: Item) -> int:
    return item.samples.size if isinstance(item, Chunk) else 0
