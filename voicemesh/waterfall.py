"""The waterfall of a turn: where the time between the caller's last word and the answer went."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from rich.console import Group
from rich.text import Text

from voicemesh.api.journal.v1 import turn_pb2
from voicemesh.errors import Misconfigured

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from google.protobuf.duration_pb2 import Duration
    from rich.console import RenderableType

WAITING = ("voice_activity", "endpoint", "tools")
"""Stages that wait for the caller to be done, or for somebody's tool; no mesh could be faster."""

COLOURS: Mapping[str, str] = {
    "voice_activity": "#bab0ac",
    "endpoint": "#9c9c9c",
    "transcript": "#4e79a7",
    "tools": "#9c755f",
    "first_token": "#f28e2b",
    "first_sentence": "#edc948",
    "first_audio": "#59a14f",
    "transport": "#e15759",
    "playout": "#b07aa1",
}
_OTHER_COLOUR = "#76b7b2"


def _seconds(duration: Duration) -> float:
    return duration.seconds + duration.nanos / 1e9


@dataclass(frozen=True, slots=True)
class StageTime:
    """The time of one stage."""

    name: str
    """Which stage, as in the contract, lower case."""
    seconds: float
    """How long it took."""
    engine_seconds: float = 0.0
    """How much of it an engine worked."""
    engine: str = ""
    """The engine that worked, if one did."""


@dataclass(frozen=True, slots=True)
class Waterfall:
    """One turn, from the end of the caller's speech to the first bot audio played."""

    turn: int
    """Number of the turn."""
    caller_text: str
    """What the caller said."""
    stages: tuple[StageTime, ...]
    """Stages in order, without a gap between them."""
    total: float
    """Seconds from the end of speech to the first audio played."""
    replica: str = ""
    """Replica of the orchestrator that conducted the turn."""
    end_offset: int = 0
    """Caller offset, at the mesh's rate, at which the caller's speech ended."""

    @classmethod
    def from_proto(cls, report: turn_pb2.TurnReport) -> Waterfall:
        """Return the turn that a report tells of."""
        stages = tuple(
            StageTime(
                _name(stage.stage),
                _seconds(stage.duration),
                _seconds(stage.engine_duration),
                stage.engine,
            )
            for stage in report.stages
        )
        total = _seconds(report.total)
        return cls(
            report.turn, report.caller_text, stages, total, report.replica, report.end_offset
        )

    @property
    def mesh_seconds(self) -> float:
        """Time that neither the caller's own silence nor an engine took."""
        return sum(
            max(stage.seconds - stage.engine_seconds, 0.0)
            for stage in self.stages
            if stage.name not in WAITING
        )

    @property
    def unexplained(self) -> float:
        """Seconds of the total that no stage accounts for; 0 if the parts sum to the whole."""
        return self.total - sum(stage.seconds for stage in self.stages)

    def as_json(self) -> dict[str, Any]:
        """Return the turn with every time in milliseconds."""
        return {
            "turn": self.turn,
            "caller_text": self.caller_text,
            "total_ms": _ms(self.total),
            "mesh_ms": _ms(self.mesh_seconds),
            "replica": self.replica,
            "stages": [
                {
                    "stage": stage.name,
                    "ms": _ms(stage.seconds),
                    "engine_ms": _ms(stage.engine_seconds),
                    "engine": stage.engine,
                }
                for stage in self.stages
            ],
        }


def _name(stage: turn_pb2.Stage.ValueType) -> str:
    try:
        return turn_pb2.Stage.Name(stage).removeprefix("STAGE_").lower()
    except ValueError:
        return f"stage_{stage}"


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 2)


def _cells(turn: Waterfall, width: int, longest: float) -> list[tuple[StageTime, int]]:
    """Share the bar among the stages; rounding edges, not lengths, keeps the sum right."""
    cells, elapsed, drawn = [], 0.0, 0
    for stage in turn.stages:
        elapsed += stage.seconds
        edge = round(elapsed / longest * width)
        cells.append((stage, edge - drawn))
        drawn = edge
    return cells


def bar(turn: Waterfall, *, width: int = 60, longest: float | None = None) -> Text:
    """Return one turn as a coloured bar; `longest` seconds fill the width."""
    text = Text()
    for stage, count in _cells(turn, width, max(longest or turn.total, 1e-9)):
        text.append("█" * count, style=COLOURS.get(stage.name, _OTHER_COLOUR))
    text.append(f" {_ms(turn.total):.0f} ms", style="bold")
    return text


def legend(turns: Iterable[Waterfall]) -> Text:
    """Return what the colours of these turns mean."""
    names = dict.fromkeys(stage.name for turn in turns for stage in turn.stages)
    text = Text()
    for name in names:
        text.append("█ ", style=COLOURS.get(name, _OTHER_COLOUR))
        text.append(name.replace("_", " ") + "  ", style="dim")
    return text


def bars(turns: Sequence[Waterfall], *, width: int = 60) -> RenderableType:
    """Return all turns of a call for a terminal, on one scale."""
    longest = max((turn.total for turn in turns), default=0.0)
    lines: list[RenderableType] = []
    for turn in turns:
        lines.append(Text(f"turn {turn.turn}  “{turn.caller_text}”", overflow="ellipsis"))
        lines.append(bar(turn, width=width, longest=longest))
    return Group(*lines, legend(turns))


def picture(turns: Sequence[Waterfall], path: Path) -> None:
    """Write all turns of a call as a picture; the file's ending chooses its kind."""
    try:
        figures = import_module("matplotlib.figure")
    except ModuleNotFoundError as error:
        raise Misconfigured(
            "a waterfall picture needs matplotlib: run `pip install 'voicemesh[report]'`",
            package="matplotlib",
        ) from error
    # A bare Figure, not pyplot, keeps no global state and needs no display.
    figure = figures.Figure(figsize=(11, 1.6 + 0.5 * len(turns)), layout="constrained")
    axes = figure.subplots()
    _draw(axes, turns)
    figure.savefig(path, dpi=150)


def _draw(axes: Any, turns: Sequence[Waterfall]) -> None:  # noqa: ANN401 - matplotlib is optional
    named: set[str] = set()
    for row, turn in enumerate(turns):
        left = 0.0
        for stage in turn.stages:
            label = "" if stage.name in named else stage.name.replace("_", " ")
            named.add(stage.name)
            colour = COLOURS.get(stage.name, _OTHER_COLOUR)
            axes.barh(row, _ms(stage.seconds), left=left, color=colour, label=label)
            left += _ms(stage.seconds)
        axes.text(left, row, f" {left:.0f} ms", va="center", fontsize=9)
    labels = [f"{turn.turn}: {_shortened(turn.caller_text)}" for turn in turns]
    axes.set_yticks(range(len(turns)), labels, fontsize=9)
    axes.invert_yaxis()
    axes.margins(x=0.1)
    axes.set_xlabel("milliseconds from the caller's last word to the bot's first")
    axes.spines[["top", "right"]].set_visible(False)
    if named:
        axes.legend(ncols=4, fontsize=8, frameon=False, loc="lower left", bbox_to_anchor=(0, 1))


def _shortened(text: str, length: int = 34) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"
