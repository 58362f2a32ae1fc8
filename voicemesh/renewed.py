"""A channel whose certificate changes under live calls.

A gRPC channel keeps the certificate it was made with. So when there is a new one, another channel
is made beside it and connected; what is opened from then on goes by that, what is live stays on the
old one, which goes when its last stream has ended.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

import grpc
import grpc.aio

if TYPE_CHECKING:
    from collections.abc import Callable

    from voicemesh.tls import Trust

CONNECT_SECONDS = 5.0
"""How long a fresh channel may take until it is used although it is not connected."""
LAST_STREAM_SECONDS = 4 * 3600.0
"""No stream lives longer."""


class _Method:
    """One method of whichever channel is the newest."""

    def __init__(self, channel: RenewedChannel, kind: str, args: Any, more: Any) -> None:  # noqa: ANN401
        self._channel = channel
        self._make = (kind, args, more)
        self._of: grpc.aio.Channel | None = None
        self._method: Any = None

    def __call__(self, *args: Any, **more: Any) -> Any:  # noqa: ANN401 - any RPC
        newest = self._channel.newest
        if newest is not self._of:
            kind, given, named = self._make
            self._method, self._of = getattr(newest, kind)(*given, **named), newest
        return self._method(*args, **more)


class RenewedChannel(grpc.aio.Channel):
    """Stands for the newest of several channels to one target."""

    def __init__(self, open_fresh: Callable[[], grpc.aio.Channel], trust: Trust) -> None:
        self._open = open_fresh
        self.newest = open_fresh()
        """The one that new streams go by."""
        self.renewed = asyncio.Event()
        """Set once it is not the first any more."""
        self._forget = trust.on_change(self._changed)
        self._loop = asyncio.get_running_loop()
        self._renewing: set[asyncio.Task[None]] = set()
        self._old: set[grpc.aio.Channel] = set()

    def _changed(self) -> None:
        task = self._loop.create_task(self._renew(), name="renew channel")
        self._renewing.add(task)
        task.add_done_callback(self._renewing.discard)

    async def _renew(self) -> None:
        fresh = self._open()
        self._old.add(fresh)
        with suppress(TimeoutError):
            async with asyncio.timeout(CONNECT_SECONDS):
                await fresh.channel_ready()
        old, self.newest = self.newest, fresh
        self._old.discard(fresh)
        self._old.add(old)
        self.renewed.set()
        await old.close(LAST_STREAM_SECONDS)
        self._old.discard(old)

    async def close(self, grace: float | None = None) -> None:
        """Close all of them."""
        self._forget()
        for task in list(self._renewing):
            task.cancel()
        await asyncio.gather(*self._renewing, return_exceptions=True)
        for channel in (self.newest, *self._old):
            await channel.close(grace)
        self._old.clear()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:
        """Return the state of the newest."""
        return self.newest.get_state(try_to_connect)

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        """Wait until the newest is in another state."""
        await self.newest.wait_for_state_change(last_observed_state)

    async def channel_ready(self) -> None:
        """Wait until the newest is connected."""
        await self.newest.channel_ready()

    def unary_unary(self, *args: Any, **more: Any) -> Any:  # noqa: ANN401 - as gRPC's own
        """Return a method."""
        return _Method(self, "unary_unary", args, more)

    def unary_stream(self, *args: Any, **more: Any) -> Any:  # noqa: ANN401
        """Return a method."""
        return _Method(self, "unary_stream", args, more)

    def stream_unary(self, *args: Any, **more: Any) -> Any:  # noqa: ANN401
        """Return a method."""
        return _Method(self, "stream_unary", args, more)

    def stream_stream(self, *args: Any, **more: Any) -> Any:  # noqa: ANN401
        """Return a method."""
        return _Method(self, "stream_stream", args, more)
