"""``voicemesh topology``: look at a topology before anything runs on it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from mesh.topology.load import LOCAL, load, problems
from mesh.topology.nearness import round_trip_ms
from mesh.topology.show import picture

if TYPE_CHECKING:
    from mesh.topology.model import Topology

_File = Annotated[Path, typer.Argument(help="Topology file.")]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Look at a topology: the file that describes a whole mesh.")
    group.command()(check)
    group.command()(show)
    app.add_typer(group, name="topology")


def check(file: _File = LOCAL, as_json: _Json = False) -> None:
    """Explain every mistake in a topology: its line, its field and what to do."""
    found = problems(file)
    if as_json:
        typer.echo(json.dumps([{**one.details, "message": one.message} for one in found], indent=1))
    else:
        for one in found:
            typer.echo(one.message)
        if not found:
            typer.echo(f"{file}: {_summary(load(file))}")
    if found:
        raise typer.Exit(1)


def show(file: _File = LOCAL, as_json: _Json = False) -> None:
    """Draw a topology: regions, services, where each zone's calls may go, and a map."""
    topology = load(file)
    if as_json:
        typer.echo(json.dumps(_described(topology), indent=1))
    else:
        Console(highlight=False, width=None if Console().is_terminal else 120).print(
            picture(topology)
        )


def _summary(topology: Topology) -> str:
    regions, zones = len(topology.regions), len(topology.zones)
    return f"{_count(regions, 'region')}, {_count(zones, 'zone')}; nothing is wrong with it"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _described(topology: Topology) -> dict[str, Any]:
    ways = {
        region.name: {
            zone: [
                {"region": one.name, "round_trip_ms": round_trip_ms(region, one)}
                if one is not region
                else {"region": one.name, "round_trip_ms": 0.0}
                for one in topology.fence(region, zone)
            ]
            for zone in topology.zones
        }
        for region in topology.regions
    }
    return {**topology.model_dump(mode="json"), "fences": ways}
