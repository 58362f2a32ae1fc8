"""`voicemesh eval`: measure a running mesh."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from voicemesh.client import parse_format
from voicemesh.commands import legs
from voicemesh.commands.places import find
from voicemesh.evaluation import ClipResult, Normaliser, evaluate, load_clips, score
from voicemesh.evaluation.speech import Listening

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voicemesh.evaluation import Clip

_Folder = Annotated[
    Path, typer.Argument(metavar="DIR", help="Folder with sentences.tsv and VOICE_ID_16k.wav.")
]
_To = Annotated[
    str | None,
    typer.Option("--to", metavar="ADDRESS", help="Where calls come in. Default: the local mesh."),
]
_Format = Annotated[
    str, typer.Option("--format", "-f", help="How the speech is sent: l16-16000, pcmu, pcma, …")
]
_Concurrency = Annotated[
    int, typer.Option("--concurrency", "-c", min=1, max=100, help="Calls at the same time.")
]
_Limit = Annotated[
    int | None, typer.Option("--limit", min=1, help="Stop after so many clips. Default: all.")
]
_Bot = Annotated[str, typer.Option("--bot", "-b", help="Bot to call; it should only listen.")]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs instead of a table.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    evaluation = typer.Typer(help="Measure a running mesh.", no_args_is_help=True)
    evaluation.callback()(_eval)
    evaluation.command("speech")(speech)
    evaluation.command("legs")(legs.compare)
    app.add_typer(evaluation, name="eval")


def _eval() -> None:
    """Measure a running mesh."""


def speech(  # noqa: PLR0913, PLR0917 - one parameter for each option
    folder: _Folder,
    to: _To = None,
    fmt: _Format = "l16-16000",
    concurrency: _Concurrency = 2,
    limit: _Limit = None,
    bot: _Bot = "listener",
    as_json: _Json = False,
) -> None:
    """Play spoken sentences to the mesh, as calls in real time, and count the words it got wrong.

    Word error rate is counted after both sides went through the same English normalisation;
    numbers, times of day and spelled-out addresses count as equal however they are written.
    Latency runs from the last sample of speech, as it was sent, to the final transcript.

    Needs a running mesh: `voicemesh up --detach`, or --to.
    """
    listening = Listening(find(to).edge, parse_format(fmt), bot)
    clips = load_clips(folder)[:limit]
    normalise = Normaliser()
    results = asyncio.run(_hear_all(clips, listening, concurrency, Console(quiet=as_json)))
    scored = {"format": fmt, "concurrency": concurrency} | score(results, normalise)
    if as_json:
        typer.echo(json.dumps(scored, indent=1))
    else:
        _show(Console(), scored)
    if scored["failed"]:
        raise typer.Exit(1)


async def _hear_all(
    clips: Sequence[Clip], listening: Listening, concurrency: int, console: Console
) -> list[ClipResult]:
    columns = (TextColumn("listening"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    results = []
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=len(clips))
        async for result in evaluate(clips, listening, concurrency):
            results.append(result)
            progress.advance(task)
    return sorted(results, key=lambda result: result.clip.path.name)


def _show(console: Console, scored: dict[str, Any]) -> None:
    for result in scored["results"]:
        if not result["right"]:
            console.print(f"{result['clip']}: {result['error'] or ''}", style="bold", markup=False)
            console.print(f"  said        {result['said']}", markup=False)
            console.print(f"  understood  {result['understood']}", markup=False)
    table = Table(title=f"{scored['clips']} clips as {scored['format']}", title_justify="left")
    table.add_column("voice")
    for column in ("WER %", "words", "wrong", "missing", "added"):
        table.add_column(column, justify="right")
    for voice, counted in (*scored["voices"].items(), ("all", scored["total"])):
        table.add_row(voice, *(str(value) for value in counted.values()))
    console.print(table)
    latency = scored["latency"]
    if latency["count"]:
        console.print(
            f"end of speech to final transcript: p50 {latency['p50_ms']:.0f} ms, "
            f"p95 {latency['p95_ms']:.0f} ms, longest {latency['max_ms']:.0f} ms"
        )
    if scored["failed"]:
        console.print(f"{scored['failed']} calls failed", style="red")
