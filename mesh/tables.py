"""What people see of a running mesh."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.table import Table
from rich.text import Text

from mesh.local.status import MeshStatus
from mesh.services import DOORS, SERVICES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.console import RenderableType

    from mesh.local import ProcessStatus, WorldStatus
    from mesh.local.engines import EngineStatus

_COLOURS = {
    "serving": "green",
    "healthy": "green",
    "starting": "yellow",
    "draining": "yellow",
    "backoff": "red",
    "failed": "red",
}
_ORDER = (*DOORS, *SERVICES)


def status_view(status: MeshStatus | WorldStatus) -> RenderableType:
    """Return a table for each region, and what is wrong with the topology's file, if anything."""
    regions = [status] if isinstance(status, MeshStatus) else status.regions
    problems = dict.fromkeys([status.problem, *(one.problem for one in regions)])
    told = [Text(f"not followed: {one}", style="red") for one in problems if one]
    engines = [engines_table(one.engines) for one in regions if one.engines]
    return Group(*map(status_table, regions), *engines, *told)


def status_table(status: MeshStatus) -> Table:
    """Return one line per process."""
    table = Table(
        title=f"{status.region}: callers at {_list(status.edge_addresses)}, "
        f"mesh at {_list(status.mesh_addresses)}",
        title_justify="left",
        caption=f"models: {status.models}   logs: {status.home}/logs",
        caption_justify="left",
        box=SIMPLE_HEAD,
        pad_edge=False,
    )
    for column in ("process", "pid", "state", "health"):
        table.add_column(column, no_wrap=True)
    for column in ("calls", "lag ms", "up s", "restarts", "MiB"):
        table.add_column(column, justify="right", no_wrap=True)
    for one in sorted(status.processes, key=_place):
        table.add_row(*_cells(one))
    return table


def engines_table(engines: Sequence[EngineStatus]) -> Table:
    """Return one line per engine of bots' lists, and per provider behind one."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for column in ("sense", "kind", "name", "state"):
        table.add_column(column, no_wrap=True)
    for column in ("worked", "failed"):
        table.add_column(column, justify="right", no_wrap=True)
    for one in engines:
        state = _engine_state(one)
        table.add_row(one.sense, one.kind, one.name, state, str(one.worked), str(one.failed))
    return table


def _engine_state(one: EngineStatus) -> Text:
    if one.denied:
        return Text("refuses our credentials", style="red")
    if one.out:
        return Text(f"left out by {one.out}", style="red")
    return Text("in use", style="green")


def starting_table(states: Mapping[str, str]) -> Table:
    """Return one line per process that is being started."""
    table = Table("process", "state", box=SIMPLE_HEAD, pad_edge=False)
    for name, state in states.items():
        table.add_row(name, _coloured(state))
    return table


def _cells(one: ProcessStatus) -> tuple[Text | str, ...]:
    return (
        one.name,
        _shown(one.pid),
        _coloured(one.state),
        _coloured(one.health),
        _shown(one.calls),
        _shown(one.loop_lag_p95_ms),
        f"{one.uptime_seconds:.0f}",
        str(one.restarts),
        f"{one.memory_mib:.0f}",
    )


def _place(one: ProcessStatus) -> tuple[int, str]:
    kind = one.name.partition("-")[0] if one.service == "envoy" else one.service
    return _ORDER.index(kind), one.name


def _list(addresses: Sequence[str]) -> str:
    return " and ".join(addresses)


def _coloured(word: str) -> Text:
    return Text(word, style=_COLOURS.get(word, "red"))


def _shown(value: float | None) -> str:
    return "" if value is None else f"{value:g}"
