"""A run as people read it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from voicemesh.chaos.outcome import gap_figures

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import RenderableType

    from voicemesh.chaos.outcome import Outcome

_MOST_SHOWN = 30
_FIGURES = {"gaps": "count", "p50": "p50_ms", "p99": "p99_ms", "max": "max_ms"}
"""Columns, and what they are in JSON."""


def summary(outcome: Outcome) -> RenderableType:
    """Return everything about a run."""
    parts: list[RenderableType] = [_losses(outcome), _gaps(outcome)]
    for name, why in Counter((one.name, one.why) for one in outcome.skipped):
        parts.append(Text(f"{name} could not strike: {why}", style="yellow"))
    parts += [
        Text(f"{finding.call}: {finding.loss}: {finding.detail}", style="red")
        for finding in outcome.findings[:_MOST_SHOWN]
    ]
    parts += [Text(f"too noisy to tell: {why}", style="bold yellow") for why in outcome.noise()]
    parts.append(_verdict(outcome))
    return Group(*parts)


def _losses(outcome: Outcome) -> Table:
    title = f"{len(outcome.held)} calls, {outcome.turns} turns, {len(outcome.struck)} faults"
    if outcome.refused:
        title += f", {outcome.refused} refused at first (busy)"
    table = Table(title=f"{title}, seed {outcome.seed}", title_justify="left")
    table.add_column("what may not happen")
    table.add_column("count", justify="right")
    for name, count in outcome.losses().items():
        table.add_row(name, str(count), style="red" if count else "")
    return table


def _gaps(outcome: Outcome) -> Table:
    usual = ", ".join(f"{sort} {wait * 1000:.0f} ms" for sort, wait in outcome.gaps.usual.items())
    table = Table(title="gaps at the caller, milliseconds", title_justify="left")
    table.caption = f"answers usually take: {usual}"
    table.add_column("fault")
    for column in ("struck", *_FIGURES, "in speech", "max", "late answers", "max"):
        table.add_column(column, justify="right")
    struck, gaps = Counter(one.name for one in outcome.struck), outcome.gaps.by_fault()
    for name in sorted({*struck, *gaps}):
        figures: dict[str, Any] = gap_figures(gaps[name]) if name in gaps else {"count": 0}
        cells = [str(struck.get(name, "")), *_cells(figures, *_FIGURES.values())]
        for kind in ("in_speech", "late_answers"):
            cells += _cells(figures.get(kind) or {}, "count", "max_ms")
        table.add_row(name or "no fault", *cells)
    return table


def _cells(figures: Mapping[str, Any], *keys: str) -> list[str]:
    return [f"{figures[key]:.0f}" if key in figures else "" for key in keys]


def _verdict(outcome: Outcome) -> Text:
    if outcome.well:
        return Text("nothing was lost, repeated or wrong", style="bold green")
    return Text(f"{len(outcome.findings)} findings", style="bold red")
