from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from voicemesh.api.call.v1 import call_pb2
from voicemesh.client.line import Line

if TYPE_CHECKING:
    from collections.abc import Awaitable


class FakeStream:
    """A stream whose only answer the test gives."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.answer: asyncio.Future[call_pb2.ConverseResponse] = (
            asyncio.get_running_loop().create_future()
        )

        self._metadata_sent = asyncio.Event()
        self._metadata_sent.set()
        self._cython_call = self

    def done(self) -> bool:
        return False

    async def send_serialized_message(self, _request: bytes) -> None:
        self.asked.set()

    def read(self) -> Awaitable[call_pb2.ConverseResponse]:
        return self.answer


async def test_a_line_that_is_dropped_as_it_is_answered_does_not_stand() -> None:
    stream = FakeStream()
    line = Line("somewhere", stream)  # type: ignore[arg-type] # what of a stream is used here
    starting = asyncio.create_task(line.start(call_pb2.Start()))
    await stream.asked.wait()
    stream.answer.set_result(call_pb2.ConverseResponse(started=call_pb2.Started(call_id="c")))
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
