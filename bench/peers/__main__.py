"""`python -m bench.peers`: how much processor time a call takes here and there."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import os
import platform
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bench.peers.figures import Sample, Spread
from bench.peers.run import CALLS, Match, Result, compare
from voicemesh.commands.bench import Delays
from voicemesh.errors import InvalidInput, VoicemeshError

PEER = "Pipecat 1.14.0"
_WIDE = 160
"""Columns of a file or a pipe."""
DEFAULT_CALLS = ",".join(f"{setting}={count}" for setting, count in CALLS.items())


def command(  # noqa: PLR0913, PLR0917 - one parameter for each option
    python: Annotated[
        Path, typer.Option(help="Interpreter of the environment that the peer is installed in.")
    ] = Path(".venv-peers/bin/python"),
    rounds: Annotated[int, typer.Option(min=1, max=50, help="Medians want five.")] = 5,
    seconds: Annotated[
        float, typer.Option(min=5, max=600, help="How long each measurement lasts.")
    ] = 20.0,
    calls: Annotated[
        str,
        typer.Option(
            metavar="SETTING=CALLS,...",
            help="What is compared, with how many calls on either side.",
        ),
    ] = DEFAULT_CALLS,
    own_calls: Annotated[
        int,
        typer.Option(min=0, max=2000, help="Also voicemesh alone with so many calls; 0: not."),
    ] = 100,
    delays: Annotated[
        Delays, typer.Option(help="Of engines on both sides; see `voicemesh bench --help`.")
    ] = Delays.ZERO,
    pin: Annotated[
        bool, typer.Option(help="Keep what is measured and its callers on different cores.")
    ] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Measure Pipecat and voicemesh in turn under the same calls, and print the ratio.

    The callers are those of `voicemesh bench --leg twilio`. Every system has the machine to itself
    while it is measured. Counted is the processor time (user and system) of all its processes: of
    Pipecat one, of voicemesh all services and Envoys. Settings are how Pipecat notices speech:
    energy, silero, defaults (Silero and the smart turn model); voicemesh always runs Silero.

    Ends with status 1 if a goal is missed, 2 if the figures cannot be trusted.
    """
    match = Match(
        python=python.absolute(),
        rounds=rounds,
        seconds=seconds,
        calls=wanted(calls),
        own_calls=own_calls,
        delays=delays,
        pin=pin,
    )
    shown = Console(stderr=True, highlight=False)
    try:
        result = _watched(match, shown)
    except VoicemeshError as error:
        shown.print(f"bench-peers: {error}", style="red")
        raise typer.Exit(2) from error
    if as_json:
        typer.echo(json.dumps(_told(match, result), indent=1))
    else:
        _show(result, match)
    if any(one.doubts() for one in result.comparisons):
        raise typer.Exit(2)
    if not all(one.met for one in result.comparisons):
        raise typer.Exit(1)


def wanted(text: str) -> dict[str, int]:
    """Return how many calls each setting is compared with; raise InvalidInput if that is unclear.

    Such as ``energy=20,silero=15``.
    """
    found: dict[str, int] = {}
    for part in text.split(","):
        setting, _, count = part.strip().partition("=")
        if setting not in CALLS:
            raise InvalidInput("--calls", f"no setting {setting!r}, only {', '.join(CALLS)}")
        if not count.isdecimal() or not 1 <= int(count) <= 500:
            raise InvalidInput("--calls", f"{setting}={count}: give 1 to 500 calls")
        found[setting] = int(count)
    return found


def _watched(match: Match, shown: Console) -> Result:
    done = 0
    with shown.status("starting") as status:

        def note(what: str, sample: Sample | None) -> None:
            nonlocal done
            if sample is None:
                status.update(f"{what} ({done + 1} of {match.count()})")
                return
            done += 1
            late = f"{sample.late_p99_ms:.0f} ms late (p99)"
            trust = "  noisy" if sample.noise else ""
            shown.print(f"{what:32} {sample.cpu_ms:6.2f} ms per session-second  {late}{trust}")

        return asyncio.run(compare(match, note))


def _show(result: Result, match: Match) -> None:
    table = Table(
        title=f"CPU ms per session-second, median of {match.rounds} (least to most)",
        title_justify="left",
        box=None,
    )
    further = (f"ratio to {match.own_calls} calls of ours",) if result.own else ()
    for column in ("voice activity", "calls", PEER, "voicemesh", "ratio", "goal", *further):
        table.add_column(column, justify="left" if column == "voice activity" else "right")
    for one in result.comparisons:
        table.add_row(
            one.setting,
            str(one.calls),
            *(_spread(costs(samples)) for samples in (one.peer, one.ours)),
            Text(_spread(one.ratio), style="green" if one.met else "red"),
            f"{one.goal:g}",
            *([_spread(one.ratio_to(result.own))] if result.own else []),
        )
    if result.own:
        table.add_row("", str(match.own_calls), "", _spread(costs(result.own)), "", "", "")
    console = Console(highlight=False)
    console = console if console.is_terminal else Console(highlight=False, width=_WIDE)
    console.print(table)
    for one in result.comparisons:
        for doubt in one.doubts():
            console.print(f"{one.setting}: {doubt}", style="yellow")


def costs(samples: tuple[Sample, ...]) -> Spread:
    """Return the spread of what several measurements cost."""
    return Spread.of([sample.cpu_ms for sample in samples])


def _spread(spread: Spread) -> str:
    return f"{spread.median:.2f} ({spread.least:.2f} to {spread.most:.2f})"


def _told(match: Match, result: Result) -> dict[str, Any]:
    return {
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "machine": {"processor": platform.machine(), "cores": os.cpu_count()},
        "peer": PEER,
        "rounds": match.rounds,
        "seconds": match.seconds,
        "delays": match.delays,
        "comparisons": [
            one.as_json()
            | ({"ratio_to_own_calls": one.ratio_to(result.own).as_json()} if result.own else {})
            for one in result.comparisons
        ],
        "voicemesh_alone": {
            "calls": match.own_calls,
            "samples": [sample.as_json() for sample in result.own],
        },
    }


if __name__ == "__main__":
    try:
        typer.run(command)
    except VoicemeshError as error:
        typer.echo(f"bench-peers: {error}", err=True)
        sys.exit(2)
