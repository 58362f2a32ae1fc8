"""One call, from the caller's leg to the orchestrator's session: no I/O, no clock of its own.

What the caller says and does is put in order by the caller's clock and kept until the orchestrator
has committed it (`uplink`); what the bot says is paced out by the playout clock, and the journal is
kept for as long as the call lasts (`downlink`). While no session stands, all of that goes on.

Phases:

    OPENING ── session ──► LIVE ── caller left, action ──► ENDING ── bye, deadline ──► ENDED
       └──── no session to be had, bye ──┴───────────────────────────────────────────────┘
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import Enum
from typing import TYPE_CHECKING, Any, TypeAlias

from gateway import commands as do, events as on, reports
from gateway.application import Application
from gateway.bridge import Bridge
from gateway.downlink import Downlink
from gateway.holding import Lines
from gateway.uplink import Uplink
from gateway.vad import GateSettings, SpeechEvent, SpeechStarted
from voicemesh.api.journal.v1 import journal_pb2
from voicemesh.errors import OutOfOrder, Superseded
from voicemesh.journal import Entry

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from gateway.resume import Past

Commands: TypeAlias = list[do.Command]

SPEECH_SECONDS = 0.06
"""How often it is looked whether a caller who speaks is still sending."""
BYE_SECONDS = 2.0
"""How long the orchestrator may take to journal the end of a call."""


class Phase(Enum):
    """How far a call has come."""

    # Each event is looked up by it, and an Enum's own is written in Python.
    __hash__ = object.__hash__

    OPENING = "opening"
    """No session has stood yet; the caller is heard already."""
    LIVE = "live"
    ENDING = "ending"
    """The orchestrator is to journal the end."""
    ENDED = "ended"


@dataclass(frozen=True, slots=True, kw_only=True)
class CallSettings:
    """What differs from call to call."""

    rate: int
    """Samples per second: 8000 or 16000."""
    ahead: float = 0.0
    """Seconds by which more of the bot's audio than usual is sent ahead."""
    barge_in: bool = True
    """Whether the bot falls silent when the caller speaks."""
    fallback_target: str = ""
    """Where the call goes when no orchestrator is left; empty ends it."""
    lines: Lines = field(default_factory=Lines)
    """What the caller hears from the gateway itself while there is none."""
    gate: GateSettings | None = None
    """When speech begins and ends."""
    wall_offset: float = 0.0
    """Unix time minus `now`, for the people who read the journal."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What a session is opened with."""

    entries: Sequence[Entry]
    """What a session needs of the journal: from its newest compaction on."""
    next_sequence: int
    caller_offset: int
    buffered_offset: int
    played_offset: int


