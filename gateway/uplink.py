"""The caller's direction of a call: placed by the clock, heard, reported, sent in order."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from gateway import reports
from gateway.clock import CallerClock
from gateway.commands import Send
from gateway.hearing import Hearing, HearingCommand
from gateway.outbox import Outbox
from voicemesh.audio import Chunk

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.events import CallerSounded
    from gateway.vad import GateSettings, SpeechEvent

UplinkCommand: TypeAlias = Send | HearingCommand


class Uplink:
    """What one caller says and does, on its way to whichever session stands."""

    def __init__(self, rate: int, gate: GateSettings | None, now: float) -> None:
        self.linked = False
        """Whether a session stands."""
        self.outbox = Outbox(rate)
        self.clock = CallerClock(rate, now)
        self._rate = rate
        self._hearing = Hearing(rate, gate)
        self._last_report = -1
        self._said_until = 0
        self._chunk_ms = 0

    def take_up(self, offset: int, position: int, reflected: int, now: float) -> None:
        """Go on with a caller at a position; what is before `reflected` is in the journal."""
        self.clock.take_up(offset, position, now)
        self.outbox.committed = self.outbox.received = reflected
        self._said_until = reflected
        self._last_report = reflected - 1

    def told(self, now: float) -> int:
        """Return the offset before which the session was sent everything of the caller."""
        waiting = self.outbox.first_offset
        return self.clock.position(now) if waiting is None else waiting

    @property
    def speaking(self) -> bool:
        """Whether the caller speaks."""
        return self._hearing.speaking

    def sounded(self, event: CallerSounded, now: float) -> list[UplinkCommand]:
        """Take the caller's audio; while it is speech it is also kept for the session."""
        chunk = Chunk(self.clock.place(event.offset, event.samples.size, now), event.samples)
        if self._hearing.speaking:
            self._keep(chunk)
        return [*self._hearing.take(chunk)]

    @property
    def full(self) -> bool:
        """Whether as much audio waits as the next message carries."""
        return self.outbox.waiting >= self._chunk_ms * self._rate // 1000 and bool(self.outbox)

    def heard(self, end: int, probability: float) -> list[SpeechEvent]:
        """Take what voice activity says about a window."""
        return self._hearing.heard(end, probability)

    def settle(self) -> list[SpeechEvent]:
        """Return what follows from silence that was passed over before."""
        return self._hearing.settle()

    def advance(self, now: float, chunk_ms: int) -> list[UplinkCommand]:
        """Let time pass, and send what is due, in messages of `chunk_ms` where nobody waits."""
        self._chunk_ms = chunk_ms
        out: list[UplinkCommand] = []
        if self._hearing.speaking:
            out += self._hearing.advance(self.clock.position(now))
        return out + self.send() if self.outbox else out

    def report(self, kind: Callable[..., reports.Report], now: float, *facts: object) -> int:
        """Report something, as of now; return its offset."""
        self._last_report = max(self.clock.position(now) - 1, self._last_report + 1)
        self.outbox.add(kind(self._last_report, *facts))
        return self._last_report

    def begin_speech(self, start: int) -> None:
        """Have the audio of speech follow, from a little before it began."""
        for chunk in self._hearing.pre_roll(start, self._said_until):
            self._keep(chunk)

    def end_speech(self, end: int, now: float) -> None:
        """Report the end of speech; no audio from before it can follow."""
        self._said_until = self.report(reports.SpeechOver, now, end) + 1

    def connect(self, wanted: int) -> None:
        """Begin anew with a session that wants everything from this offset on."""
        self.linked = True
        self.outbox.rewind(wanted)

    def acknowledge(self, received: int, committed: int) -> list[UplinkCommand]:
        """Take an acknowledgement; more may be sent then."""
        self.outbox.acknowledge(received, committed)
        return self.send() if self.outbox else []

    def send(self) -> list[UplinkCommand]:
        """Send what is there, but let audio that nobody waits for grow first."""
        return self._take(self._chunk_ms)

    def send_all(self) -> list[UplinkCommand]:
        """Send what is there, as far as may be on the way."""
        return self._take(0)

    def _take(self, least_ms: int) -> list[UplinkCommand]:
        if not self.linked:
            return []
        return [Send(item) for item in self.outbox.take(least_ms * self._rate // 1000)]

    def _keep(self, chunk: Chunk) -> None:
        self.outbox.add(chunk)
        self._said_until = chunk.end
