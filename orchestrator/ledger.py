"""Where a conversation's parts write: the journal first, then what follows from it."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from google.protobuf.timestamp_pb2 import Timestamp

from orchestrator.commands import Ack, Write
from voicemesh.api.journal.v1 import journal_pb2
from voicemesh.compaction import compact, due
from voicemesh.journal import remember

if TYPE_CHECKING:
    from orchestrator.commands import Command
    from voicemesh.journal import Memory


class Ledger:
    """The call's memory, the commands to come out, and the deadlines that are running."""

    def __init__(self, memory: Memory, wall_offset: float, *, told: bool = False) -> None:
        """``wall_offset`` added to ``now`` gives Unix time, for the people who read journals.

        ``told``: whether the gateway says what it has kept.
        """
        self.memory = memory
        self._wall_offset = wall_offset
        self._told = told
        self._out: list[Command] = []
        self._waiting: deque[tuple[int, Command]] = deque()
        self._deadlines: dict[str, float] = {}
        self.now = 0.0
        self.secret = ""
        """Newest secret input. In no entry: who takes the call up does not know it."""
        self._received = self._committed = memory.consumed_offset
        self._acked = (self._received, self._committed)

    @property
    def received(self) -> int:
        """Everything of the caller before this offset has arrived."""
        return self._received

    def receive(self, offset: int) -> None:
        """Take note that everything of the caller before ``offset`` has arrived."""
        self._received = max(self._received, offset)

    def emit(self, command: Command) -> None:
        """Have something done, after what was emitted before."""
        self._out.append(command)

    def emit_when_kept(self, command: Command, next_sequence: int) -> None:
        """Have something done once the gateway has kept every entry before `next_sequence`.

        What nobody else could know of is not done: a replica that is cut off waits for ever.
        """
        if self._told:
            self._waiting.append((next_sequence, command))
        else:
            self.emit(command)

    def kept(self, next_sequence: int) -> None:
        """Take note that the gateway has every entry before this one."""
        while self._waiting and self._waiting[0][0] <= next_sequence:
            self.emit(self._waiting.popleft()[1])

    def take(self) -> list[Command]:
        """Return what is to be done, and forget it."""
        out, self._out = self._out, []
        return out

    def write(self, kind: str, event: Any, consumed_offset: int = 0) -> None:  # noqa: ANN401
        """Append an entry: ``kind`` names the field of ``event`` in the journal's oneof.

        ``consumed_offset``: everything of the caller before it is reflected now.
        """
        seconds = self.now + self._wall_offset
        entry = journal_pb2.Entry(
            sequence=self.memory.next_sequence,
            write_time=Timestamp(seconds=int(seconds), nanos=int(seconds % 1 * 1e9)),
            consumed_offset=max(self.memory.consumed_offset, consumed_offset),
        )
        getattr(entry, kind).CopyFrom(event)
        remember(self.memory, entry)
        self.emit(Write(entry))
        self.commit(entry.consumed_offset)

    def compact_if_due(self) -> None:
        """Put all that is remembered in one entry if the journal has become long.

        Turns, sentences and tools are other objects then: nobody may be at work on one.
        """
        if due(self.memory):
            self.write("compacted", compact(self.memory))

    def commit(self, offset: int) -> None:
        """Let the gateway forget what is before ``offset``: entries written before reflect it."""
        self._committed = max(self._committed, offset)

    def acknowledge(self) -> None:
        """Acknowledge what was received or committed since the last time."""
        # At once, not in steps: the gateway takes audio that stays un-received for a dead peer.
        acked = (self._received, min(self._committed, self._received))
        if acked != self._acked:
            self._acked = acked
            self.emit(Ack(*acked))

    def set_deadline(self, name: str, seconds: float) -> None:
        """Have ``name`` fall due in ``seconds``; an earlier setting is replaced."""
        self._deadlines[name] = self.now + seconds

    def set_deadline_at(self, name: str, due: float) -> None:
        """Have ``name`` fall due then; an earlier setting is replaced."""
        self._deadlines[name] = due

    def clear_deadline(self, *names: str) -> None:
        """Forget deadlines; those not set do not matter."""
        for name in names:
            self._deadlines.pop(name, None)

    def clear_all_deadlines(self) -> None:
        """Forget every deadline."""
        self._deadlines.clear()

    def has_deadline(self, name: str) -> bool:
        """Whether ``name`` is running."""
        return name in self._deadlines

    @property
    def next_deadline(self) -> float | None:
        """When the next deadline falls due, or None."""
        return min(self._deadlines.values(), default=None)

    def take_due(self) -> str | None:
        """Return the earliest name that has fallen due, and forget it; None if none has."""
        name = min(self._deadlines, key=self._deadlines.__getitem__, default=None)
        if name is None or self._deadlines[name] > self.now:
            return None
        del self._deadlines[name]
        return name
