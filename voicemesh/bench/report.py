"""Measurements as people read them: tables, a curve in the terminal, a curve as a picture."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from voicemesh.bench.figures import LATE_SECONDS, SLOWER, Spread, milliseconds
from voicemesh.errors import Misconfigured

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from rich.console import RenderableType

    from voicemesh.bench.figures import Outcome

_BAR = 30


def summary(outcome: Outcome) -> RenderableType:
    """Return everything about one measurement."""
    parts: list[RenderableType] = [_times(outcome)]
    if outcome.costs or outcome.own:
        parts.append(_processes(outcome))
    parts.append(_failures(outcome))
    parts += [Text(note, style="yellow") for note in outcome.around.notes]
    parts.append(verdict(outcome))
    return Group(*parts)


def verdict(outcome: Outcome) -> Text:
    """Return whether the figures can be trusted."""
    noise = outcome.noise()
    if noise:
        return Text(f"too noisy to tell: {'; '.join(noise)}", style="bold red")
    return Text("the machine was quiet enough", style="green")


def _times(outcome: Outcome) -> Table:
    table = _table(f"{outcome.calls} calls for {outcome.seconds:g} s, milliseconds")
    for column in ("count", "p50", "p95", "p99", "max"):
        table.add_column(column, justify="right")
    tally = outcome.tally
    for name, spread in (
        ("turn: end of speech to bot", outcome.turn),
        ("  of it the mesh, as reported", Spread.of(tally.mesh)),
        ("frame lateness", outcome.lateness),
        ("interruption: onset to cut-off", Spread.of(tally.interruptions)),
        ("call set-up", Spread.of(tally.setups)),
        ("own clock (load generator)", outcome.ticks),
    ):
        table.add_row(name, *_cells(spread))
    return table


def _cells(spread: Spread) -> list[str]:
    times = (spread.p50, spread.p95, spread.p99, spread.longest)
    return [str(spread.count), *(_ms(seconds) for seconds in times)]


def _ms(seconds: float) -> str:
    told = milliseconds(seconds)
    return "-" if told is None else f"{told:.1f}"


def _processes(outcome: Outcome) -> Table:
    table = _table(f"processes, {outcome.tally.session_seconds:.0f} session-seconds")
    for column in ("CPU ms/session-s", "cores", "KiB/call", "loop lag p95 ms"):
        table.add_column(column, justify="right")
    for cost in outcome.costs:
        lag = "" if cost.loop_lag_p95_ms is None else f"{cost.loop_lag_p95_ms:.1f}"
        row = _cost_row(outcome, cost.cpu_seconds, cost.growth_bytes)
        table.add_row(cost.name, *row, lag)
    if outcome.costs:
        table.add_section()
        cpu = sum(cost.cpu_seconds for cost in outcome.costs)
        memory = sum(cost.growth_bytes for cost in outcome.costs)
        table.add_row("total", *_cost_row(outcome, cpu, memory), style="bold")
    table.add_section()
    for cost in outcome.own:
        table.add_row(cost.name, *_cost_row(outcome, cost.cpu_seconds), "", style="dim")
    return table


def _cost_row(outcome: Outcome, cpu_seconds: float, growth_bytes: int | None = None) -> list[str]:
    per_call = 1000 * cpu_seconds / max(outcome.tally.session_seconds, 1e-9)
    memory = "" if growth_bytes is None else f"{growth_bytes / 1024 / outcome.calls:.0f}"
    return [f"{per_call:.2f}", f"{cpu_seconds / outcome.seconds:.2f}", memory]


def _failures(outcome: Outcome) -> Text:
    tally = outcome.tally
    if not outcome.failed:
        text = Text(f"none of {tally.placed} calls failed", style="green")
    else:
        reasons = ", ".join(f"{count} {why}" for why, count in tally.failures.most_common())
        text = Text(f"{outcome.failed} of {tally.placed} calls failed: {reasons}", style="red")
    if outcome.costs and tally.placed > outcome.calls:
        drift = outcome.drift_kib(*outcome.costs)
        text.append(f"; memory grew by {drift:.0f} KiB a minute in the second half")
    if tally.unheeded_interruptions:
        text.append(f"; the bot heeded {tally.unheeded_interruptions} interruptions not at all")
    if tally.early_answers:
        text.append(f"; it spoke {tally.early_answers} times before its caller was done")
    return text


def step_line(outcome: Outcome, found: Sequence[str]) -> Text:
    """Return one step of a search, and beneath it why it was not sustained, or not quiet."""
    cpu = sum(cost.cpu_seconds for cost in outcome.costs)
    per_call = 1000 * cpu / max(outcome.tally.session_seconds, 1e-9)
    line = Text(
        f"{outcome.calls:5} calls  turn p95 {_ms(outcome.turn.p95):>7} ms  "
        f"late p99 {_ms(outcome.lateness.p99):>6} ms  CPU {per_call:6.2f} ms/s"
    )
    if not found:
        line.append("  sustained", style="green")
    for reason in found:
        line.append(f"\n      {reason}", style="red")
    noise = outcome.noise()
    if noise:
        line.append(f"\n      {'; '.join(noise)}", style="yellow")
    return line


def curve(steps: Sequence[Outcome]) -> Table:
    """Return p95 turn latency over calls, as bars."""
    ordered = _latest(steps)
    known = [step.turn.p95 for step in ordered if step.turn.count]
    table = _table("p95 turn latency over calls, on a scale up to the longest")
    table.add_column("ms", justify="right")
    table.add_column("")
    for step in ordered:
        share = step.turn.p95 / max(known) if step.turn.count else 0.0
        table.add_row(str(step.calls), _ms(step.turn.p95), "█" * round(share * _BAR))
    return table


def picture(steps: Sequence[Outcome], path: Path) -> None:
    """Write the curve as a picture; the first step is the unloaded baseline."""
    try:
        figures = import_module("matplotlib.figure")
    except ModuleNotFoundError as error:
        raise Misconfigured(
            "a picture of the curve needs matplotlib: run `pip install 'voicemesh[report]'`",
            package="matplotlib",
        ) from error
    figure = figures.Figure(figsize=(8, 7), layout="constrained")
    limit = SLOWER * steps[0].turn.p95 * 1000
    turn, late, cpu = figure.subplots(3, 1, sharex=True)
    ordered = _latest(steps)
    calls = [step.calls for step in ordered]
    _draw(turn, calls, [step.turn.p95 * 1000 for step in ordered], "turn p95, ms", limit)
    late_ms = [step.lateness.p99 * 1000 for step in ordered]
    _draw(late, calls, late_ms, "frame lateness p99, ms", LATE_SECONDS * 1000)
    _draw(cpu, calls, [step.cpu_ms(*step.costs) for step in ordered], "CPU ms per session-second")
    cpu.set_xlabel("calls at once")
    figure.savefig(path, dpi=120)


def _latest(steps: Sequence[Outcome]) -> list[Outcome]:
    """Return the steps by their calls; of those that were tried again, the last try."""
    latest = {step.calls: step for step in steps}
    return [latest[calls] for calls in sorted(latest)]


def _draw(
    axes: Any,  # noqa: ANN401 - matplotlib is optional
    calls: Sequence[int],
    values: Sequence[float],
    label: str,
    limit: float | None = None,
) -> None:
    axes.plot(calls, values, marker="o", color="#4e79a7")
    if limit is not None:
        axes.axhline(limit, color="#e15759", linestyle="--", linewidth=1)
    axes.set_ylabel(label)
    axes.set_ylim(bottom=0)
    axes.spines[["top", "right"]].set_visible(False)


def _table(title: str) -> Table:
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, padding=(0, 1))
    table.add_column("")
    return table
