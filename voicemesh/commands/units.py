"""`voicemesh units`: what benchmarks measured, as unit costs to plan with."""

from __future__ import annotations

import datetime as dt
import os
import platform
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from voicemesh.capacity import runs
from voicemesh.capacity.units import MEASURED, Origin, UnitCosts, fit, load, opening_ms

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

_CPU = Path("/proc/cpuinfo")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("units")(units)


def units(
    measured: Annotated[
        list[Path] | None,
        typer.Argument(
            help="What `voicemesh bench --json` printed, at two loads or more. Without any: show "
            "the unit costs that `plan` and `simulate` use.",
            metavar="[BENCH.JSON]...",
        ),
    ] = None,
    write: Annotated[
        Path | None, typer.Option("--write", metavar="FILE", help="Also write them to a file.")
    ] = None,
    openings: Annotated[
        Path | None,
        typer.Option(
            metavar="BENCH.JSON",
            help="What `voicemesh bench --from-start --json` printed: what a set-up costs.",
        ),
    ] = None,
    machine: Annotated[
        str, typer.Option(help="What it was measured on. Default: this machine's processor.")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Turn benchmarks at several loads into unit costs: what a process costs, and each call.

    For example:

    `for n in 20 80 150; do voicemesh bench --local --leg twilio -n $n --json > $n.json; done`

    `voicemesh bench --local --leg twilio -n 60 --ramp 6 --seconds 10 --from-start --json > o.json`

    `voicemesh units 20.json 80.json 150.json --openings o.json --write units.json`
    """
    found = _fitted(runs.read(measured), machine) if measured else load(MEASURED)
    if openings:
        [run, *_] = runs.read([openings])
        found = found.model_copy(update={"opening_ms": opening_ms(found, run)})
    text = found.model_dump_json(indent=1)
    if write:
        write.write_text(text + "\n", encoding="utf-8")
    if as_json:
        typer.echo(text)
    else:
        Console(highlight=False).print(_shown(found))


def _fitted(found: Sequence[runs.Run], machine: str) -> UnitCosts:
    noise = tuple(f"{run.calls} calls: {'; '.join(run.noise)}" for run in found if run.noise)
    return fit(
        found,
        Origin(
            date=dt.datetime.now(dt.UTC).date(),
            machine=machine or _processor(),
            cores=os.cpu_count() or 1,
            leg=found[0].leg,
            calls=tuple(run.calls for run in found),
            noise=noise,
        ),
    )


def _processor() -> str:
    try:
        lines = _CPU.read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _shown(found: UnitCosts) -> RenderableType:
    origin = found.origin
    loads = ", ".join(map(str, origin.calls))
    table = Table(
        title=f"{origin.date}, {origin.machine}, {origin.cores} cores, {loads} calls "
        f"({origin.leg})",
        title_justify="left",
        box=SIMPLE_HEAD,
        pad_edge=False,
    )
    columns = ("kind", "processes", "each idle: ms/s", "MiB", "per call: ms/s", "KiB")
    for column in columns:
        table.add_column(column, justify="left" if column == "kind" else "right")
    for kind, unit in found.kinds.items():
        table.add_row(
            kind,
            str(unit.processes),
            f"{1000 * unit.idle_cores:.2f}",
            f"{unit.idle_mib:.0f}",
            f"{1000 * unit.call_cores:.3f}",
            f"{unit.call_kib:.0f}",
        )
    table.add_section()
    table.add_row(
        "all",
        str(sum(unit.processes for unit in found.kinds.values())),
        f"{1000 * sum(unit.processes * unit.idle_cores for unit in found.kinds.values()):.2f}",
        f"{sum(unit.processes * unit.idle_mib for unit in found.kinds.values()):.0f}",
        f"{1000 * sum(unit.call_cores for unit in found.kinds.values()):.3f}",
        f"{sum(unit.call_kib for unit in found.kinds.values()):.0f}",
        style="bold",
    )
    times = [
        f"{name.replace('_', ' ')} {one.base_ms:.0f} ms + {one.slope_ms:.0f} ms x crowding"
        for name, one in found.latencies.items()
    ]
    if found.opening_ms is not None:
        times.append(f"each set-up {found.opening_ms:.1f} ms of CPU")
    noise = [Text(f"noisy: {told}", style="yellow") for told in origin.noise]
    return Group(table, *map(Text, times), *noise)
