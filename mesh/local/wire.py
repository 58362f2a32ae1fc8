"""The network in front of one replica, in a mesh that is made to be hurt (``chaos: true``).

Envoy is told a relay's address instead of the replica's. The relay is a process of its own: what is
done to it is done to the connections of the replica, and not to the replica.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from mesh.local.ports import Port
from mesh.local.process import Command, Process

_RELAY = Path(__file__).with_name("relay.py")
_RETRY_SECONDS = 0.1


class Wire:
    """A relay that is started again when it was killed, until it is closed."""

    def __init__(self, host: str, target: int, log: Path) -> None:
        self._port = Port(host)
        self._command = Command(
            [sys.executable, "-I", str(_RELAY), host, str(self._port.number), str(target)],
            os.environ,
            log,
        )
        self.process = Process(self._command)
        self._keeping = asyncio.create_task(self._keep())

    @property
    def number(self) -> int:
        """Port that stands for the replica's."""
        return self._port.number

    @property
    def address(self) -> str:
        """``host:port`` that stands for the replica's."""
        return self._port.address

    def close(self) -> None:
        """End it."""
        self._keeping.cancel()
        self.process.kill()
        self._port.close()

    async def _keep(self) -> None:
        while True:
            await self.process.wait()
            await asyncio.sleep(_RETRY_SECONDS)
            self.process = Process(self._command)
