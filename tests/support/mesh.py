"""A whole mesh for a test: real processes, real Envoys, free ports, a folder of its own."""

from __future__ import annotations

import tempfile
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from mesh.local import LocalMesh
from mesh.topology import LOCAL, load, on_free_ports

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from mesh.topology import Tuning


@asynccontextmanager
async def running_mesh(
    models: str = "scripted",
    *,
    environment: Mapping[str, str] | None = None,
    orchestrators: int = 2,
    drain_seconds: float = 5.0,
    tuning: Tuning | None = None,
    **replicas: int,
) -> AsyncIterator[LocalMesh]:
    """Run the local topology; nothing of it is left when the block ends.

    `replicas`: how many of other services, by their names.
    """
    topology = on_free_ports(load(LOCAL), orchestrator=orchestrators, **replicas)
    if tuning is not None:
        topology = topology.model_copy(update={"tuning": tuning})
    with tempfile.TemporaryDirectory(prefix="vm") as home:
        mesh = LocalMesh(
            topology,
            models=models,
            home=Path(home),
            environment=environment,
            drain_seconds=drain_seconds,
        )
        async with mesh:
            yield mesh
