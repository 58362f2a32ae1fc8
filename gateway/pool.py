"""Channels to the mesh, shared by all calls of the process.

A proxy that allows N streams per connection silently queues the one after them, so a channel
carries a limited number. There are several lanes of channels, all connected before they are needed,
one for each address of the mesh and two at least: a session that broke is opened again on another
lane, not by the connection or the Envoy that may have caused it.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.stream import Stream
from voicemesh.api.session.v1 import session_pb2_grpc
from voicemesh.channel import Pulse, addresses, open_channel

if TYPE_CHECKING:
    from collections.abc import Iterator

    import grpc.aio

    from gateway.stream import StreamUser
    from voicemesh.api.session.v1 import session_pb2
    from voicemesh.tls import Trust

LEAST_LANES = 2
STREAMS_PER_CHANNEL = 80


@dataclass(slots=True, eq=False)
class Shared:
    """A channel that streams share."""

    channel: grpc.aio.Channel
    stub: session_pb2_grpc.SessionServiceStub
    pulse: Pulse
    streams: int = 0


class ChannelPool:
    """Lends channels; never more than STREAMS_PER_CHANNEL of one channel at a time."""

    def __init__(self, target: str, trust: Trust | None = None) -> None:
        self._targets = addresses(target)
        self._trust = trust
        count = max(len(self._targets), LEAST_LANES)
        self._lanes: list[list[Shared]] = [[] for _ in range(count)]

    def warm_up(self) -> None:
        """Begin to connect one channel of each lane."""
        for lane in range(len(self._lanes)):
            self._spare(lane)

    def stream(
        self,
        lane: int,
        number: int,
        metadata: tuple[tuple[str, str], ...],
        first: session_pb2.RunRequest,
        user: StreamUser,
    ) -> Stream:
        """Open a stream by a lane (any number; they go round)."""
        return Stream(number, self.lend(lane), metadata, first, user)

    @contextmanager
    def lend(self, lane: int) -> Iterator[Shared]:
        """Lend a channel of a lane (any number; they go round) for one stream."""
        shared = self._spare(lane % len(self._lanes))
        shared.streams += 1
        try:
            yield shared
        finally:
            shared.streams -= 1

    async def close(self) -> None:
        """Close every channel."""
        for lane in self._lanes:
            for shared in lane:
                await shared.channel.close()
            lane.clear()

    def _spare(self, lane: int) -> Shared:
        for shared in self._lanes[lane]:
            if shared.streams < STREAMS_PER_CHANNEL:
                return shared
        target = self._targets[lane % len(self._targets)]
        several, pulse = len(self._targets) > 1, Pulse()
        channel = open_channel(
            target, trust=self._trust, own_connection=True, beat=several, pulse=pulse
        )
        channel.get_state(try_to_connect=True)
        shared = Shared(channel, session_pb2_grpc.SessionServiceStub(channel), pulse)
        self._lanes[lane].append(shared)
        return shared
