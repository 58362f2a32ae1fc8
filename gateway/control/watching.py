"""Who watches calls: each watcher has a bounded queue, and is cut off if it does not read."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING

from gateway import metrics
from voicemesh.errors import Refused
from voicemesh.tenancy import asking

if TYPE_CHECKING:
    from collections.abc import Iterator

    from voicemesh.api.control.v1 import event_pb2

MAX_UNREAD = 1000
"""Events that a watcher may leave unread."""
MAX_WATCHERS = 64


class Watcher:
    """One watcher's queue."""

    def __init__(self, call_id: str) -> None:
        self.call_id = call_id
        """The call that it watches; empty watches all."""
        self.cut_off = False
        self._tenant = asking()
        self._unread: asyncio.Queue[event_pb2.CallEvent] = asyncio.Queue(MAX_UNREAD)

    def put(self, event: event_pb2.CallEvent, owner: str) -> None:
        """Take an event of a tenant's call, or never one more."""
        if self.call_id not in ("", event.call_id) or self.cut_off:
            return
        if self._tenant not in ("", owner):
            return
        try:
            self._unread.put_nowait(event)
        except asyncio.QueueFull:
            self.cut_off = True
            metrics.WATCHERS_CUT_OFF.inc()

    async def next(self) -> event_pb2.CallEvent:
        """Return the next event; raise Refused behind the last one of who read too slowly."""
        if self.cut_off and self._unread.empty():
            raise Refused(
                f"{MAX_UNREAD} events wait to be read", reason="NOT_READ", limit=MAX_UNREAD
            )
        return await self._unread.get()


class Watchers:
    """All watchers of a gateway."""

    def __init__(self) -> None:
        self._watchers: list[Watcher] = []

    def publish(self, event: event_pb2.CallEvent, owner: str = "") -> None:
        """Tell everybody who wants to know, and may."""
        for watcher in self._watchers:
            watcher.put(event, owner)

    @contextmanager
    def watching(self, call_id: str) -> Iterator[Watcher]:
        """Watch while the block runs; raise Refused if too many do."""
        if len(self._watchers) >= MAX_WATCHERS:
            raise Refused(f"{MAX_WATCHERS} watch this gateway already", limit=MAX_WATCHERS)
        watcher = Watcher(call_id)
        self._watchers.append(watcher)
        try:
            yield watcher
        finally:
            self._watchers.remove(watcher)
