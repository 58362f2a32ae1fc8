"""The bot's direction of a call: journalled, played, measured, and what it orders carried out."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, TypeAlias

from google.protobuf.timestamp_pb2 import Timestamp

from gateway.actions import Actions
from gateway.commands import Tell
from gateway.holding import Holding
from gateway.playout import Play, Playout, PlayoutCommand, PlayoutState
from gateway.turns import Turns
from voicemesh.errors import OutOfOrder, Refused
from voicemesh.journal import Entry, Journal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from gateway.events import ActionTold
    from gateway.resume import Past
    from voicemesh.api.journal.v1.turn_pb2 import TurnReport
    from voicemesh.audio import Chunk, Samples

PAUSE_SECONDS = 5.0
"""How long playout waits to be told what a barge-in was; then what was buffered is dropped."""
REPORT_SECONDS = 0.5
"""Between two reports of a playout that runs."""
CHANGE_SECONDS = 2.0
"""For so long a caller can hear the bot while no gateway sends anything."""

DownlinkCommand: TypeAlias = PlayoutCommand | Tell

_NUMBERED = frozenset({"caller_said", "digits_pressed", "reply_started", "caller_unheard"})
"""Entries that may begin a turn."""


class Downlink:
    """What the bot says and does; offsets are bot offsets."""

    def __init__(
        self, rate: int, time_of: Callable[[int], float], now: float, ahead: float = 0.0
    ) -> None:
        self.journal = Journal()
        self.playout = Playout(rate, ahead)
        self.holding = Holding(rate, ahead)
        self.turns = Turns(time_of)
        self.actions = Actions()
        self.replying = False
        """Whether the journal has a reply that is not complete."""
        self.newest_turn = 0
        """Number of the journal's newest turn."""
        self.judged_offset = -1
        """Caller offset of the newest barge-in that is in the journal."""
        self.refused_samples = 0
        """Audio that there was no room for."""
        self.on_hold = False
        """Whether the caller is to hear nothing of the bot for now."""
        self._paused_at: float | None = None
        self._shown = (PlayoutState.IDLE, now)
        self._told = (0, 0, False)

    def take_up(self, past: Past, now: float) -> None:
        """Go on with a journal, behind what the caller heard and what was done."""
        self.journal = Journal(past.entries)
        for entry in self.journal.entries:
            self._remember(entry)
        self.playout.take_up(past.bot_offset, past.arrived_offset, now)
        self.holding.said = past.lines
        self.actions.take_up(past.done_actions)

    def due(self, now: float) -> float:
        """Return when time alone may change something; infinity if never."""
        state, since = self._shown
        if self.holding.sounding or self.actions or state is not self.playout.state:
            return now
        match state:
            case PlayoutState.PLAYING:
                return min(self.playout.due, since + REPORT_SECONDS)
            case PlayoutState.PAUSED if self._paused_at is not None:
                return self._paused_at + PAUSE_SECONDS
        return math.inf

    @property
    def waits(self) -> bool:
        """Whether playout waits to be told what a barge-in was."""
        return self.playout.state is PlayoutState.PAUSED

    @property
    def silent(self) -> bool:
        """Whether the caller hears nothing."""
        return self.playout.state is not PlayoutState.PLAYING and not self.holding.sounding

    def write(self, unix: float, consumed: int = 0, **event: Any) -> None:  # noqa: ANN401
        """Keep an entry of the gateway's own, while no session stands that could write one."""
        entry = Entry(
            sequence=self.journal.next_sequence,
            write_time=Timestamp(seconds=int(unix), nanos=int(unix % 1 * 1e9)),
            consumed_offset=max(self.last_entry.consumed_offset, consumed),
            **event,
        )
        self.keep([entry])

    @property
    def last_entry(self) -> Entry:
        """The journal's newest entry; an empty one if there is none."""
        return self.journal.entries[-1] if self.journal.entries else Entry()

    def keep(self, entries: Iterable[Entry]) -> bool:
        """Keep entries, return whether any was new; raise OutOfOrder on a gap, and stop there."""
        grown = False
        for entry in entries:
            if self.journal.append(entry):
                self._remember(entry)
                grown = True
        return grown

    def _remember(self, entry: Entry) -> None:
        self.turns.remember(entry)
        self.actions.remember(entry)
        kind = entry.WhichOneof("event") or ""
        match kind:
            case "reply_started":
                self.replying = True
            case "reply_finished":
                self.replying = False
            case "reply_interrupted":
                self.replying = False
                self.judged_offset = entry.reply_interrupted.barge_in_offset
            case "compacted":
                for turn in entry.compacted.turns:
                    self.newest_turn = max(self.newest_turn, turn.turn)
        if kind in _NUMBERED:
            self.newest_turn = max(self.newest_turn, getattr(entry, kind).turn)

    def sounded(self, chunk: Chunk, now: float) -> list[DownlinkCommand]:
        """Take audio; raise OutOfOrder if the journal has no sentence that it could belong to."""
        if not self.turns.may_sound:
            raise OutOfOrder(
                "bot.audio", "belongs to no sentence in the journal", reason="NOT_JOURNALLED"
            )
        self.turns.audio_arrived(chunk.offset, now)
        try:
            return self._played(self.playout.add(chunk, now), now)
        except Refused:
            self.refused_samples += chunk.samples.size
            return []

    def send_ahead(self, now: float) -> list[DownlinkCommand]:
        """Hand out in advance what the caller is to hear while its call changes gateways."""
        self.playout.reach(CHANGE_SECONDS)
        return self._played(self.playout.tick(now), now)

    def tick(self, now: float, *, linked: bool) -> list[DownlinkCommand]:
        """Play on, and give up a pause that a session leaves unanswered."""
        if self.holding.sounding:
            return self.say_on(now)
        out = self._played(self.playout.tick(now), now)
        if linked and self._paused_at is not None and now - self._paused_at >= PAUSE_SECONDS:
            out += self.flush(self.playout.heard(now), self.playout.buffered, now)
        return out

    def say(self, line: Samples, now: float) -> list[DownlinkCommand]:
        """Say a line of the gateway's own; the bot waits for its end, if it has anything to say."""
        self.playout.hold()
        return [*self.holding.say(line, self.playout.heard(now), now)]

    def say_on(self, now: float) -> list[DownlinkCommand]:
        """Go on with a line; the bot goes on behind it."""
        out: list[DownlinkCommand] = [*self.holding.tick(now)]
        return out if self.holding.sounding else out + self._released(now)

    def hush(self, now: float) -> list[DownlinkCommand]:
        """Break a line off."""
        if not self.holding.sounding:
            return []
        out: list[DownlinkCommand] = [*self.holding.stop(now)]
        return out + self._released(now)

    def put_on_hold(self, now: float) -> list[DownlinkCommand]:
        """Let the caller hear nothing of the bot, which goes on where it was `take_off_hold`."""
        self.on_hold = True
        playing = self.playout.state is PlayoutState.PLAYING
        out: list[DownlinkCommand] = []
        if playing:
            out += self.holding.place(self.playout.pause(now))
        self.playout.hold()
        if playing:
            self.playout.resume(now)
        return out

    def take_off_hold(self, now: float) -> list[DownlinkCommand]:
        """Let the bot go on, behind a line that is being said."""
        self.on_hold = False
        return [] if self.holding.sounding else self._released(now)

    def _released(self, now: float) -> list[DownlinkCommand]:
        if self.on_hold:
            return []
        return self._played(self.playout.release(now), now)

    def linked(self, now: float) -> None:
        """Take note of a new session: what waits to be judged waits from now on."""
        self._told = (0, 0, False)
        if self._paused_at is not None:
            self._paused_at = now

    def interrupt(self, now: float) -> list[DownlinkCommand] | None:
        """Fall silent at once; None if there was nothing of the bot to hear."""
        if self.playout.state is not PlayoutState.PLAYING:
            return None
        self._paused_at = now
        return [*self.holding.place(self.playout.pause(now))]

    def flush(self, start: int, end: int, now: float) -> list[DownlinkCommand]:
        """Never say a range, nor do what waits for it."""
        self._paused_at = None
        self.actions.drop_behind(start)
        return self._played(self.playout.flush(start, end, now), now)

    def play_on(self, now: float) -> list[DownlinkCommand]:
        """Go on where an interruption stopped."""
        self._paused_at = None
        return self._played(self.playout.resume(now), now)

    def measured(self, report: TurnReport) -> list[DownlinkCommand]:
        """Take the orchestrator's part of a turn."""
        self.turns.measured(report)
        return self._complete()

    def due_actions(self, now: float) -> list[ActionTold]:
        """Return what is to be done now."""
        return self.actions.due(self.playout.heard(now)) if self.actions else []

    def news(self, now: float, *, anyway: bool = False) -> tuple[int, int, bool] | None:
        """Return what was played, what waits, and whether on hold, each time it should be told.

        `anyway`: as soon as the session has not been told of it.
        """
        state, since = self._shown
        playing = self.playout.state is PlayoutState.PLAYING
        due = state is not self.playout.state or (playing and now - since >= REPORT_SECONDS)
        due = due or self._told[2] is not self.on_hold
        news = self.playout.heard(now), self.playout.buffered, self.on_hold
        if not (due or (anyway and news != self._told)):
            return None
        self._shown, self._told = (self.playout.state, now), news
        return news

    def _played(self, commands: list[PlayoutCommand], now: float) -> list[DownlinkCommand]:
        out: list[DownlinkCommand] = [*self.holding.place(commands)]
        for command in commands:
            if isinstance(command, Play):
                self.turns.played(command.chunk.offset, command.chunk.end, now)
                out += self._complete()
        return out

    def _complete(self) -> list[DownlinkCommand]:
        return [Tell(report) for report in self.turns.complete()]
