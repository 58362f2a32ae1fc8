"""`voicemesh bench`: real-time load, and what it costs."""

from __future__ import annotations

import asyncio
import json
import signal
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from voicemesh.bench.lines import LINES
from voicemesh.bench.mesh import LocalMesh, scripted_mesh
from voicemesh.bench.report import curve, picture, step_line, summary
from voicemesh.bench.run import Load, find_max, measure
from voicemesh.commands.places import find
from voicemesh.errors import InvalidInput, Unavailable

if TYPE_CHECKING:
    from voicemesh.bench.figures import Outcome


class Delays(StrEnum):
    """How long the scripted engines of --local take."""

    ZERO = "zero"
    PROVIDERS = "providers"


PROVIDERS = {
    "VOICEMESH_SCRIPT_STT_FINAL": "0.35",
    "VOICEMESH_SCRIPT_LLM_FIRST_TOKEN": "0.4",
    "VOICEMESH_SCRIPT_LLM_TOKEN_RATE": "60",
    "VOICEMESH_SCRIPT_TTS_FIRST_AUDIO": "0.15",
}
"""Delays that published capacity figures are measured with, seconds and tokens per second."""

_Calls = Annotated[int, typer.Option("--calls", "-n", min=1, max=5000, help="Calls at once.")]
_Seconds = Annotated[
    float, typer.Option("--seconds", min=1, max=3600, help="How long is measured, after the ramp.")
]
_Ramp = Annotated[
    float | None,
    typer.Option(
        "--ramp", min=0, max=3600, help="Seconds in which calls begin. Default: 20 calls a second."
    ),
]
_FromStart = Annotated[
    bool,
    typer.Option(
        "--from-start",
        help="Measure the ramp, too: what setting calls up costs (`voicemesh units --openings`).",
    ),
]
_To = Annotated[
    str | None,
    typer.Option("--to", metavar="ADDRESS", help="Where calls come in. Default: the local mesh."),
]
_Bot = Annotated[str, typer.Option("--bot", "-b", help="Bot to call; it must answer.")]
_Leg = Annotated[str, typer.Option("--leg", help=f"How callers come: {' or '.join(LINES)}.")]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs instead of tables.")]
_Pin = Annotated[
    bool, typer.Option("--pin", help="Keep the mesh and the load generator on different cores.")
]
_FindMax = Annotated[
    bool, typer.Option("--find-max", help="Search for the most calls that are sustained.")
]
_Most = Annotated[int, typer.Option("--most", min=1, max=5000, help="Where --find-max ends.")]
_Procs = Annotated[
    int | None,
    typer.Option(
        "--procs",
        min=1,
        max=64,
        help="Processes of the load generator. Default: one per 120 calls.",
    ),
]
_Churn = Annotated[
    float | None,
    typer.Option(
        "--churn",
        min=0.1,
        max=200,
        help="Calls that end each second, and others that begin in their place.",
    ),
]
_Interrupt = Annotated[
    float,
    typer.Option("--interrupting", min=0, max=1, help="Share of the answers interrupted."),
]
_Local = Annotated[
    bool, typer.Option("--local", help="Start a mesh with scripted engines for it, and stop it.")
]
_Delays = Annotated[
    Delays,
    typer.Option(
        help="Scripted engines of --local: `zero`, or as slow as `providers` are "
        "(transcript 350 ms, first token 400 ms and 60 tokens/s, first audio 150 ms)."
    ),
]
_Picture = Annotated[
    Path | None, typer.Option("--picture", metavar="PNG", help="Draw the curve of --find-max.")
]


@dataclass(frozen=True)
class _Wish:
    """What is to be done, besides the load itself."""

    find_max: bool
    most: int
    local: bool
    delays: Delays
    to: str | None
    picture: Path | None


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("bench")(bench)


