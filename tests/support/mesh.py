"""A whole mesh for a test: real processes, real Envoys, free ports, a folder of its own."""

from __future__ import annotations

import asyncio
import ssl
import tempfile
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import httpx

from mesh.local import LocalMesh
from mesh.topology import LOCAL, Trust, load, on_free_ports

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping
    from contextlib import AbstractAsyncContextManager

    from mesh.topology import Tuning

Running = TypeVar("Running")

WHOLE_SECONDS = 30.0
_INSTANCES = Path("/proc/sys/fs/inotify/max_user_instances")
_WORLD_INSTANCES = 256
WORLD_FITS = int(_INSTANCES.read_text(encoding="ascii")) >= _WORLD_INSTANCES
"""Each Envoy watches its files by some ten inotify instances; a world of regions has a dozen."""
WORLD_NEEDS = f"needs fs.inotify.max_user_instances >= {_WORLD_INSTANCES} (sysctl)"


@asynccontextmanager
async def running_mesh(
    models: str = "scripted",
    *,
    environment: Mapping[str, str] | None = None,
    orchestrators: int = 2,
    drain_seconds: float = 5.0,
    tuning: Tuning | None = None,
    mtls: bool = True,
    **replicas: int,
) -> AsyncIterator[LocalMesh]:
    """Run the local topology; nothing of it is left when the block ends.

    `replicas`: how many of other services, by their names.
    """
    topology = on_free_ports(load(LOCAL), orchestrator=orchestrators, **replicas)
    if tuning is not None:
        topology = topology.model_copy(update={"tuning": tuning})
    if not mtls:
        topology = topology.model_copy(update={"trust": Trust(mtls=False)})
    with tempfile.TemporaryDirectory(prefix="vm") as home:
        mesh = LocalMesh(
            topology,
            models=models,
            home=Path(home),
            # A test on a busy machine is late by no fault of its calls.
            environment={"VOICEMESH_MAX_LAG_MS": "0", **(environment or {})},
            drain_seconds=drain_seconds,
        )
        async with mesh:
            yield mesh


def http_client(mesh: LocalMesh) -> httpx.AsyncClient:
    """Return a client of the edge, over TLS and with a token."""
    known = mesh.certificates.calling(mesh.edge_addresses)
    port = mesh.edge_address.rpartition(":")[2]
    return httpx.AsyncClient(
        base_url=f"https://localhost:{port}",
        headers=known.headers(),
        verify=ssl.create_default_context(cafile=known.roots),
        trust_env=False,
        timeout=20,
    )


def held(runner: asyncio.Runner, meshes: AbstractAsyncContextManager[Running]) -> Iterator[Running]:
    """Yield a mesh that several tests use, one after another: the body of a module's fixture."""
    stack = AsyncExitStack()
    running = runner.run(stack.enter_async_context(meshes))
    try:
        yield running
    finally:
        runner.run(stack.aclose())


async def whole(mesh: LocalMesh) -> None:
    """Return once everything serves again that an earlier test has hurt."""
    async with asyncio.timeout(WHOLE_SECONDS):
        while True:
            if all(each.state == "serving" for each in (await mesh.status()).processes):
                return
            await asyncio.sleep(0.05)
