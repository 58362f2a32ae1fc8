"""A gateway process: its doors, its floor, its way to the orchestrators."""

from __future__ import annotations

import asyncio
import random
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.call import CallSettings
from gateway.convert import CallFacts
from gateway.floor import Floor, VoiceActivity
from gateway.link import Link
from gateway.live import LiveCall
from gateway.pool import ChannelPool
from gateway.records import Records
from gateway.servicer import GrpcDoor
from gateway.spoken import SpokenLines
from gateway.vad import VadBatch
from voicemesh import telemetry
from voicemesh.bots import Bots
from voicemesh.server import LiveStreams

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import grpc.aio

    from gateway.config import GatewaySettings
    from gateway.legs.leg import Door, Leg
    from voicemesh.bots import Bot

MAX_MESSAGE_BYTES = 256 * 1024

DOORS: Mapping[str, Callable[[Gateway], Door]] = {
    "grpc": GrpcDoor,
}
"""How callers come in: one row for each protocol."""

_log = telemetry.get_logger("gateway")


class Gateway:
    """Holds calls; what `voicemesh.server` serves."""

    def __init__(self, settings: GatewaySettings, vad: VoiceActivity | None = None) -> None:
        """Without `vad` the model is loaded at start."""
        self.settings = settings
        # The event loop's own clock stands still within a turn of the loop and counts whole
        # milliseconds: too coarse for latencies of a few of them.
        self.clock = time.monotonic
        self.live = LiveStreams(settings.max_calls)
        self._doors = [door(self) for door in DOORS.values()]
        self.names = [name for door in self._doors for name in door.names]
        self._vad = vad
        self._bots = Bots({})
        self._spoken = SpokenLines(settings.mesh)
        self._records = Records(Path(settings.records) if settings.records else None)
        self._random = random.Random()  # noqa: S311 - for jitter only

    def register(self, server: grpc.aio.Server) -> None:
        for door in self._doors:
            door.register(server)

    async def start(self) -> None:
        self._bots = Bots.load(self.settings.bots)
        self._floor = Floor(self._vad or VadBatch(), self.clock)
        self._pool = ChannelPool(self.settings.mesh)
        self._pool.warm_up()
        self._ticking = asyncio.create_task(self._floor.run())
        for door in self._doors:
            await door.start()

    async def drain(self) -> None:
        """Let live calls go on; nobody new is let in."""
        for door in self._doors:
            await door.stop()

    async def stop(self) -> None:
        self._ticking.cancel()
        with suppress(asyncio.CancelledError):
            await self._ticking
        self._floor.clear()
        await self._spoken.close()
        await self._records.close()
        await self._pool.close()

    def bot(self, name: str) -> Bot:
        """Return a bot; raise NotFound, naming those there are."""
        return self._bots.get(name)

    def begin(self, facts: CallFacts, leg: Leg) -> LiveCall:
        """Begin a call."""
        bot = facts.bot
        settings = CallSettings(
            rate=facts.rate,
            barge_in=bot.barge_in.enabled,
            fallback_target=bot.fallback.transfer,
            lines=self._spoken.lines(self._voiced(bot), facts.rate),
            wall_offset=time.time() - self.clock(),
        )
        live = LiveCall(facts.call_id, settings, leg, self._floor, self._records)
        live.attach(Link(facts, self._pool, live, self._floor.now, self._random.random))
        _log.info("call began", call_id=facts.call_id, bot=bot.name)
        return live

    def _voiced(self, bot: Bot) -> Bot:
        """Return a bot with the voice that it has in this mesh."""
        return bot.with_engines("scripted") if self.settings.models == "scripted" else bot
