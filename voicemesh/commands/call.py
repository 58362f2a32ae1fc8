"""`voicemesh call`: one spoken call with a bot."""

from __future__ import annotations

import asyncio
import json
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from voicemesh.client import (
    AwaitReply,
    Call,
    HangUp,
    Interrupt,
    Play,
    Say,
    Speaker,
    Step,
    call_record,
    load_speech,
    parse_format,
    perform,
    voiced,
)
from voicemesh.commands.places import Places, find, need_mesh
from voicemesh.commands.screen import Screen, summary
from voicemesh.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voicemesh.audio import AudioFormat

GREETING = AwaitReply(deadline_seconds=3.0, required=False)
"""A bot may have no greeting."""

_Bot = Annotated[str, typer.Option("--bot", "-b", help="Name of the bot to call.")]
_Audio = Annotated[
    list[Path] | None,
    typer.Option(
        "--audio", "-a", metavar="WAV", help="Say a recording (16 bit, mono). Repeatable."
    ),
]
_Say = Annotated[
    list[str] | None,
    typer.Option("--say", "-s", metavar="TEXT", help="Say words, spoken by an engine. Repeatable."),
]
_To = Annotated[
    str | None,
    typer.Option("--to", metavar="ADDRESS", help="Where calls come in. Default: the local mesh."),
]
_Mesh = Annotated[
    str | None,
    typer.Option(
        "--mesh", metavar="ADDRESS", help="Where --say finds a voice. Default: the local mesh."
    ),
]
_Format = Annotated[
    str,
    typer.Option("--format", "-f", help="pcmu, pcma, l16-8000, l16-16000, l16-24000 or l16-48000."),
]
_Interrupt = Annotated[
    int | None,
    typer.Option(
        "--interrupt-ms",
        min=0,
        help="From the second one on, speak this long into the bot's answer, not after it.",
    ),
]
_Record = Annotated[
    Path | None,
    typer.Option("--record", "-r", metavar="WAV", help="Write both sides: caller left, bot right."),
]
_Json = Annotated[
    bool, typer.Option("--json", help="Print one JSON document at the end instead of showing it.")
]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("call")(call)


def call(  # noqa: PLR0913, PLR0917 - one parameter for each option
    bot: _Bot = "frontdesk",
    audio: _Audio = None,
    say: _Say = None,
    to: _To = None,
    mesh: _Mesh = None,
    fmt: _Format = "pcmu",
    interrupt_ms: _Interrupt = None,
    record: _Record = None,
    as_json: _Json = False,
) -> None:
    """Call a bot in real time, and show what is said and where the time of each turn goes.

    Waits for the greeting, then says each recording or text in turn, waits for the bot to finish
    its answer, and hangs up. Without either it only listens to the greeting.

    Each turn's bar runs from the caller's last word to the bot's first. "At the caller" is the same
    span by the caller's own clock, network included.

    For example:

    `voicemesh call --say "What time do you close on Sundays?" --record call.wav`

    `voicemesh call --bot listener --audio hello.wav --format l16-16000 --json`
    """
    if audio and say:
        raise InvalidInput("--say", "cannot be used together with --audio")
    wire = parse_format(fmt)
    speech: list[Play | Say] = [Say(text) for text in say or ()]
    speech += [Play(load_speech(path, wire.rate), path.name) for path in audio or ()]
    console = Console(quiet=as_json)
    done = asyncio.run(_call(find(to, mesh), bot, wire, script(speech, interrupt_ms), console))
    if record is not None:
        done.record(record)
        console.print(f"recorded {record}")
    if as_json:
        typer.echo(json.dumps(call_record(done), indent=1))


def script(speech: Sequence[Play | Say], interrupt_ms: int | None = None) -> list[Step]:
    """Return the steps of a caller who says these things."""
    steps: list[Step] = [GREETING]
    for number, said in enumerate(speech):
        if number and interrupt_ms is not None:
            steps[-1] = Interrupt(said, interrupt_ms / 1000)
        else:
            steps.append(said)
        steps.append(AwaitReply())
    return [*steps, HangUp()]


async def _call(
    places: Places, bot: str, wire: AudioFormat, steps: list[Step], console: Console
) -> Call:
    if any(isinstance(_speech(step), Say) for step in steps):
        async with Speaker.at(need_mesh(places), engine=places.voice_engine) as speaker:
            with console.status("finding words"):
                steps = await voiced(steps, speaker, wire)
    async with Call.place(places.edge, bot=bot, caller_format=wire) as held:
        caller = asyncio.create_task(perform(held, steps))
        try:
            await _show(held, caller, console)
            await caller
        finally:
            caller.cancel()
    if held.turns:
        console.print(summary(held))
    return held


async def _show(held: Call, caller: asyncio.Task[None], console: Console) -> None:
    """Show events until the call ends, or the script fails."""
    caller.add_done_callback(lambda task: held.hang_up() if _failed(task) else None)
    with nullcontext() if console.quiet else Screen(console) as screen:
        async for event in held:
            if screen is not None:
                screen.show(event)


def _failed(task: asyncio.Task[None]) -> bool:
    return not task.cancelled() and task.exception() is not None


def _speech(step: Step) -> Step:
    return step.speech if isinstance(step, Interrupt) else step
