"""Which replicas get new streams: the endpoint files of the running Envoys."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from mesh.envoy.answers import CLUSTER as ANSWERS
from mesh.envoy.sockets import CLUSTER as SOCKETS
from mesh.services import SERVICES
from voicemesh.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from mesh.envoy.model import Endpoint
    from mesh.local.admin import Admin
    from mesh.services import Envoy

_PAUSE = 0.02
_ABSENT = "absent"
_SILENT = "silent"
_SETTLE_SECONDS = 5.0
"""How long the Envoys may take to act on a file."""


class Rotation:
    """Adds and removes replicas while calls run; no live stream is ever touched by it."""

    def __init__(
        self,
        admins: Mapping[Envoy, Admin],
        publish: Callable[[Collection[Endpoint]], None],
    ) -> None:
        """``publish`` writes the files that follow from the replicas in use."""
        self._admins = admins
        self._publish = publish
        self._live: set[Endpoint] = set()

    @property
    def live(self) -> tuple[Endpoint, ...]:
        """Replicas in use, in the order of their names."""
        return tuple(sorted(self._live, key=lambda one: (one.service, one.replica, one.port)))

    def add(self, one: Endpoint) -> None:
        """Let a replica get new streams."""
        self._live.add(one)
        self._publish(self.live)

    def remove(self, one: Endpoint) -> None:
        """Let it get no more; the streams it has stay."""
        if one in self._live:
            self._live.remove(one)
            self._publish(self.live)

    async def settled(self, one: Endpoint) -> bool:
        """Return once the Envoys have acted on it; False when they did not in time.

        One that does not answer is not waited for while another does: it is down or hangs, gets no
        streams, and reads the file before it gets any.
        """
        wanted = one in self._live
        try:
            async with asyncio.timeout(_SETTLE_SECONDS):
                while True:
                    if await self._agrees(one, wanted):
                        return True
                    await asyncio.sleep(_PAUSE)
        except TimeoutError:
            return False

    async def _agrees(self, one: Endpoint, wanted: bool) -> bool:
        door = SERVICES[one.service].door
        asked = [
            _verdict(admin, one) for envoy, admin in self._admins.items() if envoy.door == door
        ]
        verdicts = [verdict for verdict in await asyncio.gather(*asked) if verdict != _SILENT]
        there = "healthy" if wanted else _ABSENT
        return bool(verdicts) and all(verdict == there for verdict in verdicts)


async def _verdict(admin: Admin, one: Endpoint) -> str:
    try:
        health = await admin.health()
    except Unavailable:
        return _SILENT
    verdict = health.get(one.service, {}).get(f"{one.address}:{one.port}", _ABSENT)
    for cluster, port in ((SOCKETS, one.sockets), (ANSWERS, one.answers)):
        if port:
            other = health.get(cluster, {}).get(f"{one.address}:{port}", _ABSENT)
            if other != verdict:
                return f"{verdict}, its {cluster} {other}"
    return verdict
