"""One live call: the sans-IO call with its leg, its link and its place on the floor."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway import commands as do, events as on, metrics
from gateway.call import Call, Phase
from gateway.hearing import Feed, Skip
from gateway.vad import Window
from voicemesh import telemetry
from voicemesh.api.journal.v1 import turn_pb2
from voicemesh.errors import VoicemeshError

if TYPE_CHECKING:
    from gateway.call import CallSettings, Standing
    from gateway.floor import Floor
    from gateway.legs.leg import Leg
    from gateway.link import Link
    from gateway.records import Records

_log = telemetry.get_logger("call")


class LiveCall:
    """Carries out what a call wants. `attach` comes before anything else."""

    def __init__(
        self, call_id: str, settings: CallSettings, leg: Leg, floor: Floor, records: Records
    ) -> None:
        self.call_id = call_id
        self._wall_offset = settings.wall_offset
        self._call = Call(settings, floor.now())
        self._leg = leg
        self._floor = floor
        self._records = records
        self._link: Link | None = None
        self._slot = floor.join(self, settings.rate)

    def attach(self, link: Link) -> None:
        """Give the call its link, and begin to look for an orchestrator."""
        self._link = link
        link.open()

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
        try:
            self._handle(event)
        except VoicemeshError:
            raise
        except Exception as error:
            self.crash(error)
        if self._call.uplink.outbox.taken_out > taken_out:
            metrics.EVENTS_TAKEN_OUT.inc()
            _log.error("taken out what no orchestrator survives", call_id=self.call_id)

    # For the floor.

    def take_in(self) -> None:
        """Take in what the caller did."""
        for event in self._leg.take():
            if self._call.phase is Phase.ENDED:
                return
            self._handle(event)

    def hear(self, window: Window) -> None:
        """Take what voice activity says."""
        if self._call.phase is not Phase.ENDED:
            self._handle(on.WindowHeard(window.end, window.probability))

    def tick(self, event: on.Ticked) -> None:
        """Let time pass."""
        link = self._link
        if self._call.phase is not Phase.ENDED:
            error = self._leg.stuck(self._floor.now())
            if error is not None:
                self.fail(error)
            elif not self._call.idle:
                self._handle(event)
        if link is not None and not link.quiet:
            link.tick(self._call.at_pause)
        if self._call.phase is Phase.ENDED and (link is None or link.over):
            self._floor.leave(self._slot)

    def fail(self, error: VoicemeshError) -> None:
        """End the caller's side with an error; the orchestrator learns that the caller is gone."""
        self._leg.give(do.Fail(error))
        if self._call.phase in (Phase.OPENING, Phase.LIVE):
            self._handle(on.CallerLeft(vanished=True))

    def crash(self, error: Exception) -> None:
        """End a call over a mistake of ours; whatever state it is in is not to be trusted."""
        _log.error("call crashed", call_id=self.call_id, exc_info=error)
        self._leg.give(do.Fail(VoicemeshError(f"internal error: {type(error).__name__}")))
        self.abandon()

    def abandon(self) -> None:
        """Let go of everything at once."""
        if self._link is not None:
            self._link.close()
        self._floor.leave(self._slot)

    def _handle(self, event: on.Event) -> None:
        for command in self._call.handle(event, self._floor.now()):
            match command:
                case Feed(samples):
                    self._floor.feed(self._slot, samples)
                case Skip(samples):
                    for window in self._floor.skip(self._slot, samples):
                        self.hear(window)
                case do.Send(message):
                    if self._link is not None:
                        self._link.send(message)
                case _:
                    self._to_leg(command)

    def _to_leg(self, command: do.LegCommand) -> None:
        self._leg.give(command)
        match command:
            case do.Tell(report):
                self._record(report)
            case do.End(reason):
                self._records.save(self.call_id, command)
                self._ended(reason)
            case do.Fail(error):
                self._ended(error.reason.lower())

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
