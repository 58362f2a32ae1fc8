"""`voicemesh emulate`: a call as a carrier places it, without an account."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from voicemesh.carriers.dialect import DialectSettings
from voicemesh.carriers.table import DIALECTS
from voicemesh.client import HangUp, Play, Press, Say, Speaker, Step, load_speech, perform, voiced
from voicemesh.commands.call import script
from voicemesh.commands.places import find, need_mesh
from voicemesh.emulate import CarrierCall, Order, carrier_record, natural_start
from voicemesh.errors import InvalidInput

if TYPE_CHECKING:
    from typing import Any

    from voicemesh.carriers.dialect import Began, Dialect

_Carrier = Annotated[str, typer.Argument(metavar="CARRIER", help=f"One of {', '.join(DIALECTS)}.")]
_Bot = Annotated[
    str,
    typer.Option("--bot", "-b", help="Name of the bot to call; empty: as the numbers file says."),
]
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
_Press = Annotated[str, typer.Option("--press", help="Press these keys before hanging up.")]
_To = Annotated[
    str | None,
    typer.Option("--to", metavar="ADDRESS", help="Where sockets come in. Default: the local mesh."),
]
_Mesh = Annotated[
    str | None,
    typer.Option(
        "--mesh", metavar="ADDRESS", help="Where --say finds a voice. Default: the local mesh."
    ),
]
_Token = Annotated[str, typer.Option("--token", help="The gateways' VOICEMESH_CARRIER_TOKEN.")]
_Caller = Annotated[str, typer.Option("--caller", help="Who calls, where the carrier tells.")]
_Callee = Annotated[str, typer.Option("--callee", help="Who is called, where the carrier tells.")]
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
_Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of a table.")]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("emulate")(emulate)


def emulate(  # noqa: PLR0913, PLR0917 - one parameter for each option
    carrier: _Carrier,
    bot: _Bot = "",
    audio: _Audio = None,
    say: _Say = None,
    press: _Press = "",
    to: _To = None,
    mesh: _Mesh = None,
    token: _Token = "",
    caller: _Caller = "",
    callee: _Callee = "",
    interrupt_ms: _Interrupt = None,
    record: _Record = None,
    as_json: _Json = False,
) -> None:
    """Place a call over a carrier's media socket, in real time, playing the carrier.

    Waits for the greeting, then says each recording or text in turn, waits for the bot to finish
    its answer, presses keys if asked to, and hangs up. The carrier's queue, marks and clears are
    emulated; what the carrier would complain of is shown.

    For example:

    `voicemesh emulate twilio --bot frontdesk --say "What time do you close on Sundays?"`
    """
    dialect = DIALECTS.get(carrier)
    if dialect is None:
        raise InvalidInput("CARRIER", f"is {carrier!r}, not one of {', '.join(DIALECTS)}")
    if audio and say:
        raise InvalidInput("--say", "cannot be used together with --audio")
    order = Order(bot=bot, token=token, caller=caller, callee=callee)
    wire = natural_start(dialect, DialectSettings())
    speech: list[Play | Say] = [Say(text) for text in say or ()]
    speech += [Play(load_speech(path, wire.sent.rate), path.name) for path in audio or ()]
    steps = script(speech, interrupt_ms)
    if press:
        steps[-1:] = [Press(press), HangUp()]
    console = Console(quiet=as_json)
    done = asyncio.run(_emulate(dialect, wire, order, steps, (to, mesh), console))
    if record is not None:
        done.record(record)
        console.print(f"recorded {record}")
    told = carrier_record(done)
    if as_json:
        typer.echo(json.dumps(told, indent=1))
    else:
        console.print(_table(dialect, told))


async def _emulate(
    dialect: Dialect,
    wire: Began,
    order: Order,
    steps: list[Step],
    where: tuple[str | None, str | None],
    console: Console,
) -> CarrierCall:
    places = find(*where)
    if any(isinstance(getattr(step, "speech", step), Say) for step in steps):
        async with Speaker.at(need_mesh(places), engine=places.voice_engine) as speaker:
            with console.status("finding words"):
                steps = await voiced(steps, speaker, wire.sent)
    with console.status(f"calling as {dialect.title}"):
        async with CarrierCall.place(dialect, places.edge, order) as call:
            await perform(call, steps)
    return call


def _table(dialect: Dialect, told: dict[str, Any]) -> Table:
    table = Table(title=f"one call as {dialect.title}", show_header=False)
    for name, value in told.items():
        if value not in ("", [], None):
            table.add_row(name, json.dumps(value) if isinstance(value, dict | list) else str(value))
    return table
