"""`voicemesh bots`: look at bot files before a caller does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from voicemesh.bots import Bots, Problem, check as find_problems

_Folder = Annotated[Path, typer.Argument(metavar="DIR", help="Folder of bot files.")]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs instead of lines.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    bots = typer.Typer(help="Look at bot files before a caller does.", no_args_is_help=True)
    bots.callback()(_bots)
    bots.command("check")(check)
    app.add_typer(bots, name="bots")


def _bots() -> None:
    """Look at bot files before a caller does."""


def check(folder: _Folder = Path("bots"), as_json: _Json = False) -> None:
    """Read every bot file of a folder and name all that is wrong, with file, line and field.

    Ends with status 1 if anything is. Variables that tools need must be set in the environment.
    """
    problems = find_problems(folder)
    names = [] if problems else [bot.name for bot in Bots.load(folder)]
    if as_json:
        typer.echo(json.dumps({"bots": names, "problems": [_told(one) for one in problems]}))
    else:
        console = Console(highlight=False, soft_wrap=True)
        for problem in problems:
            console.print(str(problem), markup=False, style="red")
        if not problems:
            console.print(f"{len(names)} bots are fine: {', '.join(names)}", markup=False)
    if problems:
        raise typer.Exit(1)


def _told(problem: Problem) -> dict[str, str | int]:
    return {
        "file": str(problem.file),
        "line": problem.line,
        "field": problem.field,
        "message": problem.message,
    }
