"""The mesh that is being measured: its processes, and one of its own for a benchmark."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voicemesh.commands.places import HOME, HOME_VARIABLE
from voicemesh.errors import Misconfigured, Unavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

TOPOLOGY = Path(__file__).with_name("topology.yaml")
ROOT = Path(__file__).parents[2]
_STATUS_SECONDS = 20.0
_LINE_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Member:
    """One process of a mesh."""

    name: str
    pid: int
    loop_lag_p95_ms: float | None


@dataclass(frozen=True, slots=True)
class Members:
    """All processes of a mesh on this machine."""

    members: tuple[Member, ...]
    supervisor_pid: int
    edge_target: str
    """Where calls come in, for gRPC: every edge Envoy."""
    models: str

    def has_edge(self, target: str) -> bool:
        """Whether calls to a target, one edge or all of them, come into this mesh."""
        return target == self.edge_target or target in self.edge_target.partition(":")[2].split(",")


class LocalMesh:
    """A mesh that runs on this machine, seen through its supervisor's control socket."""

    def __init__(self, home: Path | None = None) -> None:
        self._home = home or Path(os.environ.get(HOME_VARIABLE) or HOME)

    async def members(self) -> Members | None:
        """Return the processes; None if no mesh runs there."""
        try:
            reader, writer = await asyncio.open_unix_connection(
                self._home / "control.sock", limit=_LINE_BYTES
            )
        except OSError:
            return None
        try:
            writer.write(b'{"do": "status"}\n')
            line = await asyncio.wait_for(reader.readline(), _STATUS_SECONDS)
        except TimeoutError as error:
            raise Unavailable("the mesh's supervisor does not answer") from error
        finally:
            writer.close()
        return _members(json.loads(line)["result"]) if line else None


def _members(status: dict[str, Any]) -> Members:
    return Members(
        tuple(
            Member(one["name"], one["pid"], one["loop_lag_p95_ms"])
            for one in status["processes"]
            if one["pid"] is not None
        ),
        status["supervisor_pid"],
        status["edge_target"],
        status["models"],
    )


@asynccontextmanager
async def scripted_mesh(settings: dict[str, str] | None = None) -> AsyncIterator[LocalMesh]:
    """Run a mesh with scripted engines of its own, on free ports; stop it, whatever happens."""
    with tempfile.TemporaryDirectory(prefix="vmbench", ignore_cleanup_errors=True) as folder:
        environment = os.environ | {HOME_VARIABLE: folder} | (settings or {})
        try:
            await _command(
                environment, "up", "--topology", str(TOPOLOGY), "--models", "scripted", "--detach"
            )
            yield LocalMesh(Path(folder))
        finally:
            await asyncio.shield(_command(environment, "down", "--now", check=False))


async def _command(environment: dict[str, str], *arguments: str, check: bool = True) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "voicemesh.cli",
        *arguments,
        cwd=ROOT,
        env=environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        process_group=0,  # a Ctrl-C must not hinder it
    )
    try:
        said, _ = await process.communicate()
    except asyncio.CancelledError:
        process.terminate()
        await process.wait()
        raise
    if check and process.returncode:
        lines = said.decode(errors="replace").strip().splitlines() or ["it said nothing"]
        raise Misconfigured(
            f"`voicemesh {arguments[0]}` failed: {lines[-1].removeprefix('voicemesh: ')}",
            reason="NO_MESH",
        )
