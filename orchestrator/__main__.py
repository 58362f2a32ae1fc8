"""Runs an orchestrator: ``python -m orchestrator``, settings from ``VOICEMESH_*``."""

from __future__ import annotations

from orchestrator.config import OrchestratorSettings
from orchestrator.service import Orchestrator
from voicemesh import server


async def _main() -> None:
    settings = server.settle(OrchestratorSettings)
    await server.serve(Orchestrator(settings), settings)


if __name__ == "__main__":
    server.run(_main)
