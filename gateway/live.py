"""One live call: the sans-IO call with its leg, its link and its place on the floor."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from gateway import commands as do, events as on, metrics
from gateway.call import Call, Phase
from gateway.hearing import Feed, Skip
from gateway.hops import Hops
from gateway.reports import PlayoutReport
from gateway.vad import Window
from voicemesh import telemetry
from voicemesh.api.journal.v1 import turn_pb2
from voicemesh.errors import OutOfOrder, Superseded, VoicemeshError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.application import Application
    from gateway.call import CallSettings, Standing
    from gateway.convert import CallFacts
    from gateway.floor import Floor
    from gateway.legs.leg import Leg
    from gateway.link import Link
    from gateway.records import Records
    from gateway.reports import Report
    from gateway.resume import Past
    from gateway.resume_memory import CallMemory
    from gateway.taps import Tap
    from voicemesh.audio import Chunk

LEAVE_MARGIN_SECONDS = 2.0
"""So long before this gateway goes a caller is asked to leave even if there was no pause."""
LEG_SECONDS = 0.25
"""How often it is looked whether a leg is stuck."""

_log = telemetry.get_logger("call")


class LiveCall:
    """Carries out what a call wants. `attach` comes before anything else."""

    def __init__(
        self, call_id: str, settings: CallSettings, leg: Leg, floor: Floor, records: Records
    ) -> None:
        self.call_id = call_id
        self.incarnation = 0
        """How many gateways held the call before."""
        self.facts: CallFacts | None = None
        """What is known of it from its start."""
        self.start_time = time.time()
        """When it began here, Unix seconds."""
        self.taps: list[Tap] = []
        """Who follows it."""
        self.over = False
        """Whether nothing of it is left here."""
        self.hops = Hops()
        """Who took part in it."""
        self._wall_offset = settings.wall_offset
        self._call = Call(settings, floor.now())
        self._leg = leg
        self._floor = floor
        self._records = records
        self._link: Link | None = None
        self._slot = floor.join(self, settings.rate)
        self._memory: CallMemory | None = None
        self._digits = 0
        self._leave_by: float | None = None
        self._late = 0.0
        self._stays_until = 0.0
        self._given_at = self._look_at = floor.now()

    def hand_out(self, memory: CallMemory) -> None:
        """Give the caller what it needs to go on with another gateway; before all else."""
        self._memory = memory

    def take_up(self, past: Past) -> None:
        """Go on with a call that another gateway held; before `attach`."""
        self.incarnation = past.incarnation
        self._digits = past.digits
        self._call.take_up(past, self._floor.now())
        self._to_leg(do.Answer())

    def ask_to_leave(self, seconds: float) -> None:
        """Have the caller go on with another gateway at a pause, if it can."""
        now = self._floor.now()
        self._leave_by = now + max(0.0, seconds - LEAVE_MARGIN_SECONDS)
        self._stays_until = now + seconds

    def attach(self, link: Link) -> None:
        """Give the call its link, and begin to look for an orchestrator."""
        self._link = link
        link.open()

    @property
    def ended(self) -> bool:
        """Whether the call is over for its caller."""
        return self.over or self._call.phase is Phase.ENDED

    @property
    def now(self) -> float:
        """The call's time, seconds."""
        return self._floor.now()

    @property
    def answered(self) -> bool:
        """Whether caller and bot are connected."""
        return self._call.phase is Phase.LIVE

    @property
    def application(self) -> Application:
        """What an application did to it."""
        return self._call.application

    def apply(self, event: on.ApplicationWished | on.ApplicationEvent) -> None:
        """Do what an application wants; raise OutOfOrder where the call does not allow it."""
        self._handle(event)

    # For the link.

    def standing(self) -> Standing:
        return self._call.standing(self._floor.now())

    def next_sequence(self) -> int:
        return self._call.downlink.journal.next_sequence

    def linked(self, event: on.LinkEvent) -> None:
        if isinstance(event, on.LinkLost):
            metrics.SESSIONS_LOST.inc()
        if self._call.phase is Phase.ENDED:
            return
        taken_out = self._call.uplink.outbox.taken_out
        journal = self._call.downlink.journal
        known = len(journal.entries)
        try:
            self._handle(event)
        except VoicemeshError:
            raise
        except Exception as error:
            self.crash(error)
        if len(journal.entries) > known:
            for tap in self.taps:
                tap.wrote(journal.entries[known:], self._floor.now())
        if self._call.uplink.outbox.taken_out > taken_out:
            metrics.EVENTS_TAKEN_OUT.inc()
            _log.error("taken out what no orchestrator survives", call_id=self.call_id)

    # For the floor.

    def stood_still(self, seconds: float) -> None:
        """Take note that this process could hear nobody for so long."""
        self._call.uplink.clock.forgive(seconds, self._floor.now())
        self._late = seconds

    def take_in(self) -> None:
        """Take in what the caller did."""
        for event in self._leg.take():
            if self._call.phase is Phase.ENDED:
                return
            if type(event) is on.CallerSounded:
                self._handle(event)
                continue
            match event:
                case on.CallerMoved() if self._is_held_by_caller:
                    self._let_go()
                    return
                case on.CallerLeft(vanished=True) if self._is_held_by_caller:
                    self._let_go(vanished=True)
                    return
                case on.CallerMoved():
                    raise OutOfOrder("leave", "is for a caller who has resumed the call elsewhere")
                case on.CallerPressed():
                    self._digits += 1
            self._handle(event)

    def hear(self, window: Window) -> None:
        """Take what voice activity says."""
        if self._call.phase is not Phase.ENDED:
            self._handle(on.WindowHeard(window.end, window.probability))

    def tick(self, event: on.Ticked) -> None:
        """Let time pass."""
        link, now = self._link, self._floor.now()
        if self._call.phase is not Phase.ENDED:
            error = self._leg_error(now)
            if error is not None:
                self.fail(error)
            elif now >= self._call.due:
                self._handle(event)
        for tap in self.taps:
            tap.ticked(now)
        if link is not None and (self._late or now >= link.due):
            link.tick(self._call.at_pause, self._late)
        self._late = 0.0
        if self._memory is not None and self._call.phase is not Phase.ENDED:
            self._keep_caller_informed(self._memory)
        if self._call.phase is Phase.ENDED and (link is None or link.over):
            self._leave_floor()

    def _leg_error(self, now: float) -> VoicemeshError | None:
        if now < self._look_at:
            return None
        self._look_at = now + LEG_SECONDS
        return self._leg.stuck(now)

    def fail(self, error: VoicemeshError) -> None:
        """End the caller's side with an error; the orchestrator learns that the caller is gone."""
        self._give(do.Fail(error))
        if self._call.phase in (Phase.OPENING, Phase.LIVE):
            self._handle(on.CallerLeft(vanished=True))

    def supersede(self) -> None:
        """End the caller's side: somebody resumed the call over another stream."""
        self._give(do.Fail(Superseded("the call was resumed over another stream")))
        self.abandon()

    def crash(self, error: Exception) -> None:
        """End a call over a mistake of ours; whatever state it is in is not to be trusted."""
        _log.error("call crashed", call_id=self.call_id, exc_info=error)
        self._give(do.Fail(VoicemeshError(f"internal error: {type(error).__name__}")))
        self.abandon()

    def abandon(self) -> None:
        """Let go of everything at once; a caller who holds the call may go on with it elsewhere."""
        if not self.over and self._is_held_by_caller:
            for tap in self.taps:
                tap.gave(do.Release(), self._floor.now())
        if self._link is not None:
            self._link.close()
        self._leave_floor()

    def _leave_floor(self) -> None:
        if not self.over:
            self.over = True
            self._floor.leave(self._slot)
            for tap in self.taps:
                tap.over(self._floor.now())

    @property
    def _is_held_by_caller(self) -> bool:
        return self._memory is not None and self._memory.held

    def _let_go(self, *, vanished: bool = False) -> None:
        """Forget the call: the caller has all of it, and goes on with it elsewhere or nowhere."""
        _log.info("call let go", call_id=self.call_id, vanished=vanished)
        metrics.CALLS_ENDED.labels("let_go").inc()
        for command in self._call.let_go(self._floor.now()):
            if vanished and isinstance(command, do.End):
                # Whoever takes the call up writes the whole record, in place of this one.
                self._records.save(self.call_id, command, self._about())
                for tap in self.taps:
                    tap.gave(command, self._floor.now())
        self._give(do.Release())
        self.abandon()

    def _keep_caller_informed(self, memory: CallMemory) -> None:
        now = self._floor.now()
        news = memory.due(self._call, self._digits, self._given_at, now)
        if news is not None:
            self._give(news)
        if self._leave_by is None or not (self._call.at_rest or now >= self._leave_by):
            return
        self._leave_by = None
        if memory.held:
            self._carry_out(self._call.send_ahead(now))
            self._give(do.GoAway(max(0.0, self._stays_until - now)))

    def _handle(self, event: on.Event) -> None:
        self._carry_out(self._call.handle(event, self._floor.now()))

    def _carry_out(self, commands: Sequence[do.Command]) -> None:
        for command in commands:
            match command:
                case Feed(samples):
                    for tap in self.taps:
                        tap.heard(samples, self._floor.now())
                    self._floor.feed(self._slot, samples)
                case Skip(samples):
                    for window in self._floor.skip(self._slot, samples):
                        self.hear(window)
                case do.Send(message):
                    self._send(message)
                case _:
                    self._to_leg(command)

    def _send(self, message: Chunk | Report | PlayoutReport) -> None:
        if isinstance(message, PlayoutReport) and message.kept_sequence:
            self._hand_out_news()
        if self._link is not None:
            self._link.send(message)

    def _hand_out_news(self) -> None:
        # The entry before its effect: a caller who heard something can say so elsewhere.
        memory = self._memory
        if memory is not None and memory.grown(self._call):
            self._give(memory.add(self._call, self._digits, self._floor.now()))

    def _to_leg(self, command: do.LegCommand) -> None:
        memory = self._memory
        self._hand_out_news()
        self._give(command)
        match command:
            case do.Answer() if memory is not None:
                self._give(memory.begin(self._call, self._digits, self._floor.now()))
            case do.Tell(report):
                self._record(report)
            case do.End(reason):
                self._records.save(self.call_id, command, self._about())
                self._ended(reason)
            case do.Fail(error):
                self._ended(error.reason.lower())

    def _about(self) -> dict[str, object]:
        facts = self.facts
        if facts is None:
            return self.hops.as_record()
        whose = {"tenant": facts.tenant, "residency": facts.residency}
        return {**whose, **self.hops.as_record()}

    def _give(self, command: do.LegCommand) -> None:
        self._leg.give(command)
        self._given_at = self._floor.now()
        for tap in self.taps:
            tap.gave(command, self._floor.now())

    def _record(self, report: turn_pb2.TurnReport) -> None:
        stages = [
            (
                turn_pb2.Stage.Name(stage.stage).removeprefix("STAGE_").lower(),
                stage.duration.seconds + stage.duration.nanos / 1e9,
            )
            for stage in report.stages
        ]
        now = self._floor.now() + self._wall_offset
        telemetry.record_turn(self.call_id, report.turn, now, stages)

    def _ended(self, reason: str) -> None:
        dropped = self._call.uplink.outbox.dropped_samples
        refused = self._call.downlink.refused_samples
        metrics.CALLS_ENDED.labels(reason).inc()
        metrics.SAMPLES_DROPPED.inc(dropped)
        metrics.SAMPLES_REFUSED.inc(refused)
        _log.info("call ended", call_id=self.call_id, reason=reason, dropped=dropped)
        if self._link is not None and not self._link.leaving:
            self._link.close()
