"""The shell around `delivery`: takes events in, keeps them on disk, sends them, beside the tick."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from gateway import metrics
from gateway.webhooks import payload
from gateway.webhooks.delivery import Deliveries
from gateway.webhooks.store import Store, Stored
from voicemesh import telemetry
from voicemesh.errors import Unavailable

if TYPE_CHECKING:
    from pathlib import Path

    from gateway.webhooks.sender import Sender
    from voicemesh.api.control.v1 import event_pb2
    from voicemesh.redaction import Redactor

MAX_UNWRITTEN = 10_000
"""Events that may wait to be written; more are lost, and counted."""
MAX_KEPT = 200_000
"""Events that may wait for the receiver; more are lost, and counted."""
BATCH = 200
CLOSE_SECONDS = 5.0
"""How long the end of this process may be held up by what is on its way."""

_log = telemetry.get_logger("webhooks")


class Outgoing:
    """Delivers the events of one gateway: each at least once, each call's in order."""

    def __init__(self, path: Path, sender: Sender, keep_seconds: float, redactor: Redactor) -> None:
        self._redactor = redactor
        self._store = Store(path)
        self._sender = sender
        self._keep_seconds = keep_seconds
        self._deliveries = Deliveries()
        self._unwritten: asyncio.Queue[event_pb2.CallEvent] = asyncio.Queue(MAX_UNWRITTEN)
        self._changed = asyncio.Event()
        self._sending: set[asyncio.Task[None]] = set()
        self._troubled = False

    def publish(self, event: event_pb2.CallEvent) -> None:
        """Take an event; never waits."""
        try:
            self._unwritten.put_nowait(event)
        except asyncio.QueueFull:
            metrics.WEBHOOKS_LOST.labels("unwritten").inc()

    async def start(self) -> None:
        """Go on with what a process before left; raise Misconfigured where that cannot be read."""
        for number, call_id in await self._store.open():
            self._deliveries.add(call_id, number)
        self._tasks = [asyncio.create_task(self._write()), asyncio.create_task(self._deliver())]

    async def close(self) -> None:
        """Write what came, and finish what is on its way; the rest waits for the next process."""
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._unwritten.join()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._sending:
            _, late = await asyncio.wait(self._sending, timeout=CLOSE_SECONDS)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        await self._store.close()
        await self._sender.close()

    async def _write(self) -> None:
        while True:
            events = [await self._unwritten.get()]
            while len(events) < BATCH and not self._unwritten.empty():
                events.append(self._unwritten.get_nowait())
            await self._keep(
                [stored for event in events if (stored := _stored(event, self._redactor))]
            )
            for _ in events:
                self._unwritten.task_done()

    async def _keep(self, events: list[Stored]) -> None:
        if len(self._deliveries) + len(events) > MAX_KEPT:
            metrics.WEBHOOKS_LOST.labels("full").inc(len(events))
            return
        try:
            numbers = await self._store.add(events)
        except (OSError, sqlite3.Error) as error:
            metrics.WEBHOOKS_LOST.labels("disk").inc(len(events))
            _log.error("events were not written", problem=str(error), events=len(events))
            return
        for event, number in zip(events, numbers, strict=True):
            self._deliveries.add(event.call_id, number)
        self._changed.set()

    async def _deliver(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            self._changed.clear()
            for number in self._deliveries.due(loop.time()):
                task = asyncio.create_task(self._send(number))
                self._sending.add(task)
                task.add_done_callback(self._sending.discard)
            due = self._deliveries.next_due()
            with suppress(TimeoutError):
                async with asyncio.timeout_at(due):
                    await self._changed.wait()

    async def _send(self, number: int) -> None:
        event = await self._store.get(number)
        try:
            await self._sender.send(event.event_id, event.body)
        except Unavailable as error:
            await self._not_taken(event, error)
        else:
            self._troubled = False
            metrics.WEBHOOKS_SENT.inc()
            await self._store.remove(number)
            self._deliveries.taken(number)
        self._changed.set()

    async def _not_taken(self, event: Stored, error: Unavailable) -> None:
        metrics.WEBHOOKS_FAILED.inc()
        if not self._troubled:
            self._troubled = True
            _log.warning("an event was not taken", problem=error.message, event_id=event.event_id)
        if time.time() - event.written > self._keep_seconds:
            metrics.WEBHOOKS_LOST.labels("too_old").inc()
            await self._store.remove(event.number)
            self._deliveries.drop(event.number)
        else:
            self._deliveries.failed(event.number, asyncio.get_running_loop().time())


def _stored(event: event_pb2.CallEvent, redactor: Redactor) -> Stored | None:
    body = payload.from_event(event, redactor)
    return Stored(event.event_id, event.call_id, time.time(), body) if body else None
