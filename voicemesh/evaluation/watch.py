"""Which call has just begun, and what its journal said at its end: by call control."""

from __future__ import annotations

import asyncio
import math
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio
from grpc import StatusCode

from voicemesh.api.control.v1 import control_pb2, control_pb2_grpc
from voicemesh.channel import open_channel
from voicemesh.client.faults import from_rpc
from voicemesh.errors import DeadlineMissed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from voicemesh.api.control.v1 import event_pb2

FOUND_SECONDS = 20.0
RESUME_SECONDS = 5.0
"""How long a caller who vanished may take to come back."""
_LOOK_SECONDS = 0.1


class Watch:
    """Finds out which call is ours, and what came of it, by call control."""

    def __init__(
        self,
        calls: Any,  # noqa: ANN401 - the service's stub
        edge: str,
        bot: str,
    ) -> None:
        self.lock = asyncio.Lock()
        """Held from placing a call until it is found."""
        self._calls = calls
        self._edge = edge
        self._bot = bot
        self._known: set[str] = set()

    async def look(self) -> set[str]:
        """Return the calls that have begun since it was asked last."""
        token, found = "", set()
        while True:
            page = await self._calls.ListCalls(control_pb2.ListCallsRequest(page_token=token))
            found |= {call.call_id for call in page.calls if call.bot == self._bot}
            token = page.next_page_token
            if not token:
                break
        new = found - self._known
        self._known |= new
        return new

    async def newest(self) -> str:
        """Return the call that has just begun; raise DeadlineMissed if none does."""
        deadline = asyncio.get_running_loop().time() + FOUND_SECONDS
        while asyncio.get_running_loop().time() < deadline:
            # A listing that breaks off is asked for again.
            with suppress(grpc.aio.AioRpcError):
                if new := await self.look():
                    return new.pop()
            await asyncio.sleep(_LOOK_SECONDS)
        raise DeadlineMissed(f"no call to {self._bot!r} began within {FOUND_SECONDS:g} s")

    async def end(self, call_id: str) -> event_pb2.Ended:
        """Return the end of a call; a watch that breaks off meanwhile is begun again.

        A caller who vanished may have resumed the call, which then ends once more.
        """
        vanished, deadline = None, math.inf
        while True:
            try:
                ended = await self._ended(call_id)
            except grpc.aio.AioRpcError as error:
                over = error.code() in (StatusCode.FAILED_PRECONDITION, StatusCode.NOT_FOUND)
                if over and vanished is None:
                    raise from_rpc(error, self._edge) from error
                if vanished is not None and asyncio.get_running_loop().time() >= deadline:
                    return vanished
                await asyncio.sleep(_LOOK_SECONDS)
                continue
            if ended.reason != "caller_vanished":
                return ended
            vanished, deadline = ended, asyncio.get_running_loop().time() + RESUME_SECONDS

    async def _ended(self, call_id: str) -> event_pb2.Ended:
        request = control_pb2.WatchCallsRequest(call_id=call_id)
        async for response in self._calls.WatchCalls(request):
            if response.event.HasField("ended"):
                ended: event_pb2.Ended = response.event.ended
                return ended
        raise DeadlineMissed(f"nobody told the end of call {call_id}")


@asynccontextmanager
async def watching(edge: str, bot: str) -> AsyncIterator[Watch]:
    """Watch the calls to a bot, by an edge's address."""
    channel = open_channel(edge)
    try:
        watch = Watch(control_pb2_grpc.CallsServiceStub(channel), edge, bot)
        try:
            await watch.look()
        except grpc.aio.AioRpcError as error:
            raise from_rpc(error, edge) from error
        yield watch
    finally:
        await channel.close()
