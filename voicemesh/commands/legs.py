"""`voicemesh eval legs`: the same spoken conversation over every leg, compared with gRPC's."""

from __future__ import annotations

import asyncio
import json
import os
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from voicemesh.client import Speaker
from voicemesh.client.record import percentiles
from voicemesh.commands.places import find, need_mesh
from voicemesh.errors import InvalidInput
from voicemesh.evaluation import Normaliser
from voicemesh.evaluation.legs import (
    ALLOWED_POINTS,
    BRIEF_STORY,
    REFERENCE,
    STORY,
    hold,
    legs,
    understood,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voicemesh.commands.places import Places
    from voicemesh.evaluation.legs import Held, Leg

_To = Annotated[
    str | None,
    typer.Option("--to", metavar="ADDRESS", help="Where calls come in. Default: the local mesh."),
]
_Mesh = Annotated[
    str | None,
    typer.Option("--mesh", metavar="ADDRESS", help="Where a voice is found. Default: as --to."),
]
_Bot = Annotated[
    str, typer.Option("--bot", "-b", help="Bot to call; nobody else may call it meanwhile.")
]
_Sip = Annotated[
    str, typer.Option("--sip", metavar="HOST:PORT", help="A SIP process, to be called as well.")
]
_AudioSocket = Annotated[
    str,
    typer.Option(
        "--audiosocket",
        metavar="HOST:PORT",
        help="AudioSocket's port, to be called as well; the numbers file must name the bot.",
    ),
]
_Only = Annotated[
    list[str] | None, typer.Option("--leg", help="Only this leg, beside gRPC. Repeatable.")
]
_Calls = Annotated[int, typer.Option("--calls", "-n", min=1, max=50, help="Calls for each leg.")]
_AtOnce = Annotated[
    int, typer.Option("--concurrency", "-c", min=1, max=50, help="Calls at the same time.")
]
_Brief = Annotated[
    bool, typer.Option("--brief", help="A shorter conversation: two sentences, one interruption.")
]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs instead of a table.")]


def compare(  # noqa: PLR0913, PLR0917 - one parameter for each option
    to: _To = None,
    mesh: _Mesh = None,
    bot: _Bot = "frontdesk",
    sip: _Sip = "",
    audiosocket: _AudioSocket = "",
    leg: _Only = None,
    calls: _Calls = 2,
    concurrency: _AtOnce = 2,
    brief: _Brief = False,
    as_json: _Json = False,
) -> None:
    """Hold one conversation over every leg, and compare what was understood with gRPC's.

    Emulated carriers, a browser, a phone: each asks, interrupts, presses keys and says goodbye, in
    real time. Fails if a leg was understood worse than gRPC by more than 2 percent of the words, or
    if its interruption, its keys or its end got lost.

    Needs a running mesh: `voicemesh up --detach`, or --to and --mesh.
    """
    places = find(to, mesh)
    ways = _chosen(legs(places.edge, bot, sip=sip, audiosocket=audiosocket), leg or [])
    helds = asyncio.run(
        _hold_all(ways * calls, places, bot, concurrency, brief, Console(quiet=as_json))
    )
    told = told_of(ways, helds)
    if as_json:
        typer.echo(json.dumps(told, indent=1))
    else:
        _show(Console(), told)
    if not all(row["passed"] for row in told["legs"]):
        raise typer.Exit(1)


def _chosen(ways: list[Leg], only: Sequence[str]) -> list[Leg]:
    names = [way.name for way in ways]
    for name in only:
        if name not in names:
            raise InvalidInput("--leg", f"{name!r} is not one of {', '.join(names)}")
    return [way for way in ways if not only or way.name in (REFERENCE, *only)]


async def _hold_all(
    ways: Sequence[Leg], places: Places, bot: str, at_once: int, brief: bool, console: Console
) -> list[Held]:
    columns = (TextColumn("calling"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    helds: list[Held] = []
    story = BRIEF_STORY if brief else STORY
    async with Speaker.at(need_mesh(places), engine=places.voice_engine) as speaker:
        with Progress(*columns, console=console, transient=True) as progress:
            task = progress.add_task("", total=len(ways))
            async for held in hold(ways, places.edge, bot, story, speaker, at_once):
                helds.append(held)
                progress.advance(task)
    return helds


def told_of(ways: Sequence[Leg], helds: Sequence[Held]) -> dict[str, Any]:
    """Return every leg's row, and whether it holds what the first one does."""
    normalise = Normaliser()
    rows: list[dict[str, Any]] = []
    for way in ways:
        own = [held for held in helds if held.leg == way.name]
        score = understood(own, normalise)
        percent = round(100 * score.wer, 2)
        worse = round(percent - rows[0]["wer_percent"], 2) if rows else 0.0
        rows.append(
            {
                "leg": way.name,
                "calls": len(own),
                "words": score.words,
                "wer_percent": percent,
                "points_worse": worse,
                "interrupted": sum(held.interrupted for held in own),
                "keys": sum(held.keys == held.keys_wanted for held in own) if way.keys else None,
                "answer": percentiles([wait for held in own for wait in held.waits]),
                "passed": worse <= ALLOWED_POINTS and all(held.whole for held in own),
                "problems": [_problem(held) for held in own if not held.whole],
            }
        )
    return {"load_average": round(os.getloadavg()[0], 1), "legs": rows}


def _problem(held: Held) -> str:
    if held.error:
        return held.error
    if held.complaints:
        return f"the carrier complains: {held.complaints[0]}"
    if not held.interrupted:
        return "the bot was not interrupted"
    if held.keys != held.keys_wanted:
        return f"keys {held.keys_wanted!r} came as {held.keys!r}"
    return f"it ended with {held.reason!r}"


def _show(console: Console, told: dict[str, Any]) -> None:
    table = Table(title="the same conversation over every leg", title_justify="left")
    table.add_column("leg")
    for column in ("calls", "words", "WER %", "worse", "interrupted", "keys", "answer p50 ms"):
        table.add_column(column, justify="right")
    table.add_column("")
    for row in told["legs"]:
        keys = "none" if row["keys"] is None else str(row["keys"])
        cells = [row["leg"], row["calls"], row["words"], row["wer_percent"], row["points_worse"]]
        cells += [row["interrupted"], keys, row["answer"]["p50_ms"]]
        table.add_row(*map(str, cells), "[green]passed[/]" if row["passed"] else "[red]failed[/]")
    console.print(table)
    for row in told["legs"]:
        for problem in row["problems"]:
            console.print(f"{row['leg']}: {problem}", style="red", markup=False)
    console.print(f"load average {told['load_average']}")
