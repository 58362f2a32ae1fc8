"""A stand-in for any service of the mesh: answers every message of a stream with its own name.

``python echo_service.py voicemesh.api.session.v1.SessionService`` serves like the real one:
health, metrics, drain. Environment ``ECHO_CRASH`` makes it end at once.
"""

from __future__ import annotations

import asyncio
import os
import sys
from typing import TYPE_CHECKING

import grpc
import grpc.aio

from voicemesh import server, telemetry
from voicemesh.errors import VoicemeshError, abort
from voicemesh.settings import ServiceSettings, load

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from voicemesh.errors import Context


class Echo:
    """Serves one bidi method, ``Run``, of raw bytes."""

    def __init__(self, service: str, settings: ServiceSettings) -> None:
        self.names: Sequence[str] = (service,)
        self.live = server.LiveStreams(settings.max_calls)
        self._replica = settings.replica.encode()

    def register(self, grpc_server: grpc.aio.Server) -> None:
        run: grpc.RpcMethodHandler[bytes, bytes] = grpc.stream_stream_rpc_method_handler(self._run)
        handler = grpc.method_handlers_generic_handler(self.names[0], {"Run": run})
        grpc_server.add_generic_rpc_handlers((handler,))

    async def start(self) -> None:
        """Nothing to load."""

    async def drain(self) -> None:
        """Streams stay until their callers end them."""

    async def stop(self) -> None:
        """Nothing to let go of."""

    async def _run(self, requests: AsyncIterator[bytes], context: Context) -> AsyncIterator[bytes]:
        headers = dict(context.invocation_metadata() or ())
        try:
            with self.live.admit():
                async for request in requests:
                    yield request + b" by " + self._replica + _internal(headers)
        except VoicemeshError as error:
            await abort(context, error)


def _internal(headers: dict[str, str | bytes]) -> bytes:
    """Show which internal headers got through."""
    names = sorted(name for name in headers if name.startswith(("x-voicemesh-", "x-envoy-")))
    return b"".join(b" " + name.encode() for name in names)


async def main() -> None:
    settings = load(ServiceSettings)
    telemetry.configure(settings)
    if "ECHO_CRASH" in os.environ:
        sys.exit("the echo was told to crash")
    await server.serve(Echo(sys.argv[1], settings), settings)


if __name__ == "__main__":
    asyncio.run(main())
