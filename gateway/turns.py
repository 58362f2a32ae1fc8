"""Where the time of each turn went: the orchestrator's stages, completed at the edge.

The orchestrator measures from the arrival of the report that speech ended to the first audio it
sends. Only the gateway knows when the caller really stopped, when that audio arrived and when it
went out; what lies between the two views is transport. The parts sum to the total exactly.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from google.protobuf.duration_pb2 import Duration

from voicemesh.api.journal.v1.turn_pb2 import (
    STAGE_PLAYOUT,
    STAGE_TRANSPORT,
    STAGE_VOICE_ACTIVITY,
    Stage,
    StageTime,
    TurnReport,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from voicemesh.journal import Entry

KEPT = 16
"""Ends of speech, turns and reports that are remembered."""
_SECOND = 1_000_000_000
_OURS = frozenset({STAGE_VOICE_ACTIVITY, STAGE_TRANSPORT, STAGE_PLAYOUT})


@dataclass(frozen=True, slots=True)
class _SpeechEnd:
    end_offset: int
    ended: float
    reported: float


@dataclass(slots=True)
class _FirstAudio:
    turn: int
    offset: int
    arrived: float
    played: float | None = None


class Turns:
    """Follows the turns of one call; times are seconds."""

    def __init__(self, time_of: Callable[[int], float]) -> None:
        """`time_of` tells when the caller spoke the sample before an offset."""
        self._time_of = time_of
        self._ends: deque[_SpeechEnd] = deque(maxlen=KEPT)
        self._planned: deque[tuple[int, int]] = deque()
        self._first: deque[_FirstAudio] = deque(maxlen=KEPT)
        self._reports: deque[TurnReport] = deque(maxlen=KEPT)

    @property
    def may_sound(self) -> bool:
        """Whether the journal has a sentence whose audio is not complete."""
        return bool(self._planned)

    def remember(self, entry: Entry) -> None:
        """Follow which sentence is sounding."""
        match entry.WhichOneof("event"):
            case "sentence_planned":
                planned = entry.sentence_planned
                self._planned.append((planned.sentence, planned.turn))
            case "sentence_finished":
                finished = entry.sentence_finished.sentence
                while self._planned and self._planned[0][0] <= finished:
                    self._planned.popleft()
            case "reply_interrupted":
                # Whatever of it was planned will not be said.
                turn = entry.reply_interrupted.turn
                self._planned = deque(each for each in self._planned if each[1] != turn)

    def speech_ended(self, end_offset: int, now: float) -> None:
        """Take note that the end of speech is being reported."""
        ended = min(self._time_of(end_offset), now)
        self._ends.append(_SpeechEnd(end_offset, ended, now))

    def audio_arrived(self, offset: int, now: float) -> None:
        """Take note that audio of the sentence that is sounding arrived."""
        turn = self._planned[0][1] if self._planned else 0
        if all(first.turn != turn for first in self._first):
            self._first.append(_FirstAudio(turn, offset, now))

    def played(self, offset: int, end: int, now: float) -> None:
        """Take note that a run of bot audio went out to the caller."""
        for first in self._first:
            if first.played is None and first.offset < end and offset <= first.offset:
                first.played = now

    def measured(self, report: TurnReport) -> None:
        """Keep what the orchestrator told until the rest is known."""
        self._reports.append(report)

    def complete(self) -> list[TurnReport]:
        """Return the reports for which everything is known, completed; each once."""
        done = []
        for report in list(self._reports):
            first = next((each for each in self._first if each.turn == report.turn), None)
            if first is not None and first.played is not None:
                self._reports.remove(report)
                done.append(_completed(report, self._end(report.end_offset), first))
        return done

    def _end(self, end_offset: int) -> _SpeechEnd:
        for end in self._ends:
            if end.end_offset == end_offset:
                return end
        # A turn that no speech began, a key for one.
        at = self._time_of(end_offset)
        return _SpeechEnd(end_offset, at, at)


def _completed(report: TurnReport, end: _SpeechEnd, first: _FirstAudio) -> TurnReport:
    # A reply may have been prepared, and even begun, before the end of speech was reported.
    arrived = max(first.arrived, end.reported)
    played = max(first.played or arrived, arrived)
    stages = [stage for stage in report.stages if stage.stage not in _OURS]
    times = [_nanos(stage.duration) for stage in stages]
    between = round((arrived - end.reported) * _SECOND)
    _shrink(times, sum(times) - between)
    before, behind = (
        round((end.reported - end.ended) * _SECOND),
        round((played - arrived) * _SECOND),
    )
    parts = [(STAGE_VOICE_ACTIVITY, before)]
    out = TurnReport()
    out.CopyFrom(report)
    del out.stages[:]
    out.stages.extend(_stage(*part) for part in parts)
    for stage, nanos in zip(stages, times, strict=True):
        copied = out.stages.add()
        copied.CopyFrom(stage)
        copied.duration.CopyFrom(_duration(nanos))
    out.stages.append(_stage(STAGE_TRANSPORT, between - sum(times)))
    out.stages.append(_stage(STAGE_PLAYOUT, behind))
    out.total.CopyFrom(_duration(before + between + behind))
    return out


def _shrink(times: list[int], excess: int) -> None:
    """Take what two clocks disagree by from the longest stages, so that none becomes negative."""
    while excess > 0 and any(times):
        longest = max(range(len(times)), key=times.__getitem__)
        taken = min(excess, times[longest])
        times[longest] -= taken
        excess -= taken


def _nanos(duration: Duration) -> int:
    return duration.seconds * _SECOND + duration.nanos


def _duration(nanos: int) -> Duration:
    return Duration(seconds=nanos // _SECOND, nanos=nanos % _SECOND)


def _stage(stage: Stage.ValueType, nanos: int) -> StageTime:
    return StageTime(stage=stage, duration=_duration(nanos))
