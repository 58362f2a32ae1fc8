"""What becomes of a call while no orchestrator is there, and of one that none survives."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from gateway import reports
from gateway.outage import Outage, Verdict
from voicemesh.api.journal.v1 import journal_pb2

if TYPE_CHECKING:
    from gateway.downlink import Downlink, DownlinkCommand
    from gateway.holding import Lines
    from gateway.outbox import Item
    from gateway.uplink import Uplink

Commands: TypeAlias = "list[DownlinkCommand]"


class Bridge:
    """Bridges the outages of one call."""

    def __init__(self, lines: Lines, uplink: Uplink, downlink: Downlink) -> None:
        self._lines = lines
        self._uplink = uplink
        self._downlink = downlink
        self._outage = Outage()

    @property
    def needed(self) -> bool:
        """Whether there is an outage."""
        return bool(self._outage)

    def stands(self, now: float) -> None:
        """Take note of a new session; the outage is over when something comes of it."""
        self._outage.stands(now, self._downlink.journal.next_sequence)
        self._downlink.linked(now)

    def grew(self) -> None:
        """Take note that the session has written something."""
        self._outage.grew()

    def lasts(self, now: float) -> None:
        """Take note that there will be no session any more."""
        self._outage.lasts(now)

    def breaks(self, now: float, unix: float) -> Commands:
        """Take note that the session broke; take out of the call what may be the reason."""
        verdict = self._outage.breaks(now, self._downlink.journal.next_sequence)
        if verdict is Verdict.INNOCENT:
            return []
        reflected = self._downlink.last_entry.consumed_offset
        taken = self._uplink.outbox.take_out(reflected)
        if taken:
            self._write(taken, unix)
        elif verdict is Verdict.GUILTY and self._downlink.replying:
            # What kills them is in the journal: an answer that nobody lives to give.
            self._outage.lasts(now)
        judged = self._downlink.judged_offset
        if any(isinstance(each, reports.BargedIn) and each.offset > judged for each in taken):
            # Nobody will ever judge it.
            return self._downlink.play_on(now)
        return []

    def hold(self, now: float) -> Commands:
        """Tell the caller that it takes a moment, when nobody speaks and it is time for it."""
        self._outage.settle(now)
        line = self._lines.holding
        busy = self._uplink.speaking or not self._downlink.silent
        if busy or line is None or not self._outage.wants_line(now):
            return []
        self._outage.line_said(now)
        return self._downlink.say(line, now)

    def in_vain(self, now: float) -> bool:
        """Whether it is time to give up; whatever can still be heard is heard first."""
        speaking = self._uplink.speaking
        return self._downlink.silent and self._outage.too_long(now, speaking=speaking)

    def apologise(self, now: float) -> Commands:
        """Tell the caller that the bot cannot go on."""
        line = self._lines.apology
        return self._downlink.say(line, now) if line is not None else []

    def _write(self, taken: list[Item], unix: float) -> None:
        if not self._downlink.last_entry.WhichOneof("event"):
            # No journal, so no session that could go on from it: the next one begins anew.
            return
        first = taken[0]
        spoken = not isinstance(first, reports.Wished) or first.wish is reports.Wish.HEAR
        unheard = journal_pb2.CallerUnheard(
            turn=self._downlink.newest_turn + 1 if spoken else 0,
            start_offset=taken[0].offset,
            end_offset=reports.end_of(taken[-1]),
        )
        self._downlink.write(unix, unheard.end_offset, caller_unheard=unheard)
