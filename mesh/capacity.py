"""``voicemesh plan``: what a topology needs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from mesh.services import DOORS
from mesh.topology import LOCAL, load
from mesh.topology.nearness import round_trip_ms
from voicemesh.capacity import plan as planning, prices, report, units
from voicemesh.capacity.world import Place, World, demand

if TYPE_CHECKING:
    from mesh.topology import Region, Topology

TopologyFile = Annotated[
    Path, typer.Option("--topology", "-t", help="Topology file: regions, zones, services.")
]
Shares = Annotated[
    str,
    typer.Option(
        metavar="REGION[/ZONE]=WEIGHT,...",
        help="Where calls come in. Default: all regions alike, each the first of its zones.",
    ),
]
UnitsFile = Annotated[
    Path, typer.Option("--units", help="Unit costs, as `voicemesh units --write` makes them.")
]
Utilisation = Annotated[
    float, typer.Option(help="Share of a core that a process may use when all is as planned.")
]
MaxCalls = Annotated[
    int, typer.Option("--max-calls", help="Calls that one replica admits (VOICEMESH_MAX_CALLS).")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs instead of tables.")]
_WIDE = 200


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("plan")(plan)


def world_of(topology: Topology) -> World:
    """Return who takes whose calls, as Envoy is told by this topology."""
    return World(tuple(_place(topology, region) for region in topology.regions))


def _place(topology: Topology, region: Region) -> Place:
    fences = {
        zone: tuple(one.name for one in topology.fence(region, zone)) for zone in region.zones
    }
    doors = {name: region.door(name) for name in DOORS}
    threads = {str(name): door.replicas * door.concurrency for name, door in doors.items()}
    away = {
        other.name: known
        for other in topology.regions
        if other is not region and (known := round_trip_ms(region, other)) is not None
    }
    return Place(
        region.name,
        fences,
        tuple(region.services),
        threads | {name: service.started for name, service in region.services.items()},
        away,
    )


def plan(  # noqa: PLR0913, PLR0917 - one parameter for each option
    calls: Annotated[float, typer.Option("--calls", "-n", help="Calls at once, all regions.")],
    topology: TopologyFile = LOCAL,
    shares: Shares = "",
    leg: Annotated[str, typer.Option(help="How callers come: twilio, grpc or sip.")] = "twilio",
    unit_costs: UnitsFile = units.MEASURED,
    price_file: Annotated[
        Path, typer.Option("--prices", help="What things cost where. Default: example prices.")
    ] = prices.EXAMPLES,
    utilisation: Utilisation = planning.Sizing.utilisation,
    max_calls: MaxCalls = planning.ADMITTED,
    survive: Annotated[
        bool,
        typer.Option(
            help="Be ready to lose any one region: its calls go where their zone lets them."
        ),
    ] = True,
    as_json: Json = False,
) -> None:
    """Tell what so many calls at once need: processes, cores, memory, traffic, streams, money.

    Figures are unit costs that `voicemesh bench` measured, times calls. Each region gets the
    headroom that it needs when any other is lost, inside the residency fence, and one process of
    each kind to spare. Engines of your own are not in it: what was measured is scripted engines.

    For example:

    `voicemesh plan --calls 100000 --topology mesh/topologies/three-regions.yaml`

    `voicemesh plan -n 5000 -t world.yaml --shares eu-west=3,us-east=2 --prices ours.yaml --json`
    """
    world = world_of(load(topology))
    costs, told = units.load(unit_costs), prices.load(price_file)
    sizing = planning.Sizing(utilisation=utilisation, admitted=max_calls, survive=survive)
    made = planning.plan(world, demand(world, shares), calls, costs, told.conversation, leg, sizing)
    examples = price_file == prices.EXAMPLES
    if as_json:
        typer.echo(json.dumps(report.as_json(made, told, costs, examples=examples), indent=1))
    else:
        wide_console().print(report.tables(made, told, costs, examples=examples))


def wide_console() -> Console:
    """Return standard output; into a file or a pipe tables are not cut at 80 columns."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=_WIDE)
