"""CallsService: what applications ask of calls; `calls` has them, `acts` does it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, cast

import grpc.aio

from gateway.control import acts, pages
from gateway.control.elsewhere import KNOWN, LIVE
from voicemesh import errors
from voicemesh.api.control.v1 import control_pb2, control_pb2_grpc
from voicemesh.callids import ELSEWHERE_HEADER, SEARCH_HEADER, gateway_tag, tag_of
from voicemesh.errors import NotFound, OutOfOrder, Unavailable, VoicemeshError
from voicemesh.tenancy import asking, take

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from google.protobuf.message import Message

    from gateway.control.room import Room
    from voicemesh.errors import Context

Answer = TypeVar("Answer", bound="Message")


class _Absent(NotFound):
    """No gateway holds the call, or this one does not and is not to look further."""


class ControlDoor(control_pb2_grpc.CallsServiceServicer):
    """Serves CallsService."""

    names = (control_pb2.DESCRIPTOR.services_by_name["CallsService"].full_name,)

    def __init__(self, room: Room) -> None:
        self._room = room

    def register(self, server: grpc.aio.Server) -> None:
        control_pb2_grpc.add_CallsServiceServicer_to_server(self, server)

    async def start(self) -> None:
        """Nothing to do: the process's server listens."""

    async def stop(self) -> None:
        """Nothing to do: live calls are controlled until they end."""

    async def CreateCall(
        self, request: control_pb2.CreateCallRequest, context: Context
    ) -> control_pb2.CreateCallResponse:
        async def create() -> control_pb2.CreateCallResponse:
            return control_pb2.CreateCallResponse(call=await self._room.placing.place(request))

        async def once() -> control_pb2.CreateCallResponse:
            acts.check_create(request)
            if not _depth(context):
                # Whichever gateway is asked again, the same one remembers the key.
                owned = await self._owned(request)
                if owned is not None:
                    return owned
            keys = self._room.keys
            return await keys.once(("create", asking()), request.idempotency_key, request, create)

        return await _guarded(context, once)

    async def GetCall(
        self, request: control_pb2.GetCallRequest, context: Context
    ) -> control_pb2.GetCallResponse:
        async def get() -> control_pb2.GetCallResponse:
            calls = self._room.calls
            held = calls.held(request.call_id)
            if held is not None:
                return control_pb2.GetCallResponse(call=calls.describe(held))
            found = await self._ask(LIVE, "GetCall", request, context)
            if found is None:
                dialling = calls.placed(request.call_id)
                known = dialling.call if dialling else calls.ended(request.call_id)
                if known is not None and _depth(context) != LIVE:
                    return control_pb2.GetCallResponse(call=known)
            found = found or await self._answer(KNOWN, "GetCall", request, context)
            return cast("control_pb2.GetCallResponse", found)

        return await _guarded(context, get)

    async def ListCalls(
        self, request: control_pb2.ListCallsRequest, context: Context
    ) -> control_pb2.ListCallsResponse:
        async def page() -> control_pb2.ListCallsResponse:
            token = pages.read(request.page_token)
            if token.is_for(self._room.tag):
                return pages.page(self._room, token, request.page_size)
            if _depth(context):
                raise _Absent("no calls are left to be listed here", reason="NO_CALL")
            found = await self._room.elsewhere.ask("ListCalls", request, token.at)
            if isinstance(found, control_pb2.ListCallsResponse):
                return found
            return pages.none_left(token)

        return await _guarded(context, page)

    async def Say(
        self, request: control_pb2.SayRequest, context: Context
    ) -> control_pb2.SayResponse:
        return await self._act("Say", request, context, control_pb2.SayResponse)

    async def Play(
        self, request: control_pb2.PlayRequest, context: Context
    ) -> control_pb2.PlayResponse:
        return await self._act("Play", request, context, control_pb2.PlayResponse)

    async def SendDigits(
        self, request: control_pb2.SendDigitsRequest, context: Context
    ) -> control_pb2.SendDigitsResponse:
        return await self._act("SendDigits", request, context, control_pb2.SendDigitsResponse)

    async def Mute(
        self, request: control_pb2.MuteRequest, context: Context
    ) -> control_pb2.MuteResponse:
        return await self._act("Mute", request, context, control_pb2.MuteResponse)

    async def Hold(
        self, request: control_pb2.HoldRequest, context: Context
    ) -> control_pb2.HoldResponse:
        return await self._act("Hold", request, context, control_pb2.HoldResponse)

    async def Transfer(
        self, request: control_pb2.TransferRequest, context: Context
    ) -> control_pb2.TransferResponse:
        return await self._act("Transfer", request, context, control_pb2.TransferResponse)

    async def StartRecording(
        self, request: control_pb2.StartRecordingRequest, context: Context
    ) -> control_pb2.StartRecordingResponse:
        answer = control_pb2.StartRecordingResponse
        return await self._act("StartRecording", request, context, answer)

    async def StopRecording(
        self, request: control_pb2.StopRecordingRequest, context: Context
    ) -> control_pb2.StopRecordingResponse:
        answer = control_pb2.StopRecordingResponse
        return await self._act("StopRecording", request, context, answer)

    async def HangUp(
        self, request: control_pb2.HangUpRequest, context: Context
    ) -> control_pb2.HangUpResponse:
        return await self._act("HangUp", request, context, control_pb2.HangUpResponse)

    async def WatchCalls(  # type: ignore[override] # a coroutine that writes by itself
        self, request: control_pb2.WatchCallsRequest, context: Context
    ) -> None:
        async def watch() -> control_pb2.WatchCallsRequest:
            if self._watches_here(request):
                await self._watch_here(request, context)
            else:
                await self._watch_elsewhere(request, context)
            return request

        await _guarded(context, watch)

    # How.

    async def _act(
        self,
        method: str,
        request: Any,  # noqa: ANN401 - the method's
        context: Context,
        answer: Callable[..., Answer],
    ) -> Answer:
        """Do something to a call once, wherever it is held."""
        room, scope = self._room, (method, request.call_id, take(context))

        async def act() -> Answer:
            return answer(call=await acts.act(room, method, request))

        async def here() -> Answer:
            return await room.keys.once(scope, request.idempotency_key, request, act)

        async def once() -> Answer:
            acts.CHECKS[method](request)
            known = room.keys.knows(scope, request.idempotency_key)
            if known or room.calls.held(request.call_id) is not None:
                return await here()
            found = await self._ask(LIVE, method, request, context)
            if found is None and room.knows(request.call_id) and _depth(context) != LIVE:
                return await here()
            return cast("Answer", found or await self._answer(KNOWN, method, request, context))

        return await _guarded(context, once)

    async def _owned(
        self, request: control_pb2.CreateCallRequest
    ) -> control_pb2.CreateCallResponse | None:
        try:
            found = await self._room.elsewhere.ask_owner(
                "CreateCall", request, f"{asking()}/{request.idempotency_key}"
            )
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.UNAVAILABLE:
                raise
            raise Unavailable("the mesh cannot be reached, so nobody can own the key") from error
        return found if isinstance(found, control_pb2.CreateCallResponse) else None

    async def _ask(self, depth: str, method: str, request: Any, context: Context) -> Any:  # noqa: ANN401
        """Return what another gateway answers; None if none does, or is to be asked."""
        if _depth(context):
            return None
        tag = tag_of(request.call_id)
        for each in [tag, ""] if tag not in ("", self._room.tag) else [""]:
            found = await self._room.elsewhere.ask(method, request, each, depth)
            if found is not None:
                return found
        return None

    async def _answer(self, depth: str, method: str, request: Any, context: Context) -> Any:  # noqa: ANN401
        found = await self._ask(depth, method, request, context)
        if found is None:
            call_id = request.call_id
            raise _Absent(f"there is no call {call_id!r}", reason="NO_CALL", call_id=call_id)
        return found

    def _watches_here(self, request: control_pb2.WatchCallsRequest) -> bool:
        if request.call_id:
            return self._room.calls.held(request.call_id) is not None
        settings = self._room.settings
        return request.replica in ("", settings.replica)

    async def _watch_here(self, request: control_pb2.WatchCallsRequest, context: Context) -> None:
        with self._room.watchers.watching(request.call_id) as watcher:
            await context.send_initial_metadata(())
            while True:
                event = await watcher.next()
                await context.write(control_pb2.WatchCallsResponse(event=event))
                if request.call_id and event.HasField("ended"):
                    return

    async def _watch_elsewhere(
        self, request: control_pb2.WatchCallsRequest, context: Context
    ) -> None:
        what = f"call {request.call_id!r}" if request.call_id else f"gateway {request.replica!r}"
        absent = _Absent(f"there is no {what} to be watched", reason="NO_CALL")
        if _depth(context):
            raise absent
        if self._room.calls.ended(request.call_id):
            raise OutOfOrder("call_id", "this call has ended", reason="CALL_ENDED")
        replica = request.replica
        tag = gateway_tag(self._room.settings.region, replica) if replica else ""
        stream = await self._room.elsewhere.watch(request, tag or tag_of(request.call_id))
        if stream is None and not replica:
            stream = await self._room.elsewhere.watch(request)
        if stream is None:
            raise absent
        try:
            await context.send_initial_metadata(())
            async for response in stream:
                await context.write(response)
        finally:
            stream.cancel()


def _depth(context: Context) -> str:
    """Return how far a gateway that asks looks: LIVE or KNOWN; empty if an application asks."""
    return str(dict(context.invocation_metadata() or ()).get(SEARCH_HEADER, ""))


async def _guarded(context: Context, act: Callable[[], Coroutine[None, None, Answer]]) -> Answer:
    """Act; pass errors on as their status, and say so where another gateway may know better."""
    take(context)
    try:
        return await act()
    except _Absent as error:
        if _depth(context):
            await context.abort(error.status, error.message, ((ELSEWHERE_HEADER, "1"),))
        await errors.abort(context, error)
    except VoicemeshError as error:
        await errors.abort(context, error)
    except grpc.aio.AioRpcError as error:
        trailing = error.trailing_metadata()
        status = [(key, value) for key, value in trailing if key == _STATUS] if trailing else []
        await context.abort(error.code(), error.details() or "", tuple(status))


_STATUS = "grpc-status-details-bin"
