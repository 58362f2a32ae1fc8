"""Follows a topology's file: what it says is live as soon as it is saved."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from mesh.topology import load
from voicemesh import telemetry
from voicemesh.errors import VoicemeshError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mesh.topology import Topology

_LOOK_SECONDS = 0.2
_log = telemetry.get_logger("topology")


class Follower(Protocol):
    """What can change while it runs."""

    problem: str
    topology: Topology

    async def change(self, topology: Topology) -> None:
        """Become what a topology says."""


async def follow(
    mesh: Follower, path: Path, prepared: Callable[[Topology], Topology] = lambda one: one
) -> None:
    """Have a mesh become what its file says, whenever that is saved; runs until cancelled.

    A file that cannot be is told of and changes nothing: what ran goes on.
    """
    seen: tuple[int, int, int] | None = None  # it may have been saved since it was read
    while True:
        await asyncio.sleep(_LOOK_SECONDS)
        now = _stamp(path)
        if now in (seen, None):  # unchanged, or being replaced
            continue
        seen = now
        try:
            wanted = prepared(load(path))
            mesh.problem = ""
            if wanted == mesh.topology:
                continue
            await mesh.change(wanted)
            _log.info("the topology changed", file=str(path))
        except VoicemeshError as error:
            mesh.problem = error.message
            _log.error("the topology's file is not followed", problem=error.message)


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size
