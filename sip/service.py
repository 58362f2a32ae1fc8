"""The SIP process: takes calls from phones, places calls to them, and carries their audio."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

from sip.phone import Phone, start_request
from sip.servicer import SipServicer
from voicemesh import telemetry
from voicemesh.api.sip.v1 import sip_pb2_grpc
from voicemesh.errors import VoicemeshError
from voicemesh.server import LiveStreams

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    import grpc.aio

    from sip.config import SipSettings
    from sip.file import SipFile
    from sip.leg import SipLeg, SipStack

NAME = "voicemesh.api.sip.v1.SipService"
TICK_SECONDS = 0.02

_log = telemetry.get_logger("sip")


class SipDoor:
    """Phones' side of calls; what `voicemesh.server` serves."""

    names = (NAME,)

    def __init__(self, settings: SipSettings, file: SipFile, stack: SipStack) -> None:
        self.live = LiveStreams(settings.max_calls)
        self._settings = settings
        self._file = file
        self._stack = stack
        self._phones: set[Phone] = set()
        self._calls: set[asyncio.Task[None]] = set()

    def register(self, server: grpc.aio.Server) -> None:
        sip_pb2_grpc.add_SipServiceServicer_to_server(SipServicer(self), server)

    async def start(self) -> None:
        self._ticking = asyncio.create_task(self._tick())
        await self._stack.start(self._came_in)

    async def drain(self) -> None:
        """Let live calls go on; phones hear that it is busy."""
        await self._stack.drain()

    async def stop(self) -> None:
        for task in self._calls:
            task.cancel()
        await asyncio.gather(*self._calls, return_exceptions=True)
        self._ticking.cancel()
        with suppress(asyncio.CancelledError):
            await self._ticking
        await self._stack.close()

    @asynccontextmanager
    async def phone(
        self, leg: SipLeg, bot: str, variables: Mapping[str, str] | None = None
    ) -> AsyncIterator[Phone]:
        """Hold a leg's call while the block runs; nothing of it is left behind."""
        start = start_request(leg, bot, variables)
        phone = Phone(leg, start, self._settings.edge, time.monotonic)
        self._phones.add(phone)
        try:
            yield phone
        finally:
            self._phones.discard(phone)
            await phone.close()

    async def dial(self, trunk: str, to: str, caller: str) -> SipLeg:
        """Call somebody; see `SipStack.dial`."""
        return await self._stack.dial(trunk, to, caller)

    def _came_in(self, leg: SipLeg) -> None:
        task = asyncio.create_task(self._answer(leg))
        self._calls.add(task)
        task.add_done_callback(self._calls.discard)

    async def _answer(self, leg: SipLeg) -> None:
        user = leg.callee.partition(":")[2].rpartition("@")[0]
        try:
            with self.live.admit():
                async with self.phone(leg, self._file.bot(user)) as phone:
                    await phone.open()
                    await leg.answer()
                    await phone.talk()
        except VoicemeshError as error:
            _log.warning("phone call refused", callee=leg.callee, detail=error.message)
            await leg.hang_up()

    async def _tick(self) -> None:
        began, ticks = time.monotonic(), 0
        while True:
            ticks += 1
            await asyncio.sleep(max(began + ticks * TICK_SECONDS - time.monotonic(), 0))
            now = time.monotonic()
            for phone in list(self._phones):
                phone.tick(now)
