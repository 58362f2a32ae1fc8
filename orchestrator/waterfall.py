"""Where the time of a turn goes, as far as the orchestrator can tell.

It measures from the arrival of the report that speech ended to the first audio it sends; the
gateway adds what lies before, behind and between.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from google.protobuf.duration_pb2 import Duration

from voicemesh.api.journal.v1 import turn_pb2


@dataclass(slots=True)
class _Stage:
    seconds: float
    engine_seconds: float
    engine: str


@dataclass(slots=True)
class Waterfall:
    """The stages of one turn, closed one after the other."""

    reported: float
    """When the end of speech was reported, seconds."""
    end_offset: int
    """Caller offset at which speech ended."""
    turn: int = 0
    caller_text: str = ""
    _stages: dict[turn_pb2.Stage.ValueType, _Stage] = field(default_factory=dict)
    _since: float = -1.0

    def close(
        self,
        stage: turn_pb2.Stage.ValueType,
        now: float,
        engine_seconds: float = 0.0,
        engine: str = "",
    ) -> None:
        """End a stage; a stage that already ended keeps its first end, as only that counts."""
        if stage in self._stages:
            return
        since = self.reported if self._since < 0 else self._since
        seconds = max(0.0, now - since)
        self._stages[stage] = _Stage(seconds, min(seconds, engine_seconds), engine)
        self._since = max(now, since)

    def extend(self, stage: turn_pb2.Stage.ValueType, now: float) -> None:
        """End a stage again, later: what lies between belongs to it too."""
        if stage in self._stages:
            self._stages[stage].seconds += max(0.0, now - self._since)
            self._since = max(now, self._since)
        else:
            self.close(stage, now)

    def has(self, stage: turn_pb2.Stage.ValueType) -> bool:
        """Whether the stage has ended."""
        return stage in self._stages

    def report(self, replica: str) -> turn_pb2.TurnReport:
        """Return the stages as the contract has them; the gateway completes them."""
        return turn_pb2.TurnReport(
            turn=self.turn,
            caller_text=self.caller_text,
            replica=replica,
            end_offset=self.end_offset,
            stages=[
                turn_pb2.StageTime(
                    stage=stage,
                    duration=_duration(part.seconds),
                    engine_duration=_duration(part.engine_seconds),
                    engine=part.engine,
                )
                for stage, part in self._stages.items()
            ],
        )


def _duration(seconds: float) -> Duration:
    nanos = round(seconds * 1e9)
    return Duration(seconds=nanos // 1_000_000_000, nanos=nanos % 1_000_000_000)
