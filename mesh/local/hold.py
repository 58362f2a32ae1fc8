"""Runs a mesh until somebody says stop: with a signal, or over its control socket."""

from __future__ import annotations

import asyncio
import signal
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from mesh.local.supervisor import LocalMesh
    from mesh.local.world import LocalWorld

    Running = TypeVar("Running", bound=LocalMesh | LocalWorld)

_STOPS = (signal.SIGINT, signal.SIGTERM)


async def hold(mesh: Running, meanwhile: Callable[[Running], Awaitable[None]]) -> None:
    """Start a mesh, run ``meanwhile`` beside it, drain and stop it when told to.

    A first SIGINT or SIGTERM drains (during the start: gives up), a second ends everything now.
    """
    stopping = asyncio.create_task(mesh.stop_requested.wait())
    with _obeying(mesh):
        try:
            async with mesh:
                beside = asyncio.ensure_future(meanwhile(mesh))
                await asyncio.wait({stopping, beside}, return_when=asyncio.FIRST_COMPLETED)
                if beside.done():
                    beside.result()  # what went wrong there ends the mesh
                    await stopping
                beside.cancel()
                with suppress(asyncio.CancelledError):
                    await beside
        finally:
            stopping.cancel()


@contextmanager
def _obeying(mesh: LocalMesh | LocalWorld) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()
    aborts: set[asyncio.Task[None]] = set()

    def obey() -> None:
        if not mesh.started and task:
            task.cancel()
        elif mesh.stop_requested.is_set():
            aborts.add(asyncio.create_task(mesh.abort()))
        else:
            mesh.stop_requested.set()

    for number in _STOPS:
        loop.add_signal_handler(number, obey)
    try:
        yield
    finally:
        for number in _STOPS:
            loop.remove_signal_handler(number)
