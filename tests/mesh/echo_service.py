"""A stand-in for any service of the mesh: answers every message of a stream with its own name.

``python echo_service.py voicemesh.api.session.v1.SessionService`` serves like the real one:
health, metrics, drain, handing over. Environment ``ECHO_CRASH`` makes it end at once.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import grpc.aio

from voicemesh import server, telemetry
from voicemesh.errors import VoicemeshError, abort
from voicemesh.settings import ServiceSettings, load

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from voicemesh.errors import Context


LEAVE = b"leave"
"""Said to every caller that shall open its stream again."""


class Echo:
    """Serves one bidi method, ``Run``, of raw bytes."""

    def __init__(self, service: str, settings: ServiceSettings) -> None:
        self.names: Sequence[str] = (service,)
        self.live = server.LiveStreams(settings.max_calls)
        far = f"{settings.region}/" if settings.region != "local" else ""
        self._replica = f"{far}{settings.replica}".encode()
        self._streams: set[_Stream] = set()

    def register(self, grpc_server: grpc.aio.Server) -> None:
        run: grpc.RpcMethodHandler[bytes, bytes] = grpc.stream_stream_rpc_method_handler(self._run)
        handler = grpc.method_handlers_generic_handler(self.names[0], {"Run": run})
        grpc_server.add_generic_rpc_handlers((handler,))

    async def start(self) -> None:
        """Nothing to load."""

    async def drain(self) -> None:
        """Callers that know the word leave; the streams of others stay until they end them."""
        await self.hand_over()

    async def hand_over(self) -> None:
        for stream in list(self._streams):
            await stream.say(LEAVE)

    async def stop(self) -> None:
        """Nothing to let go of."""

    async def _run(self, requests: AsyncIterator[bytes], context: Context) -> None:
        headers = dict(context.invocation_metadata() or ())
        stream = _Stream(context)
        try:
            with self.live.admit():
                self._streams.add(stream)
                async for request in requests:
                    await stream.say(request + b" by " + self._replica + _internal(headers))
        except VoicemeshError as error:
            await abort(context, error)
        finally:
            self._streams.discard(stream)


class _Stream:
    """What is said to one caller, by whom ever."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._one_writes = asyncio.Lock()

    async def say(self, message: bytes) -> None:
        async with self._one_writes:
            await self._context.write(message)


def _internal(headers: dict[str, str | bytes]) -> bytes:
    """Show which internal headers got through."""
    names = sorted(name for name in headers if name.startswith(("x-voicemesh-", "x-envoy-")))
    return b"".join(b" " + name.encode() for name in names)


async def main() -> None:
    settings = load(ServiceSettings)
    telemetry.configure(settings)
    if "ECHO_CRASH" in os.environ:
        sys.exit("the echo was told to crash")
    gone = os.environ.get("ECHO_GONE")
    if gone and (Path(gone) / settings.region).exists():
        sys.exit("its region is told to be gone")
    await server.serve(Echo(sys.argv[1], settings), settings)


if __name__ == "__main__":
    asyncio.run(main())
