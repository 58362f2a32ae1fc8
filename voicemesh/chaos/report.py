"""A run as people read it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from rich.console import Group
from rich.table import Table
from rich.text import Text

from voicemesh.chaos.outcome import spread

if TYPE_CHECKING:
    from rich.console import RenderableType

    from voicemesh.chaos.outcome import Outcome

_MOST_SHOWN = 30


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
    for column in ("struck", "gaps", "p50", "p99", "max"):
        table.add_column(column, justify="right")
    struck, gaps = Counter(one.name for one in outcome.struck), outcome.gaps.by_fault()
    for name in sorted({*struck, *gaps}):
        cells = [str(struck.get(name, "")), "0", "", "", ""]
        if name in gaps:
            told = spread(gaps[name])
            cells[1] = str(told["count"])
            cells[2:] = [f"{told[key]:.0f}" for key in ("p50_ms", "p99_ms", "max_ms")]
        table.add_row(name or "no fault", *cells)
    return table


def _verdict(outcome: Outcome) -> Text:
    if outcome.well:
        return Text("nothing was lost, repeated or wrong", style="bold green")
    return Text(f"{len(outcome.findings)} findings", style="bold red")
