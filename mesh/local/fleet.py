"""Every kept process of a mesh, by name: grown, shrunk, replaced, stopped in the right order."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from mesh.local.keeper import Keeper, State
from mesh.local.parts import ReplicaPart
from voicemesh.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence

    from mesh.local.keeper import Part
    from mesh.local.process import Command, Process
    from mesh.services import ServiceName

_ENVOY_STOP_SECONDS = 2.0
_STOP_ORDER = (("sip",), ("gateway",), ("orchestrator",), ("stt", "llm", "tts"))
"""Callers first, so that no live caller loses its callee."""


class Fleet:
    """The processes, and how they change while calls run."""

    def __init__(
        self,
        replica: Callable[[ServiceName, str], ReplicaPart],
        changed: Callable[[str, State], None],
        start: Callable[[Command], Awaitable[Process]],
        *,
        start_seconds: float,
        stop_seconds: float,
    ) -> None:
        """Make parts by ``replica``, processes by ``start``; ``changed`` hears of each change."""
        self._replica = replica
        self._changed = changed
        self._start = start
        self._start_seconds = start_seconds
        self._stop_seconds = stop_seconds
        self._keepers: dict[str, Keeper] = {}
        self._retiring: set[asyncio.Task[None]] = set()

    def __iter__(self) -> Iterator[Keeper]:
        return iter(list(self._keepers.values()))

    def get(self, name: str) -> Keeper:
        """Return a keeper; raise NotFound naming those that exist."""
        if name not in self._keepers:
            known = ", ".join(self._keepers) or "none"
            raise NotFound(f"there is no process {name!r}; there are {known}", process=name)
        return self._keepers[name]

    def staying(self, service: str) -> list[Keeper]:
        """Return a service's replicas that were not told to leave, oldest name first."""
        found = [
            keeper
            for keeper in self
            if isinstance(keeper.part, ReplicaPart)
            and keeper.part.service == service
            and not keeper.leaving
        ]
        return sorted(found, key=lambda keeper: _number(keeper.part.name))

    def keep(self, part: Part) -> Keeper:
        """Start a process and keep it running."""
        keeper = Keeper(
            part,
            self._changed,
            self._start,
            start_seconds=self._start_seconds,
            # The last replica's calls wait for it, so it goes first.
            gently=lambda: self._is_served(part),
        )
        self._keepers[part.name] = keeper
        return keeper

    def add(self, service: ServiceName) -> Keeper:
        """Start one more replica under the lowest free name."""
        number = 0
        while f"{service}-{number}" in self._keepers:
            number += 1
        return self.keep(self._replica(service, f"{service}-{number}"))

    async def serving(self) -> None:
        """Return when every process serves; raise what the first one died of."""
        await asyncio.gather(*(keeper.serving() for keeper in self))

    async def grow(self, service: ServiceName, count: int) -> Sequence[Keeper]:
        """Start replicas and wait until they serve; on failure none of them stays."""
        fresh = [self.add(service) for _ in range(count)]
        try:
            await asyncio.gather(*(keeper.serving() for keeper in fresh))
        except BaseException:
            for keeper in fresh:
                await keeper.abort()
                self._forget(keeper)
            raise
        return fresh

    async def retire(self, keeper: Keeper) -> asyncio.Task[None]:
        """Take a replica out of use; the task returned ends when its process is gone."""
        task = asyncio.create_task(self._stop(keeper))
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)
        await keeper.out_of_use()
        return task

    async def replace(self, keeper: Keeper) -> Keeper:
        """Restart an Envoy. It stops first, because its address is its own."""
        await keeper.stop(_ENVOY_STOP_SECONDS)
        fresh = self.keep(keeper.part)
        await fresh.serving()
        return fresh

    async def stop(self) -> None:
        """Drain and end everything."""
        for services in _STOP_ORDER:
            leaving = [keeper for name in services for keeper in self.staying(name)]
            await asyncio.gather(*map(self._stop, leaving))
        await asyncio.gather(*self._retiring)
        await asyncio.gather(*(keeper.stop(_ENVOY_STOP_SECONDS) for keeper in self))

    async def abort(self) -> None:
        """End everything now."""
        await asyncio.gather(*(keeper.abort() for keeper in self))
        await asyncio.gather(*self._retiring, return_exceptions=True)

    async def _stop(self, keeper: Keeper) -> None:
        await keeper.stop(self._stop_seconds)
        self._forget(keeper)

    def _is_served(self, part: Part) -> bool:
        """Whether another replica does the work of this one."""
        if not isinstance(part, ReplicaPart):
            return False
        others = [one for one in self.staying(part.service) if one.part is not part]
        return any(one.state is State.SERVING for one in others)

    def _forget(self, keeper: Keeper) -> None:
        if self._keepers.get(keeper.part.name) is keeper:
            del self._keepers[keeper.part.name]


def _number(name: str) -> int:
    return int(name.rpartition("-")[2])
