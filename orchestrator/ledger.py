"""Where a conversation's parts write: the journal first, then what follows from it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from google.protobuf.timestamp_pb2 import Timestamp

from orchestrator.commands import Ack, Write
from voicemesh.api.journal.v1 import journal_pb2
from voicemesh.journal import remember

if TYPE_CHECKING:
    from orchestrator.commands import Command
    from voicemesh.journal import Memory


class Ledger:
    """The call's memory, the commands to come out, and the deadlines that are running."""

    def __init__(self, memory: Memory, wall_offset: float) -> None:
        """``wall_offset`` added to ``now`` gives Unix time, for the people who read journals."""
        self.memory = memory
        self._wall_offset = wall_offset
        self._out: list[Command] = []
        self._deadlines: dict[str, float] = {}
        self.now = 0.0
        self.received = memory.consumed_offset
        """Everything of the caller before this offset has arrived."""
        self._acked = (self.received, memory.consumed_offset)

    def emit(self, command: Command) -> None:
        """Have something done, after what was emitted before."""
        self._out.append(command)

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

    def acknowledge(self, step: int) -> None:
        """Acknowledge if ``step`` samples more were received, or anything more was committed."""
        received, committed = self._acked
        committed_now = min(self.memory.consumed_offset, self.received)
        if self.received - received >= step or committed_now > committed:
            self._acked = (self.received, committed_now)
            self.emit(Ack(*self._acked))

    def set_deadline(self, name: str, seconds: float) -> None:
        """Have ``name`` fall due in ``seconds``; an earlier setting is replaced."""
        self._deadlines[name] = self.now + seconds

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

    def due(self) -> list[str]:
        """Return the names that have fallen due, earliest first, and forget them."""
        names = sorted(
            (name for name, at in self._deadlines.items() if at <= self.now),
            key=self._deadlines.__getitem__,
        )
        self.clear_deadline(*names)
        return names
