"""What a caller holds of its call: the memory in sealed segments, each with what is new.

A segment goes out before the audio and actions that its entries describe, so the caller never
knows less than it has heard. What it costs depends on what is new, not on how long the call is:
only when the segments have become long, and the journal was compacted since, are they replaced by
one that holds it all.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from google.protobuf.timestamp_pb2 import Timestamp

from gateway import metrics
from gateway.commands import Remember
from gateway.hops import Hops
from gateway.reports import DigitPressed
from gateway.resume import GRID_SECONDS, Place
from voicemesh import telemetry
from voicemesh.api.call.v1 import memory_pb2

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.call import Call
    from gateway.convert import CallFacts
    from gateway.resume import Past
    from voicemesh.api.call.v1 import call_pb2
    from voicemesh.journal import Entry
    from voicemesh.sealing import Sealer

LOOK_BACK_SECONDS = 0.6
"""Speech that is noticed now did not begin before this, nor does the sound that is sent with it."""
TOLD_SECONDS = 1.0
"""How often a caller learns what it need not hold any more while nothing else is new."""
HEARTBEAT_SECONDS = 0.2
"""How often it hears something at least, lest it take this gateway for dead."""
BEAT_MARGIN_SECONDS = 0.032
"""One tick: the next one may be too late."""
FRESH_SECONDS = 300.0
"""A memory to which nothing was added for so long is sealed again, lest it expire."""
LONG_BYTES = 96 * 1024
"""Segments longer than this in all are replaced, once that makes them shorter."""
MAX_BYTES = 192 * 1024
"""Longer ones are taken back: they would not fit into the message that brings them."""

_log = telemetry.get_logger("memory")


class CallMemory:
    """Follows one call and says what its caller is to hold; `now` in seconds."""

    def __init__(
        self,
        facts: memory_pb2.Facts,
        sealer: Sealer,
        rate: int,
        wall_offset: float,
        hops: Hops | None = None,
    ) -> None:
        """`wall_offset`: Unix time minus `now`."""
        self._hops = Hops() if hops is None else hops
        self._hops_told = 0
        self.held = False
        """Whether the caller has what it needs to go on elsewhere."""
        self._facts = facts
        self._sealer = sealer
        self._rate = rate
        self._wall_offset = wall_offset
        self._generation = b""
        self._number = 0
        self._bytes = 0
        self._first = self._next = 0
        self._lines = (0, False)
        self._done: set[str] = set()
        self._repeatable: set[str] = set()
        self._needed = 0
        self._told = 0
        self._told_at = self._sealed_at = 0.0
        self._withdrawn = False

    def grown(self, call: Call) -> bool:
        """Whether there is something that the caller has to hold before anything else happens."""
        if not self.held:
            return False
        downlink = call.downlink
        return (
            self._next != downlink.journal.next_sequence
            or self._hops_told != len(self._hops.all)
            or self._lines != (downlink.holding.said, downlink.holding.sounding)
            or bool(self._repeatable & downlink.actions.settled - self._done)
        )

    def begin(self, call: Call, digits: int, now: float) -> Remember:
        """Return the whole memory, for a caller who holds nothing that is of use."""
        return self._replace(call, digits, now)

    def add(self, call: Call, digits: int, now: float) -> Remember:
        """Return what is new."""
        if self._withdrawn:
            return self._take_back(call, digits, now)
        entries = call.downlink.journal.entries
        fresh = [*entries[self._index(entries, self._next) :]]
        remember = self._sealed(call, fresh, digits, now)
        if self._bytes > MAX_BYTES or self._is_long(call):
            return self._replace(call, digits, now)
        return remember

    def due(self, call: Call, digits: int, given_at: float, now: float) -> Remember | None:
        """Return what the caller should be told by now, if anything.

        `given_at`: when it was last given something else.
        """
        if not self.held:
            return None
        if self.grown(call) or now - self._sealed_at >= FRESH_SECONDS:
            return self.add(call, digits, now)
        silent = now - max(given_at, self._told_at) + BEAT_MARGIN_SECONDS >= HEARTBEAT_SECONDS
        if not silent and now - self._told_at < TOLD_SECONDS:
            return None
        told, self._told_at = self._told, now
        self._told = max(told, self._place(call, now).caller_offset)
        if not silent and self._told == told:
            return None
        return Remember(b"", False, self._told, self._digits(call, digits))

    def _replace(self, call: Call, digits: int, now: float) -> Remember:
        self._generation, self._number, self._bytes = os.urandom(8), 0, 0
        self._done.clear()
        self._hops_told = 0
        entries = call.downlink.journal.entries
        if sum(entry.ByteSize() for entry in entries) > LONG_BYTES:
            entries = call.downlink.journal.open_part
        self._first = entries[0].sequence if entries else 0
        remember = self._sealed(call, entries, digits, now)
        if self._bytes > MAX_BYTES:
            return self._take_back(call, digits, now)
        self.held = True
        return remember

    def _take_back(self, call: Call, digits: int, now: float) -> Remember:
        if not self._withdrawn:
            self._withdrawn = True
            metrics.MEMORIES_TOO_LONG.inc()
            _log.warning("call cannot be resumed any more", size=self._bytes, limit=MAX_BYTES)
        self.held = False
        place = self._place(call, now)
        return Remember(b"", True, place.caller_offset, self._digits(call, digits))

    def _sealed(self, call: Call, entries: Sequence[Entry], digits: int, now: float) -> Remember:
        self._note(entries)
        position = self._position(call, digits, now)
        done = self._repeatable & call.downlink.actions.settled - self._done
        segment = memory_pb2.Segment(
            number=self._number,
            generation=self._generation,
            seal_time=_timestamp(now + self._wall_offset),
            facts=None if self._number else self._facts,
            entries=entries,
            position=position,
            done_actions=sorted(done),
            hops=self._hops.all[self._hops_told :],
        )
        sealed = self._sealer.seal(segment.SerializeToString(), self._number)
        restarts = self._number == 0
        self._number += 1
        self._bytes += len(sealed)
        self._next = call.downlink.journal.next_sequence
        self._done |= done
        self._hops_told = len(self._hops.all)
        self._told, self._told_at, self._sealed_at = position.caller_offset, now, now
        metrics.SEALED_BYTES.inc(len(sealed))
        return Remember(sealed, restarts, position.caller_offset, position.digits)

    def _position(self, call: Call, digits: int, now: float) -> memory_pb2.Position:
        downlink, place = call.downlink, self._place(call, now)
        lines = downlink.holding
        self._lines = lines.said, lines.sounding
        return memory_pb2.Position(
            caller_offset=place.caller_offset,
            clock_offset=place.clock_offset,
            given_offset=downlink.playout.buffered + lines.said,
            digits=self._digits(call, digits),
            lines=lines.said,
            line_offset=downlink.playout.heard(now) if lines.sounding else None,
        )

    def _note(self, entries: Sequence[Entry]) -> None:
        for entry in entries:
            if entry.action_ordered.kind == "send_digits":
                self._repeatable.add(entry.action_ordered.key)

    def _is_long(self, call: Call) -> bool:
        """Whether the segments are long, and would be shorter if they were replaced."""
        if self._bytes <= LONG_BYTES:
            return False
        return call.downlink.journal.open_part[0].sequence > self._first

    def _place(self, call: Call, now: float) -> Place:
        """Return from where on the caller would be needed again."""
        uplink, entries = call.uplink, call.downlink.journal.entries
        reflected = max(uplink.outbox.committed, entries[-1].consumed_offset if entries else 0)
        if not uplink.speaking and uplink.outbox.settled:
            silent = uplink.clock.position(now) - int(LOOK_BACK_SECONDS * self._rate)
            reflected = max(reflected, silent)
        # Speech that began since did so behind what was silent then.
        self._needed = max(self._needed, reflected)
        own = uplink.clock.offset_at(self._needed)
        own -= own % int(GRID_SECONDS * self._rate)
        return Place(own, self._needed - (uplink.clock.offset_at(self._needed) - own))

    @staticmethod
    def _digits(call: Call, digits: int) -> int:
        return digits - call.uplink.outbox.count(DigitPressed)

    @staticmethod
    def _index(entries: Sequence[Entry], sequence: int) -> int:
        return sequence - entries[0].sequence if entries else 0


def _timestamp(unix: float) -> Timestamp:
    return Timestamp(seconds=int(unix), nanos=int(unix % 1 * 1e9))


def sealed_facts(
    facts: CallFacts, start: call_pb2.Start, unix: float, past: Past | None
) -> memory_pb2.Facts:
    """Return what never changes in a call, as it is sealed."""
    return memory_pb2.Facts(
        bot=facts.bot.name,
        caller_format=start.caller_format,
        bot_format=start.bot_format if start.HasField("bot_format") else start.caller_format,
        caller=facts.caller,
        callee=facts.callee,
        variables=facts.variables,
        start_time=past.facts.start_time if past else _timestamp(unix),
        incarnation=facts.incarnation,
        placed=facts.placed,
        residency=facts.residency,
        tenant=facts.tenant,
    )
