"""The `voicemesh` command: what callers and bot authors need, and what each part adds."""

from __future__ import annotations

import json
import sys
from importlib.metadata import entry_points
from typing import TYPE_CHECKING

import typer

from voicemesh.commands import bench, bots, call, chaos, conform, emulate, evaluate, units
from voicemesh.errors import VoicemeshError

if TYPE_CHECKING:
    from collections.abc import Sequence

GROUP = "voicemesh.commands"
"""Entry points of this group are functions that take the typer app and add commands to it."""


def build() -> typer.Typer:
    """Return the command with the commands of every part that is installed."""
    app = typer.Typer(
        name="voicemesh",
        help="Voice bots that run the way large web systems run: call one, check one, measure one.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        add_completion=False,
        rich_markup_mode="markdown",
    )
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
        try:
            register = entry.load()
        except ImportError as error:
            # A part that cannot be loaded must not take the other commands with it.
            typer.echo(f"voicemesh: the part {entry.name!r} is not usable: {error}", err=True)
            continue
        register(app)
    for own in (call, emulate, bots, evaluate, conform, bench, chaos, units):
        own.register(app)
    return app


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command; an error of ours is one line on stderr (JSON with --json) and exit 1."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    try:
        build()(given, prog_name="voicemesh")
    except VoicemeshError as error:
        typer.echo(_as_json(error) if "--json" in given else f"voicemesh: {error}", err=True)
        sys.exit(1)


def _as_json(error: VoicemeshError) -> str:
    told = {
        "kind": type(error).__name__,
        "reason": error.reason,
        "message": error.message,
        "details": error.details,
    }
    return json.dumps({"error": told})


if __name__ == "__main__":
    main()
