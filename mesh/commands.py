"""The mesh's part of the ``voicemesh`` command."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.live import Live

from mesh import capacity, rehearsal
from mesh.auditing import audit
from mesh.envoy import Layout, Rendered, render, validate, write
from mesh.local import Home, LocalMesh, LocalWorld, MeshStatus, WorldStatus, ask
from mesh.local.daemon import spawn
from mesh.local.following import follow
from mesh.local.hold import hold
from mesh.local.process import alive
from mesh.local.renewal import ORDER
from mesh.local.world import chosen
from mesh.tables import starting_table, status_view
from mesh.topology import LOCAL, Topology, commands as topologies, load, service_name, with_phones
from mesh.trust.commands import token
from voicemesh.errors import InvalidInput, NotFound, Unavailable

_TopologyFile = Annotated[
    Path | None,
    typer.Option("--topology", "-t", help="Topology file. Default: one region on this machine."),
]
_Models = Annotated[
    str,
    typer.Option(
        help="Model set of the topology: `embedded` runs models on this machine, `scripted` "
        "answers from a script and needs none."
    ),
]
_Region = Annotated[
    str,
    typer.Option("--region", "-r", help="Which region, where several run here."),
]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs instead of a table.")]

_DOWN_SECONDS = 3700.0
"""The longest drain a topology may ask for, and the time to end everything after it."""
_SCALE_SECONDS = 300.0
_SUPERVISOR_EXIT_SECONDS = 3.0
_PAUSE = 0.02
_REFRESH_SECONDS = 1.0

_WIDE = 160


def register(app: typer.Typer) -> None:
    """Add this package's commands."""
    app.command()(up)
    app.command()(down)
    app.command()(status)
    app.command()(scale)
    app.command()(restart)
    app.command()(deploy)
    app.command()(token)
    envoy = typer.Typer(help="Look at the Envoy configuration that a topology becomes.")
    envoy.callback()(_envoy)
    envoy.command("render")(render_envoy)
    app.add_typer(envoy, name="envoy")
    topologies.register(app)
    app.command()(audit)
    capacity.register(app)
    rehearsal.register(app)


def up(
    topology: _TopologyFile = None,
    models: _Models = "embedded",
    detach: Annotated[
        bool, typer.Option("--detach", "-d", help="Return when everything serves; it runs on.")
    ] = False,
    sip: Annotated[
        bool, typer.Option("--sip", help="Also take calls from phones; see docs/carriers/sip.md.")
    ] = False,
    region: Annotated[
        str, typer.Option("--region", "-r", help="Start this region of the topology only.")
    ] = "",
    as_json: _Json = False,
) -> None:
    """Start the whole platform on this machine: the Envoys and every service of every region.

    What the topology's file says is followed while it runs: save another replica count, another
    region or tenant, and it is live within a second; no live call is touched.

    In the foreground it shows a live table; Ctrl-C lets live calls end, a second Ctrl-C does not.
    What crashes is started again. Nothing is left behind, even after `kill -9` of this command.

    State, sockets and logs are in $VOICEMESH_HOME (default: .voicemesh in the current folder).
    """
    if detach:
        _detach(topology or LOCAL, models, region, sip)
        status(as_json=as_json)
        return
    path = topology or LOCAL

    def prepared(read: Topology) -> Topology:
        return with_phones(read) if sip else read

    starting = _Starting()
    try:
        mesh = chosen(prepared(load(path)), region, models=models, progress=starting)
        asyncio.run(_foreground(mesh, starting, as_json, lambda: follow(mesh, path, prepared)))
    except asyncio.CancelledError as error:  # Ctrl-C while starting
        raise typer.Exit(130) from error


def down(
    now: Annotated[bool, typer.Option("--now", help="End live calls instead of waiting.")] = False,
) -> None:
    """Stop the platform and wait until every process is gone.

    Live calls may end first, for as long as the topology's drain_seconds says.
    """
    home = Home()
    supervisor: int = home.read_state().get("supervisor_pid", 0)
    try:
        ask(home, do="stop", now=now)
    except NotFound:
        _out().print(f"nothing runs in {home.folder}")
        return
    with _out().status("waiting for live calls to end"):
        if not _until(lambda: not home.taken, _DOWN_SECONDS):
            raise Unavailable("the supervisor does not end; use `voicemesh down --now`")
        # A supervisor of ours ends now; a program that runs a mesh inside itself may live on.
        _until(lambda: not alive(supervisor), _SUPERVISOR_EXIT_SECONDS)
    _out().print("down")


