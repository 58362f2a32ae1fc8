"""Calls that are being placed, until they are answered, cancelled, or have rung long enough."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import grpc.aio
from google.protobuf.timestamp_pb2 import Timestamp

from gateway.answering.told import OVER
from gateway.control.acts import ring_seconds
from gateway.control.calls import Dialling
from gateway.control.dialling import Order
from voicemesh import telemetry
from voicemesh.api.control.v1 import control_pb2, event_pb2
from voicemesh.callids import new_call_id
from voicemesh.errors import OutOfOrder, Refused, Unavailable, VoicemeshError

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.control.room import Room
    from voicemesh.bots import Bot

MAX_DIALLING = 1000
LOOK_SECONDS = 1.0
ARRIVAL_SECONDS = 10.0
"""How long behind its ringing a call may take to come back as a socket."""

_log = telemetry.get_logger("control")


class Placing:
    """Places calls of one gateway."""

    def __init__(self, room: Room, bot: Callable[[str], Bot]) -> None:
        self._room = room
        self._bot = bot

    async def place(self, request: control_pb2.CreateCallRequest) -> control_pb2.Call:
        """Have a carrier place a call; raise OutOfOrder where there is no such carrier."""
        room = self._room
        bot = self._bot(request.bot)
        name = request.carrier or next(iter(room.diallers), "")
        dialler = room.diallers.get(name)
        if dialler is None:
            known = ", ".join(room.diallers) or "none"
            raise OutOfOrder("carrier", f"there is no carrier {name!r}; there are: {known}")
        if len(room.calls.dialling) >= MAX_DIALLING:
            raise Refused(f"{MAX_DIALLING} calls are being placed", limit=MAX_DIALLING)
        call = self._call(request)
        ticket = room.tickets.write(
            call.call_id, bot.name, request.variables, call.start_time.seconds
        )
        seconds, key = ring_seconds(request), request.idempotency_key
        order = Order(call.call_id, request.callee, request.caller, seconds, ticket, key)
        until = asyncio.get_running_loop().time() + seconds + ARRIVAL_SECONDS
        dialling = Dialling(call, dialler, "", until)
        # Known before the carrier is: it may connect the call before it answers us.
        room.calls.dialling[call.call_id] = dialling
        try:
            name = await dialler.dial(order)
        except BaseException:
            room.calls.dialling.pop(call.call_id, None)
            raise
        # By then the carrier may have told us a better one.
        dialling.name = dialling.name or name
        return call

    def told(self, call_id: str, name: str, end: str) -> None:
        """Take note of what a carrier tells of a call that it places.

        ``name`` is its own of the call; ``end`` as in `gateway.answering.told`.
        """
        dialling = self._room.calls.dialling.get(call_id)
        if dialling is None:
            return
        dialling.name = name
        if end == OVER:
            # Perhaps another gateway has it, or had.
            dialling.until, dialling.reason = asyncio.get_running_loop().time(), "failed"
        elif end:
            self._conclude(dialling, end)

    async def cancel(self, dialling: Dialling) -> control_pb2.Call:
        """Stop ringing."""
        await dialling.dialler.cancel(dialling.name, dialling.call.call_id)
        return self._conclude(dialling, "cancelled")

    async def run(self) -> None:
        """Give calls up that nobody answers, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            now = asyncio.get_running_loop().time()
            for dialling in [*self._room.calls.dialling.values()]:
                if dialling.until <= now:
                    await self._give_up(dialling)

    async def _give_up(self, dialling: Dialling) -> None:
        call_id = dialling.call.call_id
        request = control_pb2.GetCallRequest(call_id=call_id)
        try:
            # Answered calls come back at any gateway.
            answered = await self._room.elsewhere.ask("GetCall", request) is not None
            if not answered:
                await dialling.dialler.cancel(dialling.name, call_id)
        except (grpc.aio.AioRpcError, Unavailable):
            return  # asked again soon
        except VoicemeshError as error:
            _log.warning("a call was not cancelled", call_id=call_id, problem=error.message)
            answered = False
        if answered:
            self._room.calls.dialling.pop(call_id, None)
        elif call_id in self._room.calls.dialling:
            self._conclude(dialling, dialling.reason)

    def _conclude(self, dialling: Dialling, reason: str) -> control_pb2.Call:
        room, call = self._room, dialling.call
        if room.calls.dialling.pop(call.call_id, None) is None:
            return call
        call.state, call.end_reason = control_pb2.CALL_STATE_ENDED, reason
        room.calls.remember(call, dialling.tenant)
        room.publish(
            event_pb2.CallEvent(
                event_id=f"{call.call_id}-0-1",
                call_id=call.call_id,
                event_time=_timestamp(),
                ended=event_pb2.Ended(reason=reason),
            )
        )
        return call

    def _call(self, request: control_pb2.CreateCallRequest) -> control_pb2.Call:
        settings = self._room.settings
        return control_pb2.Call(
            call_id=new_call_id(self._room.tag),
            state=control_pb2.CALL_STATE_DIALLING,
            direction=control_pb2.DIRECTION_OUTBOUND,
            bot=request.bot,
            caller=request.caller,
            callee=request.callee,
            start_time=_timestamp(),
            replica=settings.replica,
            region=settings.region,
        )


def _timestamp() -> Timestamp:
    unix = time.time()
    return Timestamp(seconds=int(unix), nanos=int(unix % 1 * 1e9))
