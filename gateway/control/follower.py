"""Turns what passes through a call into events for applications: a tap."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from gateway import commands as do
from voicemesh.api.control.v1 import event_pb2
from voicemesh.errors import Superseded

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gateway.commands import LegCommand
    from gateway.convert import CallFacts
    from voicemesh.api.journal.v1.turn_pb2 import TurnReport
    from voicemesh.audio import Samples
    from voicemesh.journal import Entry

MAX_REPORTS = 1000
"""Turns whose waterfalls are told at the end of a call; the newest."""


class Follower:
    """Follows one call."""

    def __init__(
        self,
        facts: CallFacts,
        publish: Callable[[event_pb2.CallEvent], None],
        gone: Callable[[], None],
        wall: Callable[[], float] = time.time,
    ) -> None:
        """Tell ``publish`` the events in order, and ``gone`` when the call is not held any more.

        ``wall`` returns Unix seconds.
        """
        self._facts = facts
        self._publish = publish
        self._gone = gone
        self._wall = wall
        self._number = 0
        self._turn: event_pb2.Turn | None = None
        self._reports: list[TurnReport] = []
        self._problem = ""
        self._moved = False
        self._ended = False

    def heard(self, samples: Samples, now: float) -> None:
        """Do nothing: sound is no event."""

    def ticked(self, now: float) -> None:
        """Do nothing: time is no event."""

    def gave(self, command: LegCommand, now: float) -> None:
        match command:
            case do.Answer() if not self._facts.incarnation:
                facts = self._facts
                self.tell(
                    answered=event_pb2.Answered(
                        bot=facts.bot.name,
                        caller=facts.caller,
                        callee=facts.callee,
                        variables=facts.variables,
                    )
                )
            case do.Tell(report):
                self._reports = [*self._reports[1 - MAX_REPORTS :], report]
            case do.Transfer(target):
                self.tell(transferred=event_pb2.Transferred(target=target))
            case do.End(reason, entries, seconds):
                self._end(reason, seconds, entries)
            case do.Fail(Superseded()):
                self._moved = True
            case do.Fail(error):
                self._problem = error.reason.lower()
            case do.Release():
                self._moved = True

    def wrote(self, entries: Sequence[Entry], now: float) -> None:
        for entry in entries:
            self._entry(entry)

    def over(self, now: float) -> None:
        if not self._moved:
            self._end(self._problem or "failed", 0.0, ())
        self._gone()

    def tell(self, **event: object) -> None:
        """Publish an event, named as in its oneof."""
        if self._ended and "recording_ready" not in event:
            return
        self._number += 1
        unix = self._wall()
        facts = self._facts
        self._publish(
            event_pb2.CallEvent(
                event_id=f"{facts.call_id}-{facts.incarnation}-{self._number}",
                call_id=facts.call_id,
                event_time=Timestamp(seconds=int(unix), nanos=int(unix % 1 * 1e9)),
                **event,  # type: ignore[arg-type]
            )
        )

    def _entry(self, entry: Entry) -> None:
        match entry.WhichOneof("event"):
            case "caller_said" if entry.caller_said.turn:
                self._begin(entry.caller_said.turn, entry.caller_said.text)
            case "digits_pressed":
                pressed = entry.digits_pressed
                self._begin(pressed.turn, pressed.digits)
                self.tell(dtmf=event_pb2.Dtmf(digits=pressed.digits, turn=pressed.turn))
            case "reply_started":
                self._begin(entry.reply_started.turn, "")
            case "sentence_planned" if self._turn is not None:
                self._turn.bot_text = f"{self._turn.bot_text} {entry.sentence_planned.text}".strip()
            case "reply_interrupted":
                self._interrupted(entry.reply_interrupted.turn, entry.reply_interrupted.heard_text)

    def _begin(self, turn: int, text: str) -> None:
        if self._turn is None or self._turn.turn != turn:
            self._conclude()
            self._turn = event_pb2.Turn(turn=turn, caller_text=text)

    def _interrupted(self, turn: int, heard: str) -> None:
        if self._turn is not None and self._turn.turn == turn:
            self._turn.bot_text, self._turn.interrupted = heard, True
            self._conclude()

    def _conclude(self) -> None:
        """Tell a turn; only now it is known how much of the answer was heard."""
        turn, self._turn = self._turn, None
        if turn is not None:
            self.tell(turn=turn)

    def _end(self, reason: str, seconds: float, entries: Sequence[Entry]) -> None:
        if self._ended:
            return
        self._conclude()
        ended = event_pb2.Ended(
            reason=reason, duration=duration(seconds), journal=entries, turns=self._reports
        )
        self.tell(ended=ended)
        self._ended = True


def duration(seconds: float) -> Duration:
    """Return seconds as the contract has them."""
    nanos = round(seconds * 1e9)
    return Duration(seconds=nanos // 10**9, nanos=nanos % 10**9)
