"""Replaces running processes by fresh ones, one after another, while calls go on.

A replica's replacement serves before the old one is told to hand over and go. An Envoy cannot hand
a live stream over, and its clients cannot see that it wants to go; so it is emptied first: it
refuses new connections, sends GOAWAY on those it has, and then the services behind it have their
live streams opened again, which now come by its neighbour.
"""

from __future__ import annotations

import asyncio
import signal
import time
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from mesh.envoy.files import replace
from mesh.envoy.model import GO_AWAY
from mesh.local.keeper import State
from mesh.local.parts import EnvoyPart, ReplicaPart
from mesh.services import SERVICES
from voicemesh.errors import InvalidInput, NotFound, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from mesh.local.fleet import Fleet
    from mesh.local.keeper import Keeper

HAND_OVER = signal.SIGUSR1
"""Has a service ask that its live streams be opened again; it serves on."""
ORDER = ("stt", "llm", "tts", "orchestrator", "gateway", "sip", "mesh", "edge")
"""Callees first, so that a caller's own move already finds fresh ones."""

_NOTICE_SECONDS = 1.5
"""Until every client had its GOAWAY: Envoy looks for a reason each 0.25 s and sends it at the
client's next byte; ours send a ping each second at least, also on connections without streams."""
_AGAIN_SHARE = 0.5
"""Of the drain's time; after this those that are left are asked once more: they may have been on
their way when they were asked first. All others are asked with them, hence not earlier."""
_RECONNECT_SECONDS = 1.5
"""Until every client has found a fresh Envoy: they try once a second at least."""
_PAUSE = 0.05


class Replaced(BaseModel):
    """One process, and the one in its place."""

    model_config = ConfigDict(frozen=True)

    process: str
    replacement: str
    """Its name; an Envoy's is the same."""
    old_pid: int | None
    pid: int | None
    seconds: float
    """From the start of the fresh one to the end of the old one; of an Envoy, the whole change."""
    streams_cut: int
    """Of an Envoy: live streams that had not left it in time."""


class Renewal:
    """Replaces processes; what it starts and ends is in the fleet."""

    def __init__(self, fleet: Fleet, drain_seconds: float) -> None:
        self._fleet = fleet
        self._drain_seconds = drain_seconds
        self._one_change = asyncio.Lock()
        self._deploying = False

    @property
    def one_change(self) -> asyncio.Lock:
        """Held while the set of processes changes."""
        return self._one_change

    async def restart(self, name: str, *, wait: bool = True) -> Replaced:
        """Replace one process; ``wait`` until the old one of a replica is gone."""
        since = time.monotonic()
        keeper = self._fleet.get(name)
        old_pid = keeper.process.pid if keeper.process else None
        if isinstance(keeper.part, EnvoyPart):
            fresh, cut = await self._envoy(keeper, keeper.part)
        else:
            fresh, cut = await self._replica(keeper, wait=wait), 0
        return Replaced(
            process=name,
            replacement=fresh.part.name,
            old_pid=old_pid,
            pid=fresh.process.pid if fresh.process else None,
            seconds=round(time.monotonic() - since, 3),
            streams_cut=cut,
        )

    def plan(self, services: Sequence[str] = ()) -> list[str]:
        """Return the processes of services and doors (all, by default) in the order to replace."""
        for name in services:
            if name not in ORDER:
                raise InvalidInput("service", f"there is no {name!r}; use {', '.join(ORDER)}")
        return [
            keeper.part.name
            for kind in ORDER
            if kind in services or not services
            for keeper in self._of(kind)
        ]

    async def deploy(
        self, services: Sequence[str], progress: Callable[[Replaced], None]
    ) -> list[Replaced]:
        """Replace every process, one after another; stop at the first that cannot be."""
        if self._deploying:
            raise Unavailable("a deploy goes on already: wait for its end", reason="DEPLOYING")
        self._deploying = True
        done = []
        try:
            for name in self.plan(services):
                try:
                    done.append(await self.restart(name))
                except NotFound:
                    continue  # it was taken away meanwhile
                progress(done[-1])
        finally:
            self._deploying = False
        return done

    async def _replica(self, keeper: Keeper, *, wait: bool) -> Keeper:
        part = keeper.part
        if not isinstance(part, ReplicaPart):
            raise AssertionError(f"{part.name} is neither a replica nor an Envoy")
        async with self._one_change:
            (fresh,) = await self._fleet.grow(part.service, 1)
            retired = await self._fleet.retire(keeper)
        if wait:
            await retired
        return fresh

    async def _envoy(self, keeper: Keeper, part: EnvoyPart) -> tuple[Keeper, int]:
        async with self._one_change:
            cut = 0
            if await self._has_neighbour(keeper, part):
                cut = await self._empty(part)
            fresh = await self._fleet.replace(keeper)
            if len(list(self._of(part.envoy.door))) > 1:  # the neighbour may be the next to go
                await asyncio.sleep(_RECONNECT_SECONDS)
        return fresh, cut

    async def _has_neighbour(self, keeper: Keeper, part: EnvoyPart) -> bool:
        """Whether another Envoy can take what this one has."""
        others = [one for one in self._of(part.envoy.door) if one is not keeper]
        serving = [one.part for one in others if one.state is State.SERVING]
        ready = [one.admin.ready() for one in serving if isinstance(one, EnvoyPart)]
        return any(await asyncio.gather(*ready))

    async def _empty(self, part: EnvoyPart) -> int:
        """Have its streams opened by its neighbour; return how many are left in the end."""
        deadline = time.monotonic() + self._drain_seconds
        left = 0
        try:
            await part.admin.close_listeners()
            replace(part.layout.pressure, GO_AWAY)
            await asyncio.sleep(_NOTICE_SECONDS)
            asks = [time.monotonic(), time.monotonic() + _AGAIN_SHARE * self._drain_seconds]
            while left := await part.admin.streams(part.envoy.door):
                now = time.monotonic()
                if now > deadline:
                    break
                if asks and now >= asks[0]:
                    asks.pop(0)
                    self._ask_to_hand_over(part)
                await asyncio.sleep(_PAUSE)
        except Unavailable:
            pass  # it hangs or is dead: there is nothing to wait for
        return left

    def _ask_to_hand_over(self, part: EnvoyPart) -> None:
        for keeper in self._fleet:
            one, process = keeper.part, keeper.process
            behind = isinstance(one, ReplicaPart) and SERVICES[one.service].door == part.envoy.door
            # Whoever does not know the signal would die of it.
            if behind and process and process.catches(HAND_OVER):
                process.signal(HAND_OVER)

    def _of(self, kind: str) -> Iterator[Keeper]:
        """Find the processes of a service or a door that are to stay."""
        yield from self._fleet.staying(kind)
        for keeper in self._fleet:
            if isinstance(keeper.part, EnvoyPart) and keeper.part.envoy.door == kind:
                yield keeper