class Call:
    """One call. Methods take `now` in seconds and return what is to be done, in order."""

    def __init__(self, settings: CallSettings, now: float) -> None:
        self.phase = Phase.OPENING
        self.uplink = Uplink(settings.rate, settings.gate, now)
        self.downlink = Downlink(settings.rate, self.uplink.clock.time_of, now, settings.ahead)
        self.application = Application(self.uplink, self.downlink)
        self.due = now
        """When it is to be told of the time next; infinity if time alone changes nothing."""
        self._settings = settings
        self._started = now
        self._answered = False
        self._replaying = False
        self._bridge = Bridge(settings.lines, self.uplink, self.downlink)
        self._deadline = 0.0
        self._fallen_back = False
        self._said_bye = False
        self._reason = ""

    def take_up(self, past: Past, now: float) -> None:
        """Go on with a call that another gateway held; for one that has not begun."""
        self.phase, self._answered = Phase.LIVE, True
        self._started = now - past.seconds
        place = past.place
        self.uplink.take_up(place.caller_offset, place.clock_offset, past.reflected_offset, now)
        self.downlink.take_up(past, now)
        self._bridge.breaks(now, now + self._settings.wall_offset)

    def send_ahead(self, now: float) -> Commands:
        """Have the caller hear the bot while it changes gateways."""
        return self._played(self.downlink.send_ahead(now), now)

    def let_go(self, now: float) -> Commands:
        """End a call that its caller holds, and may go on with elsewhere; tell nobody."""
        self._reason = self._reason or "caller_vanished"
        return self._finish(now)

    @property
    def at_pause(self) -> bool:
        """Whether nothing is under way that a change of orchestrators could disturb."""
        downlink = self.downlink
        # A sentence that has begun is begun again by whoever goes on: what is missing comes later.
        busy = self.uplink.speaking or downlink.replying or downlink.turns.may_sound
        return not busy and self.uplink.outbox.settled

    @property
    def at_rest(self) -> bool:
        """Whether the call could change gateways without a sound."""
        downlink = self.downlink
        settled = not (downlink.actions or downlink.holding.sounding or downlink.waits)
        return self.at_pause and settled and self.uplink.linked

    def standing(self, now: float) -> Standing:
        """Return what a session is opened with now."""
        heard = self.downlink.playout.heard(now)
        return Standing(
            tuple(self.downlink.journal.open_part),
            self.downlink.journal.next_sequence,
            self.uplink.clock.position(now),
            self.downlink.playout.buffered,
            heard,
        )

    def handle(self, event: on.Event, now: float) -> Commands:
        """Take an event; raise OutOfOrder where the phase or the contract does not allow it."""
        handler = _TABLE.get((self.phase, type(event)))
        if handler is None:
            raise OutOfOrder(
                type(event).__name__, f"is not allowed while the call is {self.phase.value}"
            )
        if type(event) not in _UNHURRIED:
            self.due = now
        return handler(self, event, now)

    # The caller.

    def _sounded(self, event: on.CallerSounded, now: float) -> Commands:
        out = self.uplink.sounded(self.application.let_through(event), now)
        if self.uplink.full:
            self.due = now
        return [*out]

    def _heard(self, event: on.WindowHeard, now: float) -> Commands:
        return self._speech(self.uplink.heard(event.end, event.probability), now)

    def _speech(self, events: list[SpeechEvent], now: float) -> Commands:
        if not events:
            return []
        out: Commands = []
        self.due = now
        for event in events:
            if isinstance(event, SpeechStarted):
                out += self._speech_began(event.offset, now)
            else:
                self.uplink.end_speech(event.offset, now)
                self.downlink.turns.speech_ended(event.offset, now)
            out += self.uplink.send_all()
        return out

    def _speech_began(self, start: int, now: float) -> Commands:
        hushed = self.downlink.hush(now)
        stopped = self.downlink.interrupt(now) if self._settings.barge_in else None
        self.uplink.report(reports.SpeechBegan, now, start)
        if stopped is not None:
            self.uplink.report(reports.BargedIn, now, self.downlink.playout.heard(now))
        self.uplink.begin_speech(start)
        out = [*hushed, *(stopped or []), *self.uplink.send_all()]
        return [*out, *self._show_playout(now)]

    def _pressed(self, event: on.CallerPressed, now: float) -> Commands:
        self.uplink.report(reports.DigitPressed, now, event.digit)
        return [*self.uplink.send_all()]

    def _wished(self, event: on.ApplicationWished, now: float) -> Commands:
        self.uplink.report(reports.Wished, now, event.key, event.wish, event.argument)
        return [*self.uplink.send_all()]

    def _lagged(self, event: on.PlaybackLagged, _now: float) -> Commands:
        self.downlink.playout.lag(event.seconds)
        return []

    def _applied(self, event: on.ApplicationEvent, now: float) -> Commands:
        return [*self.application.handle(event, now), *self._show_playout(now)]

    def _left(self, event: on.CallerLeft, now: float) -> Commands:
        return self._end("caller_vanished" if event.vanished else "caller_hung_up", now)

    # Time.

    def _ticked(self, event: on.Ticked, now: float) -> Commands:
        out = self._speech(self.uplink.settle(), now)
        sent = self.uplink.advance(now, event.chunk_ms)
        out += sent
        out += self._played(self.downlink.tick(now, linked=self.uplink.linked), now)
        out += self._act(now)
        out += self.application.tick(now) if self.phase is Phase.LIVE else []
        self.due = now if sent else self._next_due(now)
        if not self._bridge.needed or self.phase is not Phase.LIVE:
            return out
        in_vain = self._bridge.in_vain(now)
        return out + (self._fall_back(now) if in_vain else [*self._bridge.hold(now)])

    def _next_due(self, now: float) -> float:
        uplink = self.uplink
        if self.phase is not Phase.LIVE or self._bridge.needed or not uplink.linked:
            return now
        if uplink.speaking:
            return min(self.downlink.due(now), now + SPEECH_SECONDS)
        return now if uplink.outbox or self.application.waiting else self.downlink.due(now)

    def _ticked_ending(self, _event: on.Ticked, now: float) -> Commands:
        out: Commands = [*self.downlink.say_on(now)] if self._apologising else []
        out += self.uplink.send_all()
        over = self._said_bye or now >= self._deadline
        return out + self._finish(now) if over and not self._apologising else out

    # The session.

    def _link_ready(self, event: on.LinkReady, now: float) -> Commands:
        self._bridge.stands(now)
        self.uplink.connect(event.wanted_offset)
        self._replaying = bool(self.uplink.outbox)
        out: Commands = [] if self._answered else [do.Answer()]
        self._answered = True
        if self.phase is Phase.OPENING:
            self.phase = Phase.LIVE
        told = [*self._tell_new_session(now), *self.uplink.send_all()]
        return [*out, *told, *self._say_where_caller_is(now)]

    def _say_where_caller_is(self, now: float) -> Commands:
        """Once everything was replayed: the silence behind it is not, and has lasted a while."""
        if not self._replaying or self.uplink.outbox or self.phase is not Phase.LIVE:
            return []
        self._replaying = False
        playout, hold = self.downlink.playout, self.downlink.on_hold
        news = playout.heard(now), playout.buffered, hold
        return [do.Send(self._playout_report(news, now))]

    def _tell_new_session(self, now: float) -> Commands:
        # It was opened a while ago, and the bot has been heard further since. What is replayed,
        # a hang-up for one, is judged by that.
        news = self.downlink.news(now, anyway=True)
        return [do.Send(self._playout_report(news, now))] if news else []

    def _link_lost(self, _event: on.LinkLost, now: float) -> Commands:
        self.uplink.linked = False
        return [*self._bridge.breaks(now, now + self._settings.wall_offset)]

    def _link_failed(self, event: on.LinkFailed, now: float) -> Commands:
        self.uplink.linked = False
        if self.phase is Phase.ENDING:
            return self._bye_said(on.ByeSaid(), now)
        if self.phase is Phase.LIVE and not isinstance(event.error, Superseded):
            # What the bot has said so far is heard to the end first.
            self._bridge.lasts(now)
            return []
        self.phase = Phase.ENDED
        return [do.Fail(event.error)]

    def _entries_came(self, event: on.EntriesCame, now: float) -> Commands:
        if self.downlink.keep(event.entries):
            self._bridge.grew()
        if any(entry.HasField("tool_intended") for entry in event.entries):
            return self._tell_kept(now)
        return []

    def _tell_kept(self, now: float) -> Commands:
        """Let the tool be called: whoever conducts the call next knows of it."""
        playout, kept = self.downlink.playout, self.downlink.journal.next_sequence
        sent = [*self.uplink.send_all()]
        heard, told, hold = playout.heard(now), self.uplink.told(now), self.downlink.on_hold
        report = reports.PlayoutReport(told, heard, playout.buffered, kept, hold)
        return [*sent, do.Send(report)]

    def _acknowledged(self, event: on.Acknowledged, now: float) -> Commands:
        sent = self.uplink.acknowledge(event.received, event.committed)
        return [*sent, *self._say_where_caller_is(now)]

    def _bot_sounded(self, event: on.BotSounded, now: float) -> Commands:
        return self._played(self.downlink.sounded(event.chunk, now), now)

    def _flush_told(self, event: on.FlushTold, now: float) -> Commands:
        return self._played(self.downlink.flush(event.start, event.end, now), now)

    def _play_on(self, _event: on.PlayOnTold, now: float) -> Commands:
        return self._played(self.downlink.play_on(now), now)

    def _turn_measured(self, event: on.TurnMeasured, _now: float) -> Commands:
        return [*self.downlink.measured(event.report)]

    def _words_came(self, event: on.WordsCame, _now: float) -> Commands:
        said = self.downlink.holding.said
        place = event.start_offset + said if event.bot else event.start_offset
        return [do.Show(replace(event, start_offset=place) if event.bot and said else event)]

    def _action_told(self, event: on.ActionTold, now: float) -> Commands:
        self.downlink.actions.add(event)
        return self._act(now)

    def _bye_said(self, _event: on.ByeSaid, now: float) -> Commands:
        self._said_bye = True
        return [] if self._apologising else self._finish(now)

    @property
    def _apologising(self) -> bool:
        """Whether an apology is to be heard to its end."""
        return self._fallen_back and self.downlink.holding.sounding

    # Playout, actions and the end.

    def _played(self, commands: Sequence[do.Command], now: float) -> Commands:
        return [*commands, *self._show_playout(now)]

    def _show_playout(self, now: float, *, anyway: bool = False) -> Commands:
        news = self.downlink.news(now, anyway=anyway) if self.uplink.linked else None
        if news is None:
            return []
        # Behind the audio that lies before it.
        sent = [*self.uplink.send_all()]
        return [*sent, do.Send(self._playout_report(news, now))]

    def _playout_report(self, news: tuple[int, int, bool], now: float) -> reports.PlayoutReport:
        heard, held, on_hold = news
        return reports.PlayoutReport(self.uplink.told(now), heard, held, on_hold=on_hold)

    def _act(self, now: float) -> Commands:
        out: Commands = []
        for action in self.downlink.due_actions(now):
            match action:
                case on.HangUpTold():
                    return out + self._end("bot_hung_up", now)
                case on.TransferTold(target=target):
                    return [*out, do.Transfer(target), *self._end("transferred", now)]
                case on.DigitsTold(digits=digits):
                    out.append(do.SendDigits(digits))
        return out

    def _fall_back(self, now: float) -> Commands:
        """Give up a call that no orchestrator conducts any more, as its bot's file says."""
        self._fallen_back = True
        out = self._end("failed", now)
        # Should one come back during the apology, it writes the end; nobody waits for it.
        self._deadline = now
        return [*out, *self._bridge.apologise(now)]

    def _end(self, reason: str, now: float) -> Commands:
        # How much was heard of the bot's last words, and whether it was all of them.
        out = self._show_playout(now, anyway=True)
        self.phase, self._reason = Phase.ENDING, reason
        self._deadline = now + BYE_SECONDS
        self.uplink.report(reports.CallOver, now, reason)
        return [*out, *self.uplink.send_all()]

    def _finish(self, now: float) -> Commands:
        self.phase = Phase.ENDED
        journal, last = self.downlink.journal, self.downlink.last_entry
        if last.HasField("call_ended"):
            self._reason = self._reason or last.call_ended.reason
        self._reason = self._reason or "failed"
        if journal.entries and not last.HasField("call_ended"):
            # No orchestrator was left to write it.
            ended = journal_pb2.CallEnded(reason=self._reason)
            self.downlink.write(now + self._settings.wall_offset, call_ended=ended)
        end = do.End(self._reason, tuple(journal.entries), now - self._started)
        target = self._settings.fallback_target if self._fallen_back else ""
        return [do.Transfer(target), end] if target else [end]

    def _ignore(self, _event: on.Event, _now: float) -> Commands:
        return []


