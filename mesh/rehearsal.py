"""``voicemesh simulate``: how a topology would fare in a rush, and whether predictions hold."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from mesh.capacity import (
    Json,
    MaxCalls,
    Shares,
    TopologyFile,
    UnitsFile,
    Utilisation,
    wide_console,
    world_of,
)
from mesh.envoy.endpoints import OVERPROVISIONING
from mesh.envoy.routes import retries
from mesh.topology import LOCAL, load
from voicemesh.admission import Limits
from voicemesh.capacity import plan as planning, prices, runs, units
from voicemesh.capacity.world import demand
from voicemesh.errors import InvalidInput
from voicemesh.settings import ServiceSettings
from voicemesh.simulation.build import states
from voicemesh.simulation.check import WITHIN, check
from voicemesh.simulation.model import Simulation
from voicemesh.simulation.picture import picture
from voicemesh.simulation.report import predictions, tables
from voicemesh.simulation.rules import Rules
from voicemesh.simulation.story import Story

if TYPE_CHECKING:
    from mesh.topology import Topology
    from voicemesh.capacity.units import UnitCosts
    from voicemesh.capacity.world import World
    from voicemesh.simulation.samples import Result

SIX = LOCAL.with_name("six-regions.yaml")
ASSUMED_OPENING_MS = 10.0
"""Processor time of one call's set-up where it was not measured."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("simulate")(simulate)


@dataclass(frozen=True)
class _Stage:
    """What the story is played on."""

    topology: Topology
    shares: str
    costs: UnitCosts
    opening_ms: float
    sizing: planning.Sizing
    planned: float
    """Calls that processes were planned for."""


def simulate(  # noqa: PLR0913, PLR0917 - one parameter for each option
    topology: TopologyFile = SIX,
    calls: Annotated[
        float, typer.Option("--calls", "-n", help="Calls at once at the peak.")
    ] = Story.calls,
    ramp: Annotated[float, typer.Option(help="Minutes in which they come.")] = Story.ramp / 60,
    minutes: Annotated[float, typer.Option(help="How long is simulated.")] = Story.seconds / 60,
    call_minutes: Annotated[float, typer.Option(help="How long calls last, on average.")] = (
        Story.call_seconds / 60
    ),
    lose: Annotated[
        str, typer.Option(help="Region lost at the end of the ramp; `none`: none is.")
    ] = "",
    lose_share: Annotated[
        float,
        typer.Option(help="Share of its orchestrators and engines; 1: its gateways, too."),
    ] = 1.0,
    planned: Annotated[
        float | None,
        typer.Option(help="Calls that processes were planned for. Default: as many as come."),
    ] = None,
    survive: Annotated[
        bool, typer.Option(help="Whether they were planned with headroom for a lost region.")
    ] = True,
    shares: Shares = "",
    unit_costs: UnitsFile = units.MEASURED,
    opening_ms: Annotated[
        float | None,
        typer.Option(help="CPU ms of one set-up. Default: as measured, or else 10."),
    ] = None,
    utilisation: Utilisation = planning.Sizing.utilisation,
    max_calls: MaxCalls = planning.ADMITTED,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same run.")] = 1,
    step: Annotated[float, typer.Option(help="Seconds between two batches.")] = Story.step,
    chart: Annotated[
        Path | None, typer.Option("--picture", metavar="FILE", help="Also draw it: PNG or SVG.")
    ] = None,
    measured: Annotated[
        list[Path] | None,
        typer.Option(
            "--check",
            metavar="BENCH.JSON",
            help="Instead, set predictions beside what `voicemesh bench --json` measured.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Rehearse a rush: a million calls in half an hour over six regions, one lost at the peak.

    Processes are those that `voicemesh plan` gives the topology. Calls come, are admitted, placed,
    refused, tried again and moved by the rules that the code has: what a replica admits, which
    region stands in for which in each residency zone, when Envoy, gateways and callers try again.
    Processor time, latencies and set-up follow from measured unit costs.

    With --check nothing is simulated: unit costs fitted to some loads have to foretell others,
    within 15 %; it ends with status 1 if they do not.

    For example:

    `voicemesh simulate --lose eu-west --picture rush.png`

    `voicemesh simulate --planned 600000 --no-survive`

    `voicemesh simulate --check 50.json --check 100.json --check 200.json`
    """
    costs = units.load(unit_costs)
    if measured:
        _check(costs, measured, as_json)
        return
    sizing = planning.Sizing(utilisation=utilisation, admitted=max_calls, survive=survive)
    known = costs.opening_ms if opening_ms is None else opening_ms
    stage = _Stage(
        load(topology),
        shares,
        costs,
        ASSUMED_OPENING_MS if known is None else known,
        sizing,
        planned or calls,
    )
    story = Story(
        calls=calls,
        ramp=60 * ramp,
        seconds=60 * minutes,
        call_seconds=60 * call_minutes,
        lost_at=60 * ramp,
        lost_share=lose_share,
        seed=seed,
        step=step,
    )
    result = _played(stage, story, lose)
    if chart:
        picture(result, chart)
    if as_json:
        typer.echo(json.dumps(result.as_json(), indent=1))
    else:
        wide_console().print(tables(result, _notes(costs, known)))


def _notes(costs: UnitCosts, opening_ms: float | None) -> list[str]:
    noise = [f"unit costs were measured on a busy machine: {one}" for one in costs.origin.noise[:1]]
    if opening_ms is None:
        noise.append(f"assumed, not measured: {ASSUMED_OPENING_MS:g} ms CPU for each set-up")
    return noise


def _lost(world: World, lose: str) -> str:
    if lose == "none":
        return ""
    name = lose or world.names[0]
    if name not in world.names:
        raise InvalidInput("--lose", f"there is no region {name!r}: {', '.join(world.names)}, none")
    return name


def _played(stage: _Stage, story: Story, lose: str) -> Result:
    world = world_of(stage.topology)
    story = replace(story, lost=_lost(world, lose))
    wanted = demand(world, stage.shares)
    talk = prices.load().conversation
    plan = planning.plan(world, wanted, stage.planned, stage.costs, talk, sizing=stage.sizing)
    lag_seconds = ServiceSettings.model_fields["max_lag_ms"].default / 1000
    limits = Limits(stage.sizing.admitted, lag_seconds)
    regions = states(plan, stage.costs, talk, limits, stage.opening_ms)
    simulation = Simulation(world, wanted, story, rules(), regions)
    with Progress(console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task("simulating", total=1.0)
        return simulation.run(lambda done: shown.update(task, completed=done))


def rules() -> Rules:
    """Return the rules, with Envoy's numbers as its configuration is generated."""
    policy = retries()
    base = float(policy["retry_back_off"]["base_interval"].removesuffix("s"))
    return Rules(
        envoy_retries=policy["num_retries"],
        envoy_backoff_seconds=base,
        overprovisioning=OVERPROVISIONING / 100,
    )


def _check(costs: UnitCosts, measured: list[Path], as_json: bool) -> None:
    lines = check(costs, runs.read(measured))
    if as_json:
        typer.echo(json.dumps([line.as_json() for line in lines], indent=1))
    else:
        wide_console().print(predictions(lines, WITHIN))
    if not all(line.holds() for line in lines if line.judged):
        raise typer.Exit(1)
