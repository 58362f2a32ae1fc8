"""The peer's process, and how to look at it as at a mesh."""

from __future__ import annotations

import asyncio
import os
import socket
import tempfile
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

from voicemesh.bench.mesh import LocalMesh, Member, Members
from voicemesh.errors import Misconfigured, Unavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

BOT = Path(__file__).with_name("bot.py")
START_SECONDS = 120.0
"""How long importing everything may take."""
STOP_SECONDS = 5.0
_TOLD_BYTES = 600


class Peer(LocalMesh):
    """A bot in one process."""

    def __init__(self, pid: int, address: str) -> None:
        self._pid = pid
        self.address = address
        """Where calls come in."""

    async def members(self) -> Members:
        """Return its process."""
        bot = Member("peer", self._pid, None)
        return Members((bot,), os.getpid(), f"ipv4:{self.address}", "stub")


@asynccontextmanager
async def running(python: Path, setting: str, options: Sequence[str]) -> AsyncIterator[Peer]:
    """Run the peer's bot on a free port; nothing of it is left when the block ends."""
    port = _free_port()
    with tempfile.TemporaryFile() as said:
        process = await _started(
            [str(python), str(BOT), f"--port={port}", f"--vad={setting}", *options], said
        )
        try:
            await _ready(process, said)
            yield Peer(process.pid, f"127.0.0.1:{port}")
        finally:
            await _end(process)


async def _started(command: Sequence[str], said: IO[bytes]) -> asyncio.subprocess.Process:
    try:
        return await asyncio.create_subprocess_exec(
            *command,
            cwd=tempfile.gettempdir(),  # nothing of ours is to be imported by accident
            env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=said,
            process_group=0,  # a Ctrl-C is for us
        )
    except FileNotFoundError as error:
        raise Misconfigured(
            f"{command[0]}: the peer is not installed: use `make bench-peers`", reason="NO_PEER"
        ) from error


async def _ready(process: asyncio.subprocess.Process, said: IO[bytes]) -> None:
    if process.stdout is None:
        raise AssertionError("its output is a pipe")
    try:
        line = await asyncio.wait_for(process.stdout.readline(), START_SECONDS)
    except TimeoutError as error:
        raise Unavailable(f"the peer did not start within {START_SECONDS:g} s") from error
    if line.strip() != b"READY":
        await process.wait()
        said.seek(0)
        last = said.read()[-_TOLD_BYTES:].decode(errors="replace").strip()
        raise Unavailable(f"the peer ended while it started: {last}", reason="PEER_ENDED")


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.terminate()
        try:
            await asyncio.wait_for(process.wait(), STOP_SECONDS)
        except TimeoutError:
            process.kill()
    await process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
