"""How a caller of the load generator reaches the mesh. Another dialect is another leg.

A leg is driven by the worker's tick and tells its caller what arrives. It keeps no timer and starts
no task while frames leave as fast as they come.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import TYPE_CHECKING, Protocol

import grpc.aio

from voicemesh.api.call.v1 import call_pb2
from voicemesh.bench.clip import FRAME_SAMPLES, SILENCE
from voicemesh.channel import open_channel
from voicemesh.client import FORMATS, Request
from voicemesh.client.faults import from_rpc
from voicemesh.waterfall import Waterfall

if TYPE_CHECKING:
    from voicemesh.bench.caller import Caller
    from voicemesh.bench.clip import Clip
    from voicemesh.bench.tally import Tally

    _Stream = grpc.aio.StreamStreamCall[bytes, bytes]

METHOD = "/voicemesh.api.call.v1.CallService/Converse"
CALLS_PER_CHANNEL = 80
"""An edge that allows a connection 100 streams silently queues the one after them."""
MOST_UNSENT = 250
"""Frames, 5 s: a gateway that takes none for so long has failed the call."""


class Leg(Protocol):
    """One call's connection."""

    async def run(self) -> None:
        """Place the call and tell the caller what happens until it is over."""

    def send(self, position: int) -> None:
        """Send the next 20 ms: a frame of the clip, or silence for a negative number."""

    def hang_up(self) -> None:
        """End the call; `run` returns when it is over."""


class Line(Protocol):
    """The way of one process's callers to the mesh."""

    async def open(self, seconds: float) -> None:
        """Connect; raise TimeoutError if that takes too long."""

    def leg(self, caller: Caller, tally: Tally, clip: Clip) -> Leg:
        """Return a leg for one more call."""

    async def close(self) -> None:
        """Let go of everything."""


class GrpcLeg:
    """A call over `CallService.Converse`, as serialised messages both ways."""

    def __init__(
        self, channel: grpc.aio.Channel, bot: str, caller: Caller, tally: Tally, clip: Clip
    ) -> None:
        self._caller = caller
        self._tally = tally
        self._clip = clip
        self._start = Request(bot=bot, caller_format=FORMATS["pcmu"]).to_proto()
        self._stream: _Stream = channel.stream_stream(METHOD)()
        self._offset = 0
        self._unsent: deque[bytes] = deque()
        self._sender: asyncio.Task[None] | None = None

    async def run(self) -> None:
        self._caller.place(time.monotonic())
        try:
            await self._stream.write(
                call_pb2.ConverseRequest(start=self._start).SerializeToString()
            )
            await self._listen()
        except grpc.aio.AioRpcError as error:
            self._caller.fail(from_rpc(error, "").reason)
        except asyncio.InvalidStateError:
            self._caller.fail((await self._stream.code()).name)
        finally:
            self._stream.cancel()
            if self._sender is not None:
                self._sender.cancel()
        self._caller.fail("ENDED")

    def send(self, position: int) -> None:
        data = SILENCE if position < 0 else self._clip.frames[position]
        self._put(_audio(self._offset, data))
        self._offset += FRAME_SAMPLES

    def hang_up(self) -> None:
        self._caller.hang_up()
        self._put(_HANG_UP)

    def _put(self, message: bytes) -> None:
        self._unsent.append(message)
        if self._sender is None:
            self._sender = asyncio.create_task(self._send_all())
        elif len(self._unsent) > MOST_UNSENT:
            self._unsent.clear()
            self._caller.fail("NOT_READ")
            self._stream.cancel()

    async def _send_all(self) -> None:
        # The public `write` overwrites the status of a stream that the gateway has just ended.
        call = self._stream._cython_call  # type: ignore[attr-defined]
        try:
            while self._unsent and not self._stream.done():
                await call.send_serialized_message(self._unsent.popleft())
        except (grpc.aio.InternalError, asyncio.InvalidStateError):
            self._unsent.clear()  # whoever listens learns why
        finally:
            self._sender = None

    async def _listen(self) -> None:
        caller, stream, clock = self._caller, self._stream, time.monotonic
        while isinstance(data := await stream.read(), bytes):  # until EOF
            now = clock()
            _message.ParseFromString(data)
            kind = _message.WhichOneof("message")
            if kind == "audio":
                audio = _message.audio
                caller.heard(audio.offset, len(audio.data), now)
            elif kind == "clear":
                caller.cleared(_message.clear.offset, now)
            elif kind == "started":
                caller.started(now)
            elif kind == "turn":
                self._tally.mesh_share(Waterfall.from_proto(_message.turn).mesh_seconds, now)
            elif kind == "ended":
                caller.fail(call_pb2.EndReason.Name(_message.ended.reason))


_message = call_pb2.ConverseResponse()
"""Read anew for every message: nothing of it is kept, and nothing reads two at a time."""
_frame = call_pb2.ConverseRequest()
_HANG_UP = call_pb2.ConverseRequest(hang_up=call_pb2.HangUp()).SerializeToString()


def _audio(offset: int, data: bytes) -> bytes:
    """Return a serialised frame; the message itself is the same one each time."""
    chunk = _frame.audio
    chunk.offset = offset
    chunk.data = data
    return _frame.SerializeToString()


class GrpcLine:
    """The connections of one process, and the legs on them."""

    def __init__(self, target: str, bot: str, calls: int) -> None:
        self._bot = bot
        self._channels = [
            open_channel(target, own_connection=True)
            for _ in range(-(-calls // CALLS_PER_CHANNEL) or 1)
        ]
        self._legs = 0

    async def open(self, seconds: float) -> None:
        """Connect; raise TimeoutError if that takes too long."""
        ready = [channel.channel_ready() for channel in self._channels]
        await asyncio.wait_for(asyncio.gather(*ready), seconds)

    def leg(self, caller: Caller, tally: Tally, clip: Clip) -> Leg:
        """Return a leg for one more call."""
        channel = self._channels[self._legs % len(self._channels)]
        self._legs += 1
        return GrpcLeg(channel, self._bot, caller, tally, clip)

    async def close(self) -> None:
        """Let go of everything."""
        for channel in self._channels:
            await channel.close()