def bench(  # noqa: PLR0913, PLR0917 - one parameter for each option
    calls: _Calls = 50,
    seconds: _Seconds = 30.0,
    ramp: _Ramp = None,
    from_start: _FromStart = False,
    to: _To = None,
    bot: _Bot = "echo",
    leg: _Leg = "grpc",
    as_json: _Json = False,
    pin: _Pin = False,
    find_most: _FindMax = False,
    most: _Most = 1000,
    procs: _Procs = None,
    interrupting: _Interrupt = 0.2,
    churn: _Churn = None,
    local: _Local = False,
    delays: _Delays = Delays.ZERO,
    chart: _Picture = None,
) -> None:
    """Hold many calls at once, in real time, and tell how they fared and what they cost.

    Every caller speaks for 2.7 s, is silent for as long, hears the answer, and goes on; some
    interrupt it. Costs are read from the processes of a mesh on this machine, Envoys included.

    --churn: each call lasts so long that this many end each second, and as many begin; tells how
    fast memory grows in the second half, when nothing warms up any more.

    --find-max: a number of calls is sustained if less than 0.5 % of them fail, p95 turn latency is
    within 25 % of that of two calls, and p99 lateness of the bot's frames is at most 20 ms.

    Ends with status 1 if a call failed (with --find-max: if not even ten calls were sustained).

    For example:

    `voicemesh bench --local --calls 100`

    `voicemesh bench --local --calls 100 --churn 20 --seconds 1800`

    `voicemesh bench --local --delays providers --find-max --picture capacity.png`
    """
    if local and to:
        raise InvalidInput("--local", "cannot be used together with --to")
    if leg not in LINES:
        raise InvalidInput("--leg", f"is {leg!r}, not one of {', '.join(LINES)}")
    load = Load(
        target="",
        bot=bot,
        leg=leg,
        calls=calls,
        seconds=seconds,
        ramp=ramp,
        from_start=from_start,
        procs=procs,
        interrupting=interrupting,
        churn=churn,
        pin=pin,
    )
    wish = _Wish(find_most, most, local, delays, to, chart)
    console = Console(quiet=as_json, highlight=False)
    try:
        told, well = asyncio.run(_bench(load, wish, console))
    except asyncio.CancelledError as error:  # told to stop
        raise typer.Exit(130) from error
    if as_json:
        typer.echo(json.dumps(told, indent=1))
    if not well:
        raise typer.Exit(1)


async def _bench(load: Load, wish: _Wish, console: Console) -> tuple[dict[str, Any], bool]:
    _leave_on_sigterm()
    async with _mesh(wish) as local:
        there = await local.members()
        target = wish.to or (there.edge_target if there else find(None).edge)
        mesh = local if there and there.has_edge(target) else None
        load = replace(load, target=target)
        if wish.find_max:
            return await _search(load, wish, mesh, console)
        with console.status(f"{load.calls} calls at {load.target}"):
            outcome = await measure(load, mesh)
    console.print(summary(outcome))
    return {"bot": load.bot, "leg": load.leg} | outcome.as_json(), not outcome.failed


async def _search(
    load: Load, wish: _Wish, mesh: LocalMesh | None, console: Console
) -> tuple[dict[str, Any], bool]:
    steps: list[tuple[Outcome, list[str]]] = []

    def note(outcome: Outcome, found: list[str]) -> None:
        steps.append((outcome, found))
        console.print(step_line(outcome, found))
        if len(steps) == 1 and not outcome.turn.count:
            raise Unavailable("no call was answered, not even unloaded", reason="NO_BASELINE")

    with console.status("searching"):
        found = await find_max(load, mesh, wish.most, note)
    outcomes = [outcome for outcome, _ in steps]
    noisy = any(outcome.noise() for outcome in outcomes)
    console.print(curve(outcomes))
    console.print(f"sustained: {found} calls", style="bold")
    if noisy:
        console.print("too noisy to tell: see the steps above", style="bold red")
    if wish.picture:
        picture(outcomes, wish.picture)
    told = [outcome.as_json() | {"shortcomings": why} for outcome, why in steps]
    return {
        "bot": load.bot,
        "leg": load.leg,
        "sustained_calls": found,
        "noisy": noisy,
        "steps": told,
    }, found > 0


def _leave_on_sigterm() -> None:
    """Have a SIGTERM end the block that holds a mesh of ours, not only this process."""
    task = asyncio.current_task()
    if task is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)


def _mesh(wish: _Wish) -> AbstractAsyncContextManager[LocalMesh]:
    if wish.local:
        return scripted_mesh(PROVIDERS if wish.delays is Delays.PROVIDERS else {})
    return nullcontext(LocalMesh())
