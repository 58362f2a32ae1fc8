"""`voicemesh conform`: judge whether an implementation of the protos keeps what they say."""

from __future__ import annotations

import asyncio
import json
import os
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from voicemesh.audio import MESH_RATES, read_wav
from voicemesh.conform.run import Wish, judge
from voicemesh.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voicemesh.conform.check import Finding


class Sense(StrEnum):
    """What can be judged."""

    STT = "stt"
    LLM = "llm"
    TTS = "tts"
    BOT = "bot"


_Sense = Annotated[Sense, typer.Argument(help="What it implements.")]
_Target = Annotated[str, typer.Argument(help="Where it listens, such as 127.0.0.1:7001.")]
_Engine = Annotated[
    str, typer.Option(help="Name of the engine that requests ask for; of a brain, the bot's.")
]
_Rate = Annotated[int, typer.Option(help="Samples per second: 8000 or 16000.")]
_Language = Annotated[str, typer.Option(help="BCP-47 language that requests name.")]
_Seconds = Annotated[float, typer.Option(min=0.1, max=300, help="How long one answer may take.")]
_Audio = Annotated[
    Path | None,
    typer.Option(
        metavar="WAV",
        help="Speech for a recogniser: 16 bit, mono, at that rate, 1 to 8 s. Default: a synthetic "
        "voice, in which only the scripted engine finds words.",
    ),
]
_Pid = Annotated[
    int,
    typer.Option(min=0, help="Its process, to be told to stop (SIGTERM) as the last check."),
]
_Secret = Annotated[
    str, typer.Option(metavar="env:NAME", help="Where the secret is that a brain knows us by.")
]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs instead of a table.")]

LEAST_SECONDS, MOST_SECONDS = 1, 8


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("conform")(conform)


def conform(  # noqa: PLR0913, PLR0917 - one parameter for each option
    sense: _Sense,
    target: _Target,
    engine: _Engine = "scripted",
    rate: _Rate = 16000,
    language: _Language = "en",
    seconds: _Seconds = 20.0,
    audio: _Audio = None,
    pid: _Pid = 0,
    secret: _Secret = "",
    as_json: _Json = False,
) -> None:
    """Drive an implementation of the protos, in any language, and report what it keeps of them.

    Order of messages, offsets, half-close, cancellation, deadlines, back-pressure, bad input,
    concurrency, and how it goes. How well it hears, answers or speaks is not judged. Ends with
    status 1 if anything is not kept. What each check promises: docs/conformance.md.

    For example:

    `voicemesh conform tts 127.0.0.1:7003 --engine mine`

    `DESK_SECRET=… voicemesh conform bot 127.0.0.1:7901 --engine desk --secret env:DESK_SECRET`

    `voicemesh conform stt 127.0.0.1:7001 --engine whisper --audio hello.wav --json`
    """
    if rate not in MESH_RATES:
        raise InvalidInput("--rate", f"is {rate}, not one of {MESH_RATES}")
    wish = Wish(
        sense.value,
        target,
        engine,
        rate,
        language,
        seconds,
        _speech(audio, rate),
        pid,
        _secret(secret),
    )
    console = Console(quiet=as_json, highlight=False)
    found = asyncio.run(_judged(wish, console))
    if as_json:
        typer.echo(json.dumps([asdict(one) | {"holds": one.holds} for one in found], indent=1))
    kept = sum(one.holds for one in found)
    console.print(f"{kept} of {len(found)} promises kept")
    if kept < len(found):
        raise typer.Exit(1)


def _secret(place: str) -> str:
    if not place:
        return ""
    kind, _, name = place.partition(":")
    if kind != "env" or not os.environ.get(name):
        raise InvalidInput("--secret", "must be env:NAME, and the environment must have it")
    return os.environ[name]


def _speech(audio: Path | None, rate: int) -> bytes:
    if audio is None:
        return b""
    try:
        found, samples = read_wav(audio)
    except OSError as error:
        raise InvalidInput("--audio", f"{audio}: {error.strerror}") from error
    if found != rate:
        raise InvalidInput("--audio", f"{audio} has {found} hertz, not {rate}")
    if not LEAST_SECONDS <= samples.size / rate <= MOST_SECONDS:
        raise InvalidInput("--audio", f"{audio} must last {LEAST_SECONDS} to {MOST_SECONDS} s")
    return samples.astype("<i2").tobytes()


async def _judged(wish: Wish, console: Console) -> Sequence[Finding]:
    found: list[Finding] = []
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for column in ("", "topic", "promise", "s"):
        table.add_column(column)
    with console.status("judging") as status:
        async for one in judge(wish):
            found.append(one)
            status.update(f"{len(found)} done; last: {one.about}")
            mark = Text("kept", "green") if one.holds else Text("broken", "red")
            about = Text(one.about)
            if one.problem:
                about.append(f"\n{one.problem}", "red")
            table.add_row(mark, one.topic, about, f"{one.seconds:.2f}")
    console.print(table)
    return found
