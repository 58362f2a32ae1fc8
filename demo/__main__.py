"""The demo: a whole spoken call through a whole mesh, on this machine, judged at the end.

``python -m demo`` (or ``make demo``) starts the local mesh with the embedded models and a small
booking service, has a caller with a voice hold a conversation, and writes ``demo/call.wav``
(caller left, bot right), ``demo/call.json`` and ``demo/waterfall.png``.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from demo import story
from demo.booking import BookingService
from demo.judge import judge
from mesh.local import LocalMesh, State
from mesh.topology import LOCAL, load, on_free_ports
from voicemesh.audio import AudioFormat, Encoding
from voicemesh.client import Call, Speaker, Step, call_record, perform, voiced
from voicemesh.commands.screen import Screen, summary
from voicemesh.errors import VoicemeshError
from voicemesh.waterfall import picture

if TYPE_CHECKING:
    from collections.abc import Sequence

    from demo.judge import Finding

FOLDER = Path(__file__).parent
PHONE = AudioFormat(Encoding.MULAW, 8000)


async def run(console: Console) -> list[Finding]:
    """Hold the call and write its files; return what was found."""
    with BookingService() as booking, tempfile.TemporaryDirectory() as home:
        mesh = LocalMesh(
            on_free_ports(load(LOCAL)),
            home=Path(home),
            environment={"VOICEMESH_BOOKING_URL": booking.url},
            drain_seconds=2.0,
            progress=lambda name, state: _tell(console, name, state),
        )
        console.print("[bold]starting a mesh[/]: two Envoys and six services, models inside\n")
        async with mesh:
            async with Speaker.at(mesh.mesh_target) as speaker:
                steps = await voiced(story.STEPS, speaker, PHONE)
            call = await _hold(mesh.edge_target, steps, console)
        record = call_record(call)
        _write(call, console)
        return judge(record, booking.appointments())


async def _hold(target: str, steps: Sequence[Step], console: Console) -> Call:
    console.print(f"\n[bold]calling {story.BOT}[/] at {target}, G.711 as a phone would\n")
    placed = Call.place(target, bot=story.BOT, caller_format=PHONE, caller=story.CALLER)
    async with placed as call:
        caller = asyncio.create_task(perform(call, steps))
        caller.add_done_callback(lambda _: call.hang_up() if not call.over else None)
        with Screen(console) as screen:
            async for event in call:
                screen.show(event)
        await caller
    console.print()
    console.print(summary(call))
    return call


def _write(call: Call, console: Console) -> None:
    call.record(FOLDER / "call.wav")
    (FOLDER / "call.json").write_text(json.dumps(call_record(call), indent=1) + "\n")
    picture([turn.report for turn in call.turns], FOLDER / "waterfall.png")
    names = ", ".join(f"demo/{name}" for name in ("call.wav", "call.json", "waterfall.png"))
    console.print(f"\nwrote {names}")


def _tell(console: Console, name: str, state: State) -> None:
    if state in (State.SERVING, State.BACKOFF, State.FAILED):
        console.print(f"  {name:<16}{state.value}", style="dim", highlight=False)


def _verdict(findings: Sequence[Finding]) -> Table:
    table = Table("", "what must hold", "seen", title="verdict", title_justify="left")
    for finding in findings:
        missed = "[bold red]NO[/]" if finding.required else "[yellow]no[/]"
        mark = "[green]yes[/]" if finding.held else missed
        table.add_row(mark, finding.what, finding.seen)
    return table


def main() -> int:
    """Run the demo; return 0 if everything that must hold did."""
    console = Console()
    try:
        findings = asyncio.run(run(console))
    except VoicemeshError as error:
        console.print(f"[bold red]the demo failed:[/] {error.message}")
        return 1
    console.print(_verdict(findings))
    return 0 if all(finding.held for finding in findings if finding.required) else 1


if __name__ == "__main__":
    sys.exit(main())
