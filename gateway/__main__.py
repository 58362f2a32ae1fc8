"""Runs a gateway: ``python -m gateway``, settings from ``VOICEMESH_*``."""

from __future__ import annotations

from gateway.config import GatewaySettings
from gateway.service import MAX_MESSAGE_BYTES, Gateway
from voicemesh import server


async def _main() -> None:
    settings = server.settle(GatewaySettings)
    await server.serve(Gateway(settings), settings, MAX_MESSAGE_BYTES)


if __name__ == "__main__":
    server.run(_main)
