"""Which replicas get new streams: the endpoint files of the running Envoys."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from mesh.envoy.endpoints import endpoints
from mesh.envoy.files import replace, text
from mesh.services import SERVICES
from voicemesh.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mesh.envoy.model import Endpoint, Layout
    from mesh.local.admin import Admin
    from mesh.services import DoorName, ServiceName

_PAUSE = 0.02
_SETTLE_SECONDS = 5.0
"""How long Envoy may take to act on a file; longer means it is down, and reads it when it is up."""


class Rotation:
    """Adds and removes replicas while calls run; no live stream is ever touched by it."""

    def __init__(
        self, layouts: Mapping[DoorName, Layout], admins: Mapping[DoorName, Admin]
    ) -> None:
        self._layouts = layouts
        self._admins = admins
        self._live: dict[ServiceName, set[Endpoint]] = {}

    def add(self, one: Endpoint) -> None:
        """Let a replica get new streams."""
        self._live.setdefault(one.service, set()).add(one)
        self._publish(one.service)

    def remove(self, one: Endpoint) -> None:
        """Let it get no more; the streams it has stay."""
        live = self._live.get(one.service, set())
        if one in live:
            live.remove(one)
            self._publish(one.service)

    async def settled(self, one: Endpoint) -> bool:
        """Return once Envoy has acted on it; False when it did not in time."""
        wanted = one in self._live.get(one.service, set())
        try:
            async with asyncio.timeout(_SETTLE_SECONDS):
                while True:
                    if await self._agrees(one, wanted):
                        return True
                    await asyncio.sleep(_PAUSE)
        except TimeoutError:
            return False

    async def _agrees(self, one: Endpoint, wanted: bool) -> bool:
        try:
            health = await self._admins[SERVICES[one.service].door].health()
        except Unavailable:
            return False
        verdict = health.get(one.service, {}).get(f"{one.address}:{one.port}")
        return verdict == "healthy" if wanted else verdict is None

    def _publish(self, service: ServiceName) -> None:
        layout = self._layouts[SERVICES[service].door]
        document = endpoints(service, self._live[service])
        replace(layout.endpoints(service), text(document))
