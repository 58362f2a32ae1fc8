"""`voicemesh chaos`: break a mesh while calls run, and check every word of them."""

from __future__ import annotations

import asyncio
import json
import random
import signal
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer
import uvloop
from rich.console import Console

from voicemesh.chaos.mesh import TOPOLOGY
from voicemesh.chaos.picture import picture
from voicemesh.chaos.plan import Kind, Target
from voicemesh.chaos.report import summary
from voicemesh.chaos.run import Wish, run
from voicemesh.errors import InvalidInput

if TYPE_CHECKING:
    from voicemesh.chaos.outcome import Outcome

EVERYTHING = ",".join(Target)
_MOST_SEED = 999_999
NameT = TypeVar("NameT", bound=StrEnum)


class Models(StrEnum):
    """Which engines the mesh runs."""

    SCRIPTED = "scripted"
    EMBEDDED = "embedded"


_Topology = Annotated[
    Path,
    typer.Option("--topology", "-t", help="Topology file. Default: two or three of everything."),
]
_Calls = Annotated[int, typer.Option("--calls", "-n", min=1, max=500, help="Calls at once.")]
_Seconds = Annotated[
    float, typer.Option("--seconds", min=1, max=86400, help="How long faults go on.")
]
_Faults = Annotated[
    str,
    typer.Option(
        "--fault",
        help="Of kill, hang, loop, cut, drain, deploy, tool, provider; commas between them.",
    ),
]
_Targets = Annotated[
    str,
    typer.Option(
        "--target",
        help="Of orchestrator, stt, llm, tts, gateway, edge, mesh (the last two are Envoys); "
        "commas between them.",
    ),
]
_Every = Annotated[float, typer.Option("--every", min=0.1, help="Seconds between two faults.")]
_Seed = Annotated[
    int | None, typer.Option("--seed", help="Chooses faults and words. Default: a new one.")
]
_Models = Annotated[Models, typer.Option(help="Engines of the mesh.")]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs instead of tables.")]
_Picture = Annotated[
    Path | None, typer.Option("--picture", metavar="PNG", help="Draw the timeline of the run.")
]
_Logs = Annotated[
    Path | None,
    typer.Option(
        "--logs",
        metavar="DIR",
        help="Keep the logs of all processes, and what is known of each call.",
    ),
]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("chaos")(chaos)


def chaos(  # noqa: PLR0913, PLR0917 - one parameter for each option
    topology: _Topology = TOPOLOGY,
    calls: _Calls = 10,
    seconds: _Seconds = 60.0,
    fault: _Faults = "kill,hang",
    target: _Targets = EVERYTHING,
    every: _Every = 2.0,
    seed: _Seed = None,
    models: _Models = Models.SCRIPTED,
    as_json: _Json = False,
    chart: _Picture = None,
    logs: _Logs = None,
) -> None:
    """Break a mesh of its own while calls run, and check every word, sentence and tool call.

    Each caller says lines that no other call has, checks that they are understood, that each
    sentence of the answer is heard exactly once, and that each tool is called exactly once. Faults
    come from the seed alone; a run is repeated with the seed that it printed.

    * kill: SIGKILL. hang: the process is stopped for 1 to 4 s, and wakes up as a ghost.
    * loop: its event loop is blocked for a second, while its other threads still answer pings.
    * cut: its connections swallow everything for 1 to 4 s.
    * drain: it is replaced and drains. deploy: everything is.
    * tool: an orchestrator is killed each time it calls a tool, once or twice for each intent:
      before the tool does it, behind that, or with its answer on the way.
    * provider: a provider stands behind all three senses, with a scripted engine as the next in
      line, and is sick now and then: it stalls, resets, drips, answers 401, 429 or 500, says
      "success" with nothing in it, or sends garbage. No gap may be longer than its deadline (1 s)
      and 0.3 s.

    A gap is silence that an undisturbed call would not have had: a hole in the bot's sentence, or
    an answer that came more than 100 ms later than answers did before the first fault. It counts
    for the newest fault in the 3 s before it that can have reached the call.

    Ends with status 1 if anything was lost, repeated or wrong.

    For example:

    `voicemesh chaos --calls 30 --seconds 60 --picture chaos.png`

    `voicemesh chaos --fault hang,loop --target orchestrator --seed 7 --json`
    """
    if not topology.is_file():
        raise InvalidInput("--topology", f"there is no file {topology}")
    wish = Wish(
        seed=random.randint(0, _MOST_SEED) if seed is None else seed,  # noqa: S311 - no secret
        calls=calls,
        seconds=seconds,
        every=every,
        kinds=_named(Kind, "--fault", fault),
        targets=_named(Target, "--target", target),
        models=models.value,
        topology=topology.absolute(),
        logs=logs,
    )
    console = Console(quiet=as_json, highlight=False)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            outcome = runner.run(_chaos(wish, console))
    except asyncio.CancelledError as error:  # told to stop
        raise typer.Exit(130) from error
    if chart:
        picture(outcome, chart)
    if logs:
        accounts = json.dumps(outcome.accounts(), indent=1)
        (logs / "calls.json").write_text(accounts, encoding="utf-8")
    console.print(summary(outcome))
    if as_json:
        typer.echo(json.dumps(outcome.as_json(), indent=1))
    if not outcome.well:
        raise typer.Exit(1)


async def _chaos(wish: Wish, console: Console) -> Outcome:
    task = asyncio.current_task()
    if task is not None:
        # A SIGTERM ends the block that holds the mesh, not only this process.
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await run(wish, lambda what: console.print(what, style="dim"))


def _named(kind: type[NameT], option: str, text: str) -> tuple[NameT, ...]:
    try:
        return tuple(kind(name.strip()) for name in text.split(",") if name.strip())
    except ValueError as error:
        allowed = ", ".join(kind)
        raise InvalidInput(option, f"{text!r}: use {allowed}", allowed=allowed) from error
