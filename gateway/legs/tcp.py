"""The door for carriers that speak over plain TCP: Asterisk's AudioSocket."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

from gateway.legs.reception import Asked, Guest, Reception
from gateway.legs.websocket import BACKLOG, split_address
from voicemesh import telemetry
from voicemesh.carriers.table import DIALECTS
from voicemesh.errors import Misconfigured, VoicemeshError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import grpc.aio

    from gateway.service import Gateway
    from voicemesh.carriers.dialect import Frame

NAME = "audiosocket"
GOODBYE_SECONDS = 1.0
"""How long the last that was sent may take to leave."""

_log = telemetry.get_logger("carriers")


class TcpDoor:
    """Lets Asterisk's AudioSockets in."""

    names: Sequence[str] = ()

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._reception = Reception(gateway)
        self._server: asyncio.Server | None = None

    @property
    def port(self) -> int:
        """Return the port that it listens on; 0 before `start` and without an address."""
        return self._server.sockets[0].getsockname()[1] if self._server else 0

    def register(self, server: grpc.aio.Server) -> None:
        """Do nothing: it listens by itself."""

    async def start(self) -> None:
        address = self._gateway.settings.audiosocket
        if not address:
            return
        host, port = split_address("VOICEMESH_AUDIOSOCKET", address)
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_server(
                lambda: Connection(self._reception), host, port, backlog=BACKLOG
            )
        except OSError as error:
            raise Misconfigured(
                f"VOICEMESH_AUDIOSOCKET: cannot listen on {address}; is the port taken?",
                address=address,
            ) from error

    async def stop(self) -> None:
        if self._server:
            self._server.close()


class Connection(asyncio.Protocol):
    """One connection: what the event loop calls, and what a leg writes to."""

    def __init__(self, reception: Reception) -> None:
        self.gone = asyncio.Event()
        self._reception = reception
        self._guest: Guest | None = None
        self._transport: asyncio.Transport
        self._closing = False
        self._clean = False

    # Called by the event loop.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        try:
            self._reception.check_room()
        except VoicemeshError as error:
            _log.info("connection refused", reason=error.reason)
            self._transport.abort()
            return
        # The protocol has no room for a secret: who may connect is the network's to say.
        self._guest = Guest(self._reception, DIALECTS[NAME], self, Asked(trusted=True))

    def data_received(self, data: bytes) -> None:
        if self._guest is not None and not self._closing:
            self._guest.receive(data)

    def eof_received(self) -> None:
        self._clean = True

    def connection_lost(self, _error: Exception | None) -> None:
        self._closing = True
        self.gone.set()
        if self._guest is not None:
            self._guest.lost(clean=self._clean)

    # Called by the leg.

    @property
    def unsent(self) -> int:
        return self._transport.get_write_buffer_size()

    def write(self, frames: Sequence[Frame]) -> None:
        if not self._closing:
            self._transport.write(b"".join(cast("Sequence[bytes]", frames)))

    def close(self, _error: VoicemeshError | None, seconds: float = 0.0) -> None:
        if self._closing:
            return
        loop = asyncio.get_running_loop()
        if seconds:
            loop.call_later(seconds, self.close, _error)
            return
        self._closing = True
        self._transport.close()
        loop.call_later(GOODBYE_SECONDS, self._transport.abort)