def _until(holds: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(_PAUSE)
    return True


def status(region: _Region = "", as_json: _Json = False) -> None:
    """Show every process: health, live calls, event loop lag, restarts, memory.

    And every engine and provider that was used: how often it worked and failed, how many processes
    leave it out for now because it failed or was silent, and whether it refuses our credentials.
    """
    told = ask(Home().of(region), do="status")
    found = (WorldStatus if "regions" in told else MeshStatus).model_validate(told)
    if as_json:
        typer.echo(found.model_dump_json(indent=1))
    else:
        _out().print(status_view(found))


def scale(
    service: Annotated[str, typer.Argument(help="gateway, orchestrator, stt, llm, tts or sip")],
    replicas: Annotated[int, typer.Argument(min=0, max=64, help="How many there shall be.")],
    wait: Annotated[
        bool, typer.Option("--wait", help="Also wait until removed replicas have drained.")
    ] = False,
    region: _Region = "",
) -> None:
    """Change how many replicas a service has, while calls run.

    New replicas get their first streams as soon as they are healthy. Removed ones get no new
    streams from now on, and end when their live streams did or drain_seconds are over.
    """
    seconds = _DOWN_SECONDS if wait else _SCALE_SECONDS
    wanted = service_name(service)
    home = _home(region)
    names = ask(home, seconds, do="scale", service=wanted, replicas=replicas, wait=wait)
    _out().print(f"{service}: {', '.join(names) or 'none'}")


def restart(
    process: Annotated[str, typer.Argument(help="Name as in `voicemesh status`.")],
    region: _Region = "",
) -> None:
    """Replace one process by a fresh one.

    A replica's replacement serves before the old one drains, so no call is refused. An Envoy is
    emptied first: its neighbour takes new streams, and the live ones are opened again there.
    """
    fresh = ask(_home(region), _SCALE_SECONDS, do="restart", process=process)
    _out().print(f"{process}: replaced by {fresh}")


def deploy(
    services: Annotated[
        list[str] | None,
        typer.Argument(
            help=f"Of {', '.join(ORDER)}. Default: all of them.", metavar="[SERVICE]..."
        ),
    ] = None,
    region: _Region = "",
    as_json: _Json = False,
) -> None:
    """Replace every process by a fresh one, one after another, while calls run.

    Live calls are handed over as each process goes: to the fresh replica or a neighbour, and from
    one Envoy to the other of its pair. It stops at the first process that cannot be replaced; what
    ran goes on then. Ctrl-C stops it between two processes.
    """
    since, done = time.monotonic(), []
    with Console(stderr=True).status("") as shown:
        home = _home(region)
        names = ask(home, do="plan", services=services or [])
        for number, name in enumerate(names, start=1):
            shown.update(f"replacing {name} ({number} of {len(names)})")
            one = ask(home, _DOWN_SECONDS, do="replace", process=name)
            done.append(one)
            if not as_json:
                _out().print(_replaced(one))
    seconds = round(time.monotonic() - since, 3)
    if as_json:
        typer.echo(json.dumps({"seconds": seconds, "replaced": done}, indent=1))
    else:
        _out().print(f"{len(done)} processes replaced in {seconds:.1f} s")


def _home(region: str) -> Home:
    """Return the run directory of a region; raise InvalidInput where one must be named."""
    home = Home()
    regions = home.read_state().get("regions", [])
    if regions and region not in regions:
        said = f"there is no {region!r}" if region else "several run here"
        raise InvalidInput("region", f"{said}; use --region with one of {', '.join(regions)}")
    return home.of(region if regions else "")


def _replaced(one: dict[str, Any]) -> str:
    cut = f", {one['streams_cut']} streams cut" if one["streams_cut"] else ""
    new = f"{one['replacement']} ({one['pid']})"
    return f"{one['process']} ({one['old_pid']}) -> {new} in {one['seconds']:.1f} s{cut}"


def render_envoy(
    topology: _TopologyFile = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder to write to: one folder per region and Envoy.")
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Also let Envoy itself check the result.")
    ] = False,
) -> None:
    """Write the Envoy configuration of a topology, as files that Envoy watches.

    Without --out it is printed as one JSON object, by file. The rules that keep calls alive are
    checked always; replicas are added to the endpoint files only while a mesh runs.
    """
    everything = _rendered(load(topology or LOCAL), out or Path("/etc/voicemesh"))
    for one in everything:
        if check:
            validate(one)
        if out:
            for path in write(one):
                typer.echo(str(path))
    if not out and not check:
        files = {str(path): data for one in everything for path, data in one.files().items()}
        typer.echo(json.dumps(files, indent=1))
    if check:
        _out().print(f"{len(everything)} configurations: Envoy accepts them")


def _envoy() -> None:
    """Keep ``render`` a command of its own, though it is the only one."""


def _rendered(topology: Topology, out: Path) -> list[Rendered]:
    return [
        render(topology, region, envoy, _layout(out.absolute() / region.name, envoy.name))
        for region in topology.regions
        for envoy in region.envoys()
    ]


def _layout(folder: Path, envoy: str) -> Layout:
    return Layout(folder / envoy, folder / "logs" / f"{envoy}-access.log")


def _out() -> Console:
    """Return standard output; into a file or a pipe lines are not cut at 80 columns."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=_WIDE)


class _Starting:
    """The table of a start, as its processes report."""

    def __init__(self, live: Live | None = None) -> None:
        self.live = live
        self._states: dict[str, str] = {}
        self.over = False

    def __call__(self, name: str, state: str) -> None:
        if self.over:
            return
        self._states[name] = str(state)
        if self.live:
            self.live.update(starting_table(self._states))


def _detach(topology: Path, models: str, region: str, sip: bool) -> None:
    with _live() as live:
        spawn(Home(), topology, models, _Starting(live), region=region, phones=sip)


async def _foreground(
    mesh: LocalMesh | LocalWorld,
    starting: _Starting,
    as_json: bool,
    following: Callable[[], Coroutine[Any, Any, None]],
) -> None:
    async def show(mesh: LocalMesh | LocalWorld) -> None:
        starting.over = True
        async with asyncio.TaskGroup() as group:
            group.create_task(following())
            if as_json:
                live.stop()
                typer.echo((await mesh.status()).model_dump_json(indent=1))
                return
            while True:
                live.update(status_view(await mesh.status()))
                await asyncio.sleep(_REFRESH_SECONDS)

    with _live() as live:
        starting.live = live
        await hold(mesh, show)


def _live() -> Live:
    # Progress is for people: it goes to stderr, so that --json leaves stdout to programs.
    return Live(console=Console(stderr=True), transient=True, refresh_per_second=8)
