"""CallService: lets gRPC callers in and moves their messages; `legs.grpc` says what they mean."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import grpc.aio
from google.protobuf.duration_pb2 import Duration

from gateway.convert import CallFacts
from gateway.events import CallerLeft
from gateway.legs.grpc import BotSide, CallerSide, GrpcLeg
from gateway.legs.start import check_start, proto_format, read_claim, read_format, reply_format
from gateway.resume_memory import HEARTBEAT_SECONDS
from gateway.routing import Route
from voicemesh import errors
from voicemesh.api.call.v1 import call_pb2, call_pb2_grpc
from voicemesh.audio import internal_rate
from voicemesh.callids import new_call_id
from voicemesh.errors import DeadlineMissed, InvalidInput, OutOfOrder, VoicemeshError
from voicemesh.residency import EDGE_HEADER, RESIDENCY_HEADER, TENANT_HEADER
from voicemesh.sealing import refusal
from voicemesh.tenancy import take

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from gateway.service import Gateway
    from voicemesh.audio import AudioFormat
    from voicemesh.errors import Context

_HEARTBEAT = Duration(nanos=round(HEARTBEAT_SECONDS * 1e9))
CUT_OFF_SECONDS = 0.05
"""How long behind the end of a caller's messages its stream may be found to be cancelled."""


class GrpcDoor(call_pb2_grpc.CallServiceServicer):
    """Serves CallService."""

    names = (call_pb2.DESCRIPTOR.services_by_name["CallService"].full_name,)

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def register(self, server: grpc.aio.Server) -> None:
        call_pb2_grpc.add_CallServiceServicer_to_server(self, server)

    async def start(self) -> None:
        """Nothing to do: the process's server listens."""

    async def stop(self) -> None:
        """Nothing to do: the process's server admits nobody any more."""

    async def Converse(  # type: ignore[override] # a coroutine that reads and writes by itself
        self, request_iterator: AsyncIterator[call_pb2.ConverseRequest], context: Context
    ) -> None:
        take(context)
        try:
            with self._gateway.live.admit():
                await self._converse(context)
        except VoicemeshError as error:
            await errors.abort(context, error)

    async def _converse(self, context: Context) -> None:
        start = await self._first(context)
        if not start.HasField("resume"):
            self._gateway.live.check_new()
        with self._gateway.bound(0 if start.resumable else 1):
            await self._hold(context, await self._leg(start, told_by_edge(context)))

    @staticmethod
    async def _hold(context: Context, leg: GrpcLeg) -> None:
        reader = asyncio.create_task(_read(context, leg))
        writer = asyncio.create_task(_write(context, leg))
        try:
            ends: list[asyncio.Future[Any]] = [writer, leg.failed]
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            await (leg.failed if leg.failed.done() else writer)
        except asyncio.CancelledError:
            leg.vanish()
            raise
        finally:
            reader.cancel()
            writer.cancel()

    async def _first(self, context: Context) -> call_pb2.Start:
        limit = self._gateway.settings.start_seconds
        read = asyncio.ensure_future(context.read())
        done, _ = await asyncio.wait({read}, timeout=limit)
        if not done:
            read.cancel()
            raise DeadlineMissed(f"no start came within {limit:g} s", limit=limit)
        first = read.result()
        if not isinstance(first, call_pb2.ConverseRequest):
            raise OutOfOrder("start", "must be the first message; the stream was closed instead")
        kind = first.WhichOneof("message")
        if kind is None:
            raise InvalidInput("message", "is empty", reason="EMPTY_MESSAGE")
        if kind != "start":
            raise OutOfOrder("start", f"must be the first message, not {kind}")
        return first.start

    async def _leg(self, start: call_pb2.Start, told: Mapping[str, str]) -> GrpcLeg:
        check_start(start)
        caller = read_format(start.caller_format, "start.caller_format")
        heard = reply_format(start, caller)
        if start.HasField("resume"):
            return self._resumed(start, caller, heard, told)
        gateway, side = self._gateway, CallerSide(caller)
        bot = BotSide(heard, side.rate)
        route = await self._route(start)
        facts = CallFacts(
            gateway.bot(route.bot),
            side.rate,
            start.caller,
            start.callee,
            route.variables,
            route.call_id or new_call_id(gateway.tag),
            placed=route.placed,
            number=route.number,
            tenant=told["tenant"] or route.tenant,
            residency=told["residency"],
            edge=told["edge"],
        )
        leg = self._grpc_leg(side, bot, self._started(facts.call_id, heard, start))
        gateway.begin(facts, leg, start)
        return leg

    async def _route(self, start: call_pb2.Start) -> Route:
        variables = dict(start.variables)
        if start.bot:
            return Route(start.bot, variables)
        return await self._gateway.routing.route(start.callee, "", variables, start.caller)

    def _resumed(
        self,
        start: call_pb2.Start,
        caller: AudioFormat,
        heard: AudioFormat,
        edge: Mapping[str, str],
    ) -> GrpcLeg:
        claim = read_claim(start.resume, caller, heard)
        past = self._gateway.past(start, claim, internal_rate(caller))
        told = past.facts
        if edge["tenant"] not in ("", told.tenant):
            raise refusal()
        facts = CallFacts(
            self._gateway.bot(told.bot),
            internal_rate(caller),
            told.caller,
            told.callee,
            dict(told.variables),
            past.call_id,
            past.incarnation,
            told.placed,
            self._gateway.numbers.number_of(told.callee),
            tenant=told.tenant,
            residency=told.residency,
            edge=edge["edge"],
        )
        side = CallerSide(caller, past.place.caller_offset)
        started = self._started(past.call_id, heard, start)
        started.wanted_offset, started.known_digits = side.wanted_offset, past.digits
        leg = self._grpc_leg(side, BotSide(heard, side.rate), started)
        self._gateway.resume(past, facts, leg, start)
        return leg

    def _started(self, call_id: str, heard: AudioFormat, start: call_pb2.Start) -> call_pb2.Started:
        settings = self._gateway.settings
        return call_pb2.Started(
            call_id=call_id,
            bot_format=proto_format(heard),
            replica=settings.replica,
            region=settings.region,
            heartbeat=_HEARTBEAT if start.resumable else None,
        )

    def _grpc_leg(self, caller: CallerSide, bot: BotSide, started: call_pb2.Started) -> GrpcLeg:
        gateway = self._gateway
        return GrpcLeg(caller, bot, started, gateway.clock, gateway.settings.read_seconds)


def told_by_edge(context: Context) -> dict[str, str]:
    """Return what the edge says of a caller; it removes what callers say of themselves."""
    headers = dict(context.invocation_metadata() or ())
    named = {"tenant": TENANT_HEADER, "residency": RESIDENCY_HEADER, "edge": EDGE_HEADER}
    return {name: str(headers.get(header, "")) for name, header in named.items()}


async def _read(context: Context, leg: GrpcLeg) -> None:
    """Move what the caller sends; half-closing hangs up."""
    while True:
        message = await context.read()
        if not isinstance(message, call_pb2.ConverseRequest):
            # A stream that was cut off reads like one that was half-closed, until it is cancelled.
            await asyncio.sleep(CUT_OFF_SECONDS)
            await leg.put(CallerLeft())
            return
        await leg.put(message)


async def _write(context: Context, leg: GrpcLeg) -> None:
    """Move what the caller hears, until the call is over."""
    while (message := await leg.next()) is not None:
        await context.write(message)
