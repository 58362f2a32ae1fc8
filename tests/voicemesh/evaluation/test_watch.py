"""Whose call it is and how it ended, though listings and watches break off."""

from __future__ import annotations

from typing import TYPE_CHECKING

import grpc.aio
import pytest
from grpc import StatusCode

from voicemesh.api.control.v1 import control_pb2, event_pb2
from voicemesh.errors import DeadlineMissed, VoicemeshError
from voicemesh.evaluation.watch import RESUME_SECONDS, Watch

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.virtual_time


def broken(code: StatusCode) -> grpc.aio.AioRpcError:
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(), "broken")


class Calls:
    """Call control; what a watch brings is an end, or an error for each time."""

    def __init__(
        self, *watches: str | StatusCode, listings: tuple[list[str] | None, ...] = ()
    ) -> None:
        self.watches = list(watches)
        self.listings = list(listings)

    async def ListCalls(self, _: object) -> control_pb2.ListCallsResponse:  # noqa: N802
        listed = self.listings.pop(0) if self.listings else []
        if listed is None:
            raise broken(StatusCode.UNAVAILABLE)
        calls = [control_pb2.Call(call_id=name, bot="desk") for name in listed]
        return control_pb2.ListCallsResponse(calls=calls)

    async def WatchCalls(  # noqa: N802
        self, _: object
    ) -> AsyncIterator[control_pb2.WatchCallsResponse]:
        told = self.watches.pop(0) if len(self.watches) > 1 else self.watches[0]
        if isinstance(told, StatusCode):
            raise broken(told)
        ended = event_pb2.CallEvent(ended=event_pb2.Ended(reason=told))
        yield control_pb2.WatchCallsResponse(event=ended)


def watch(calls: Calls) -> Watch:
    return Watch(calls, "edge", "desk")


async def test_a_call_that_is_resumed_ends_once_more() -> None:
    gone, over = StatusCode.NOT_FOUND, StatusCode.FAILED_PRECONDITION
    calls = Calls(StatusCode.INTERNAL, "caller_vanished", over, gone, "bot_hung_up")
    assert (await watch(calls).end("c")).reason == "bot_hung_up"


async def test_one_that_is_not_resumed_has_ended() -> None:
    assert RESUME_SECONDS > 0
    calls = Calls("caller_vanished", StatusCode.NOT_FOUND)
    assert (await watch(calls).end("c")).reason == "caller_vanished"


async def test_a_call_that_nobody_knows_is_an_error() -> None:
    with pytest.raises(VoicemeshError, match="broken"):
        await watch(Calls(StatusCode.NOT_FOUND)).end("c")


async def test_the_newest_call_is_found_though_a_listing_breaks_off() -> None:
    calls = Calls("", listings=(["old"], None, ["old"], ["new", "old"]))
    held = watch(calls)
    assert await held.look() == {"old"}
    assert await held.newest() == "new"


async def test_a_call_that_never_begins_is_missed() -> None:
    with pytest.raises(DeadlineMissed, match="no call to 'desk' began"):
        await watch(Calls("")).newest()