_Handler: TypeAlias = "Callable[[Call, Any, float], Commands]"

# What each event does while the call is live; what it does before and after follows from that.
_LIVE: Mapping[type, _Handler] = {
    on.CallerSounded: Call._sounded,
    on.CallerPressed: Call._pressed,
    on.PlaybackLagged: Call._lagged,
    on.CallerLeft: Call._left,
    on.WindowHeard: Call._heard,
    on.ApplicationWished: Call._wished,
    on.MuteSet: Call._applied,
    on.HoldSet: Call._applied,
    on.SoundGiven: Call._applied,
    on.DigitsGiven: Call._applied,
    on.Ticked: Call._ticked,
    on.LinkReady: Call._link_ready,
    on.LinkLost: Call._link_lost,
    on.LinkFailed: Call._link_failed,
    on.EntriesCame: Call._entries_came,
    on.Acknowledged: Call._acknowledged,
    on.BotSounded: Call._bot_sounded,
    on.FlushTold: Call._flush_told,
    on.PlayOnTold: Call._play_on,
    on.TurnMeasured: Call._turn_measured,
    on.WordsCame: Call._words_came,
    on.HangUpTold: Call._action_told,
    on.TransferTold: Call._action_told,
    on.DigitsTold: Call._action_told,
    on.ByeSaid: Call._bye_said,
}
_OF_A_SESSION = frozenset(_LIVE) - {
    on.CallerSounded,
    on.CallerPressed,
    on.PlaybackLagged,
    on.CallerLeft,
    on.WindowHeard,
    on.ApplicationWished,
    on.MuteSet,
    on.HoldSet,
    on.Ticked,
    on.LinkReady,
    on.LinkFailed,
}
# What leads to nothing that only a tick would do; where it may, the handler says so.
_UNHURRIED = frozenset(
    {
        on.CallerSounded,
        on.WindowHeard,
        on.PlaybackLagged,
        on.Acknowledged,
        on.EntriesCame,
        on.WordsCame,
        on.TurnMeasured,
        on.Ticked,
    }
)
# The session goes on until the end is journalled; for everything else it is too late by then.
_STILL = (
    on.LinkReady,
    on.LinkLost,
    on.LinkFailed,
    on.EntriesCame,
    on.Acknowledged,
    on.ByeSaid,
)
_PHASES: Mapping[Phase, Mapping[type, _Handler]] = {
    Phase.OPENING: {kind: _LIVE[kind] for kind in _LIVE if kind not in _OF_A_SESSION},
    Phase.LIVE: _LIVE,
    Phase.ENDING: {
        **{kind: _LIVE[kind] if kind in _STILL else Call._ignore for kind in _LIVE},
        on.Ticked: Call._ticked_ending,
    },
    Phase.ENDED: {},
}
# (phase, event) -> what to do. Whatever is not in here is refused.
_TABLE: Mapping[tuple[Phase, type], _Handler] = {
    (phase, kind): handler
    for phase, handlers in _PHASES.items()
    for kind, handler in handlers.items()
}
