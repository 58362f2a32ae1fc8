"""What a caller keeps, to go on with its call when the gateway dies: two bounded stores, no I/O.

`Memory` is what the gateway handed over, sealed. `Kept` is what the caller itself sent, until the
gateway says that it will not be wanted again.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from voicemesh.api.call.v1 import call_pb2

MAX_MEMORY_BYTES = 256 * 1024
"""A gateway hands over less; more is given up, and with it the chance to resume."""
MAX_KEPT_SECONDS = 30
MAX_KEPT_KEYS = 1000


class Memory:
    """The call's memory, in sealed segments that only gateways can read."""

    def __init__(self) -> None:
        self.segments: list[bytes] = []
        self.version = 0
        """Changes whenever the memory does."""
        self._bytes = 0

    def __bool__(self) -> bool:
        """Whether a call can be resumed with it."""
        return bool(self.segments)

    def take(self, segment: bytes, *, restarts: bool) -> None:
        """Keep a segment; one that restarts replaces all others."""
        if restarts:
            self.segments.clear()
            self._bytes = 0
        if segment:
            self.segments.append(segment)
            self._bytes += len(segment)
        if self._bytes > MAX_MEMORY_BYTES:
            self.segments.clear()
        self.version += bool(segment or restarts)


@dataclass(frozen=True, slots=True)
class _Item:
    message: call_pb2.ConverseRequest
    offset: int
    """Caller offset of its first sample, or at which the key was pressed."""
    count: int = 0
    """Samples; none for a key."""
    key: int | None = None
    """Number of the key within the call, from 0."""
    passing: bool = False
    """Whether it is of no use behind its offset."""


@dataclass(slots=True, eq=False)
class Reader:
    """Reads what is kept for one stream, from a place on."""

    wanted_offset: int = 0
    known_keys: int = 0
    stopped: bool = False
    """Whether the stream gets nothing more."""
    position: int = field(default=0, repr=False)


class Kept:
    """What was sent, oldest first; offsets are the caller's."""

    def __init__(self, rate: int) -> None:
        self.lost_samples = 0
        """Audio that was forgotten before the gateway allowed it."""
        self.closed = False
        """Whether nothing follows: the caller hung up."""
        self._limit = MAX_KEPT_SECONDS * rate
        self._items: deque[_Item] = deque()
        self._first = 0
        self._samples = 0
        self._keys = 0
        self._forgotten = 0

    @property
    def held_offset(self) -> int:
        """First sample that can be sent again."""
        return self._forgotten

    def audio(self, offset: int, count: int, message: call_pb2.ConverseRequest) -> None:
        """Keep a chunk of audio, behind all others."""
        self._items.append(_Item(message, offset, count))
        self._samples += count
        while self._samples > self._limit:
            self._drop(lost=True)

    def key(self, offset: int, message: call_pb2.ConverseRequest) -> None:
        """Keep a key, pressed before the sample at `offset`."""
        self._items.append(_Item(message, offset, key=self._keys))
        self._keys += 1
        while self._keys - self._first_key() > MAX_KEPT_KEYS:
            self._drop(lost=True)

    def state(self, offset: int, message: call_pb2.ConverseRequest) -> None:
        """Keep what holds from `offset` on; who resumes a call says it again."""
        self._items.append(_Item(message, offset, passing=True))

    def close(self, message: call_pb2.ConverseRequest) -> None:
        """Keep the caller's last message."""
        self._items.append(_Item(message, self._forgotten))
        self.closed = True

    def commit(self, offset: int, keys: int) -> None:
        """Forget the audio before `offset`, and the first `keys` keys of the call."""
        self._forgotten = max(self._forgotten, offset)
        while self._items and self._is_over(self._items[0], offset, keys):
            self._drop()

    def next(self, reader: Reader) -> call_pb2.ConverseRequest | None:
        """Return the next message for a stream; None if there is none now."""
        reader.position = max(reader.position, self._first)
        while reader.position - self._first < len(self._items):
            item = self._items[reader.position - self._first]
            reader.position += 1
            if not self._is_over(item, reader.wanted_offset, reader.known_keys):
                return _since(item, reader.wanted_offset)
        return None

    @staticmethod
    def _is_over(item: _Item, offset: int, keys: int) -> bool:
        if item.key is not None:
            return item.key < keys
        if item.passing:
            return item.offset < offset
        return 0 < item.count <= offset - item.offset

    def _first_key(self) -> int:
        return next((item.key for item in self._items if item.key is not None), self._keys)

    def _drop(self, *, lost: bool = False) -> None:
        item = self._items.popleft()
        self._first += 1
        self._samples -= item.count
        if lost:
            self.lost_samples += item.count
            self._forgotten = max(self._forgotten, item.offset + item.count)


def _since(item: _Item, offset: int) -> call_pb2.ConverseRequest:
    """Return an item's message without the samples before `offset`."""
    passed = offset - item.offset
    if passed <= 0 or not item.count:
        return item.message
    cut = call_pb2.ConverseRequest()
    cut.CopyFrom(item.message)
    cut.audio.offset = offset
    cut.audio.data = item.message.audio.data[passed * len(item.message.audio.data) // item.count :]
    return cut
