"""A mesh to break: started for the run, reached through its supervisor's control socket."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voicemesh import access
from voicemesh.chaos.plan import BLOCK_SECONDS
from voicemesh.commands.places import HOME_VARIABLE
from voicemesh.errors import Misconfigured, Unavailable, VoicemeshError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

HERE = Path(__file__).parent
TOPOLOGY = HERE / "topology.yaml"
_ROOT = HERE.parents[1]
_LINE_BYTES = 4 * 1024 * 1024
_SERVING = "serving"
_RELAYS = re.compile(r"^chaos:", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Member:
    """One process of the mesh."""

    name: str
    pid: int | None
    state: str

    @property
    def service(self) -> str:
        """The service that it is a replica of, or which Envoy it is."""
        service, _, number = self.name.rpartition("-")
        return service if number.isdigit() else self.name

    @property
    def serving(self) -> bool:
        """Whether it was in use when it was last looked at."""
        return self.state == _SERVING and self.pid is not None


class Mesh:
    """A running mesh."""

    def __init__(self, home: Path) -> None:
        self._home = home

    @property
    def edge(self) -> str:
        """Where calls come in: a gRPC target of every edge."""
        return str(self._state()["edge_target"])

    @property
    def inner(self) -> str:
        """Where engines are reached."""
        return str(self._state()["mesh_target"])

    def members(self) -> list[Member]:
        """Return every process; this asks nobody, so it is instant whatever hangs."""
        return [Member(one["name"], one["pid"], one["state"]) for one in self._state()["processes"]]

    async def ask(self, within: float = 60.0, /, **request: object) -> Any:  # noqa: ANN401 - JSON
        """Ask the supervisor; raise what it raised."""
        try:
            reader, writer = await asyncio.open_unix_connection(
                self._home / "control.sock", limit=_LINE_BYTES
            )
        except OSError as error:
            raise Unavailable("the mesh's supervisor is gone", reason="NO_MESH") from error
        try:
            writer.write(json.dumps(request).encode() + b"\n")
            line = await asyncio.wait_for(reader.readline(), within)
        except TimeoutError as error:
            raise Unavailable("the mesh's supervisor does not answer") from error
        finally:
            writer.close()
        if not line:
            raise Unavailable("the mesh ended before it answered")
        answer = json.loads(line)
        if "error" in answer:
            told = answer["error"]
            raise VoicemeshError(told["message"], reason=told["reason"], **told["details"])
        return answer["result"]

    def keep_logs(self, folder: Path) -> None:
        """Copy what its processes wrote."""
        shutil.copytree(self._home / "logs", folder, dirs_exist_ok=True)

    def _state(self) -> dict[str, Any]:
        try:
            state: dict[str, Any] = json.loads((self._home / "state.json").read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise Unavailable("the mesh is gone", reason="NO_MESH") from error
        return state


@asynccontextmanager
async def started(
    topology: Path, models: str, environment: Mapping[str, str], *, cuts: bool = False
) -> AsyncIterator[Mesh]:
    """Run a mesh of its own in a folder of its own; stop it, whatever happens.

    `cuts` puts a relay in front of every replica, so that its connections can be cut.
    """
    with tempfile.TemporaryDirectory(prefix="vmchaos", ignore_cleanup_errors=True) as folder:
        path = os.pathsep.join(filter(None, (str(HERE / "hook"), os.environ.get("PYTHONPATH"))))
        own = {
            HOME_VARIABLE: folder,
            "VOICEMESH_BOTS": str(HERE / "bots"),
            "VOICEMESH_CHAOS_BLOCK_SECONDS": f"{BLOCK_SECONDS:g}",
            "PYTHONPATH": path,
        }
        around = {**os.environ, **own, **environment}
        file = _with_relays(topology, Path(folder)) if cuts else topology
        up = ("up", "--topology", str(file), "--models", models, "--detach")
        try:
            await _command(around, *up)
            access.know(Path(folder) / access.BOOK)
            yield Mesh(Path(folder))
        finally:
            access.forget(Path(folder) / access.BOOK)
            await asyncio.shield(_command(around, "down", "--now", check=False))


def _with_relays(topology: Path, folder: Path) -> Path:
    text = topology.read_text(encoding="utf-8")
    copy = folder / topology.name
    copy.write_text(text if _RELAYS.search(text) else f"{text}\nchaos: true\n", encoding="utf-8")
    return copy


async def _command(environment: Mapping[str, str], *arguments: str, check: bool = True) -> None:
    # Not asyncio's: the fast loop forks, of which gRPC's threads in this process complain.
    process = subprocess.Popen(  # noqa: ASYNC220, S603 - starts at once; our own module
        [sys.executable, "-m", "voicemesh.cli", *arguments],
        cwd=_ROOT,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,  # a Ctrl-C must not hinder it
    )
    try:
        said, _ = await asyncio.to_thread(process.communicate)
    except asyncio.CancelledError:
        process.terminate()
        raise
    if check and process.returncode:
        lines = said.decode(errors="replace").strip().splitlines() or ["it said nothing"]
        raise Misconfigured(
            f"`voicemesh {arguments[0]}` failed: {lines[-1].removeprefix('voicemesh: ')}",
            reason="NO_MESH",
        )
