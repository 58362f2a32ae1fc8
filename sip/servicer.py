"""`SipService`: calls to phones, as RPCs."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Protocol

from sip.phone import Phone, answered
from voicemesh import errors
from voicemesh.api.sip.v1 import sip_pb2, sip_pb2_grpc
from voicemesh.errors import DeadlineMissed, InvalidInput, VoicemeshError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from contextlib import AbstractAsyncContextManager

    from sip.leg import Closed, SipLeg
    from voicemesh.errors import Context
    from voicemesh.server import LiveStreams

RING_SECONDS = 45
MOST_RING_SECONDS = 300
_DESTINATION = re.compile(r"\+?[0-9*#]{1,32}|sips?:[^\s@<>\"]+@[^\s@<>\"]+")
_LONGEST = 128

_OUTCOMES: Mapping[int, sip_pb2.DialOutcome.ValueType] = {
    486: sip_pb2.DIAL_OUTCOME_BUSY,
    600: sip_pb2.DIAL_OUTCOME_BUSY,
    603: sip_pb2.DIAL_OUTCOME_DECLINED,
    408: sip_pb2.DIAL_OUTCOME_NO_ANSWER,
    480: sip_pb2.DIAL_OUTCOME_NO_ANSWER,
}


class Dialler(Protocol):
    """What places and holds calls."""

    live: LiveStreams

    async def dial(self, trunk: str, to: str, caller: str) -> SipLeg: ...

    def phone(
        self, leg: SipLeg, bot: str, variables: Mapping[str, str] | None = None
    ) -> AbstractAsyncContextManager[Phone]: ...


class SipServicer(sip_pb2_grpc.SipServiceServicer):
    """Places calls."""

    def __init__(self, dialler: Dialler) -> None:
        self._dialler = dialler
        self._calls: set[asyncio.Task[None]] = set()

    async def Dial(
        self, request: sip_pb2.DialRequest, context: Context
    ) -> AsyncIterator[sip_pb2.DialResponse]:
        told: asyncio.Queue[sip_pb2.DialResponse | VoicemeshError | None] = asyncio.Queue()
        try:
            _check(request)
            call = asyncio.create_task(self._place(request, told))
            self._calls.add(call)
            call.add_done_callback(self._calls.discard)
            stands = False
            try:
                while (news := await told.get()) is not None:
                    if isinstance(news, VoicemeshError):
                        raise news
                    stands = stands or news.HasField("answered")
                    yield news
            finally:
                if not stands:
                    call.cancel()
        except VoicemeshError as error:
            await errors.abort(context, error)

    async def _place(
        self,
        request: sip_pb2.DialRequest,
        told: asyncio.Queue[sip_pb2.DialResponse | VoicemeshError | None],
    ) -> None:
        try:
            with self._dialler.live.admit():
                leg = await self._dialler.dial(request.trunk, request.to, request.caller)
                async with self._dialler.phone(leg, request.bot, request.variables) as phone:
                    await self._follow(phone, request.ring_seconds or RING_SECONDS, told)
        except VoicemeshError as error:
            told.put_nowait(error)
        finally:
            told.put_nowait(None)

    async def _follow(
        self,
        phone: Phone,
        seconds: int,
        told: asyncio.Queue[sip_pb2.DialResponse | VoicemeshError | None],
    ) -> None:
        ringing = asyncio.create_task(_tell_ringing(phone, told))
        try:
            stands = await answered(phone, seconds)
        except DeadlineMissed as error:
            outcome = sip_pb2.DIAL_OUTCOME_NO_ANSWER
            told.put_nowait(_ended(outcome, detail=error.message))
            return
        finally:
            if phone.ringing.is_set():
                await ringing  # which it tells at once, before what follows
            ringing.cancel()
        if not stands:
            told.put_nowait(_refused(phone.closed.result()))
            return
        await phone.open()
        answer = sip_pb2.DialAnswered(call_id=phone.call_id)
        told.put_nowait(sip_pb2.DialResponse(answered=answer))
        await phone.talk()
        told.put_nowait(_ended(sip_pb2.DIAL_OUTCOME_COMPLETED))


async def _tell_ringing(
    phone: Phone, told: asyncio.Queue[sip_pb2.DialResponse | VoicemeshError | None]
) -> None:
    await phone.ringing.wait()
    told.put_nowait(sip_pb2.DialResponse(ringing=sip_pb2.DialRinging()))


def _refused(closed: Closed) -> sip_pb2.DialResponse:
    outcome = _OUTCOMES.get(closed.status, sip_pb2.DIAL_OUTCOME_FAILED)
    return _ended(outcome, closed.status, closed.detail)


def _ended(
    outcome: sip_pb2.DialOutcome.ValueType, status: int = 0, detail: str = ""
) -> sip_pb2.DialResponse:
    ended = sip_pb2.DialEnded(outcome=outcome, sip_status=status, detail=detail[:_LONGEST])
    return sip_pb2.DialResponse(ended=ended)


def _check(request: sip_pb2.DialRequest) -> None:
    if len(request.to) > _LONGEST or not _DESTINATION.fullmatch(request.to):
        raise InvalidInput("to", "is neither a number nor a SIP address", limit=_LONGEST)
    if len(request.caller) > _LONGEST or (
        request.caller and not _DESTINATION.fullmatch(request.caller)
    ):
        raise InvalidInput("caller", "is neither a number nor a SIP address", limit=_LONGEST)
    if not 0 <= request.ring_seconds <= MOST_RING_SECONDS:
        raise InvalidInput("ring_seconds", f"must be 1 to {MOST_RING_SECONDS}")
