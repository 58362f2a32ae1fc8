"""Places calls by SIP: the mesh's SIP processes telephone, and come back with who answered."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Any

import grpc.aio

from voicemesh import telemetry
from voicemesh.api.sip.v1 import sip_pb2, sip_pb2_grpc
from voicemesh.channel import open_channel
from voicemesh.client.faults import from_rpc
from voicemesh.errors import VoicemeshError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gateway.control.dialling import Order
    from voicemesh.tls import Trust

NEWS_SECONDS = 1.0
"""How long the far end may take to ring; then who ordered the call is told that it is under way."""
_REASONS: Mapping[sip_pb2.DialOutcome.ValueType, str] = {
    sip_pb2.DIAL_OUTCOME_BUSY: "busy",
    sip_pb2.DIAL_OUTCOME_DECLINED: "rejected",
    sip_pb2.DIAL_OUTCOME_NO_ANSWER: "no_answer",
}

_log = telemetry.get_logger("trunks")


def _to_nobody(_call_id: str, _name: str, _end: str) -> None:
    pass


class TrunkDialler:
    """One trunk of the SIP file."""

    def __init__(self, trunk: str, caller: str, target: str, trust: Trust | None = None) -> None:
        """``trunk`` empty: the file's first; ``target`` is where SIP processes are reached."""
        self.tell: Callable[[str, str, str], None] = _to_nobody
        """Is told what becomes of a call: its id, its name, its end (as `Placing.told`)."""
        self._trunk = trunk
        self._caller = caller
        self._target = target
        self._trust = trust
        self._channel: grpc.aio.Channel | None = None
        self._placed: dict[str, asyncio.Task[None]] = {}

    async def dial(self, order: Order) -> str:
        # The bot is in the ticket, with which the call comes to a gateway when it is answered.
        request = sip_pb2.DialRequest(
            to=order.callee,
            trunk=self._trunk,
            caller=order.caller or self._caller,
            variables=order.parameters,
            ring_seconds=max(1, math.ceil(order.ring_seconds)),
        )
        taken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        task = asyncio.create_task(self._follow(order.call_id, request, taken))
        self._placed[order.call_id] = task
        task.add_done_callback(lambda _: self._placed.pop(order.call_id, None))
        try:
            await asyncio.wait([taken], timeout=NEWS_SECONDS)
        except asyncio.CancelledError:
            task.cancel()
            raise
        if taken.done():
            taken.result()
        return order.call_id

    async def cancel(self, name: str, call_id: str) -> None:
        """Stop ringing: who breaks the order off takes the call back."""
        task = self._placed.get(call_id)
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def aclose(self) -> None:
        placed = [*self._placed.values()]
        for task in placed:
            task.cancel()
        await asyncio.gather(*placed, return_exceptions=True)
        if self._channel is not None:
            await self._channel.close()

    async def _follow(
        self, call_id: str, request: sip_pb2.DialRequest, taken: asyncio.Future[None]
    ) -> None:
        """Follow a call until it is answered, or will not be."""
        stream = self._stub().Dial(request)
        try:
            async for news in stream:
                if not taken.done():
                    taken.set_result(None)
                if news.HasField("answered"):
                    return
                if news.HasField("ended"):
                    self._ended(call_id, news.ended)
                    return
        except grpc.aio.AioRpcError as error:
            self._failed(call_id, from_rpc(error, self._target), taken)
        finally:
            stream.cancel()

    def _ended(self, call_id: str, ended: sip_pb2.DialEnded) -> None:
        _log.info("not answered", call_id=call_id, status=ended.sip_status, detail=ended.detail)
        self.tell(call_id, call_id, _REASONS.get(ended.outcome, "failed"))

    def _failed(self, call_id: str, error: VoicemeshError, taken: asyncio.Future[None]) -> None:
        if not taken.done():
            taken.set_exception(error)
            return
        _log.warning("a call was not placed", call_id=call_id, problem=error.message)
        self.tell(call_id, call_id, "failed")

    def _stub(self) -> Any:  # noqa: ANN401 - the stub of grpc.aio has no type of its own
        if self._channel is None:
            self._channel = open_channel(self._target, trust=self._trust)
        return sip_pb2_grpc.SipServiceStub(self._channel)
