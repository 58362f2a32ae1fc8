"""What was simulated, as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.table import Table
from rich.text import Text

from voicemesh.simulation.check import WITHIN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

    from voicemesh.simulation.check import Line
    from voicemesh.simulation.samples import Point, Result

_ROWS = 9
"""About so many times are shown."""


def tables(result: Result, notes: Sequence[str] = ()) -> RenderableType:
    """Return every region over time, and the sums."""
    parts: list[RenderableType] = [_over_time(result)]
    parts.append(_sums(result))
    parts += [Text(note, style="yellow") for note in notes]
    return Group(*parts)


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        words = column in {"region", "busiest", "what"}
        table.add_column(column, justify="left" if words else "right", no_wrap=True)
    return table


def _over_time(result: Result) -> Table:
    story = result.story
    table = _table(
        f"{story.calls:,.0f} calls in {story.ramp / 60:g} min, seed {story.seed}"
        + (f"; {story.lost} lost after {story.lost_at / 60:g} min" if story.lost else ""),
        "min",
        "region",
        "calls",
        "brains",
        "began/s",
        "to others",
        "refused",
        "resumed",
        "lost",
        "busiest",
        "used",
        "set-up p50 ms",
        "p99",
        "turn p50 ms",
    )
    for seconds in _shown(result):
        for number, point in enumerate(result.at(seconds)):
            table.add_row(f"{seconds / 60:g}" if not number else "", *_cells(result, point))
        table.add_section()
    return table


def _shown(result: Result) -> list[float]:
    times = sorted({point.seconds for point in result.points})
    every = max(len(times) // _ROWS, 1)
    chosen = set(times[every - 1 :: every]) | {times[-1]}
    if result.story.lost:
        chosen |= {next((one for one in times if one > result.story.lost_at), times[-1])}
    return sorted(chosen)


def _cells(result: Result, point: Point) -> list[str | Text]:
    failed = [
        Text(f"{count:,}", style="red" if count else "dim") for count in (point.refused, point.lost)
    ]
    return [
        point.region,
        f"{point.calls:,}",
        f"{point.brains:,}",
        f"{point.offered / result.story.sample:,.0f}",
        f"{point.overflowed:,}",
        failed[0],
        f"{point.resumed:,}",
        failed[1],
        point.busiest,
        f"{point.utilisation:.0%}",
        *(_ms(one) for one in (point.set_up_p50_ms, point.set_up_p99_ms, point.turn_p50_ms)),
    ]


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}"


def _sums(result: Result) -> Text:
    names = ("accepted", "overflowed", "refused", "resumed", "lost")
    told = f"{result.total('offered'):,} openings: "
    told += ", ".join(f"{result.total(name):,} {name}" for name in names)
    processes = sum(sum(kinds.values()) for kinds in result.processes.values())
    return Text(f"{told}; at most {result.peak():,} calls at once on {processes:,} processes")


def predictions(lines: Sequence[Line], within: float = WITHIN) -> RenderableType:
    """Return predictions beside measurements."""
    table = _table(
        f"predictions, within {within:.0%}", "calls", "what", "predicted", "measured", "off"
    )
    last = 0
    for line in lines:
        if last and line.calls != last:
            table.add_section()
        style = "dim" if not line.judged else "green" if line.holds(within) else "red"
        table.add_row(
            str(line.calls) if line.calls != last else "",
            line.name,
            f"{line.predicted:.2f} {line.unit}",
            f"{line.measured:.2f} {line.unit}",
            Text(f"{line.error:+.0%}", style=style),
        )
        last = line.calls
    wrong = sum(line.judged and not line.holds(within) for line in lines)
    judged = sum(line.judged for line in lines)
    verdict = f"{judged - wrong} of {judged} predictions hold"
    return Group(table, Text(verdict, style="red" if wrong else "green"))
