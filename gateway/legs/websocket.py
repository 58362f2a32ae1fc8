"""The door for carriers' WebSockets, on a port of its own; `legs.upgrade` says who may come in.

Frames are only collected here; the floor's tick reads them. `GET /health` says that calls are
taken. Whatever is refused before the upgrade is an HTTP status, afterwards a close code.
"""

from __future__ import annotations

import asyncio
import struct
from contextlib import suppress
from typing import TYPE_CHECKING

from picows import (
    WSCloseCode,
    WSFrame,
    WSListener,
    WSMsgType,
    WSTransport,
    WSUpgradeRequest,
    WSUpgradeResponse,
    WSUpgradeResponseWithListener,
    ws_create_server,
)

from gateway import metrics
from gateway.legs.closing import NORMAL, close_code, close_reason
from gateway.legs.reception import Guest, Reception
from gateway.legs.upgrade import Upgrades, agreed_subprotocol, carrier_in, http_status
from gateway.softphone.pages import Pages
from voicemesh import telemetry
from voicemesh.carriers.dialect import MAX_FRAME_BYTES
from voicemesh.errors import InvalidInput, Misconfigured, VoicemeshError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import grpc.aio

    from gateway.legs.reception import Asked
    from gateway.service import Gateway
    from gateway.softphone.pages import Page
    from voicemesh.carriers.dialect import Dialect, Frame

HEALTH = "/health"
GOODBYE_SECONDS = 1.0
"""How long the other side may take to answer our close; then the connection is cut."""
BACKLOG = 1024
"""Connections that may come within one turn of the event loop."""
_MOST_RECEIVED = 4 * MAX_FRAME_BYTES
"""Beyond this a frame is not even read; up to it, refusing it can be explained."""
_READ_BUFFER = 4096
_MESSAGES = (WSMsgType.TEXT, WSMsgType.BINARY, WSMsgType.CONTINUATION)

_log = telemetry.get_logger("carriers")


class WebSocketDoor:
    """Lets carriers' WebSockets in."""

    names: Sequence[str] = ()

    def __init__(self, gateway: Gateway) -> None:
        self._settings = gateway.settings
        self._reception = Reception(gateway)
        self._upgrades = Upgrades(
            gateway.settings, self._reception.check_token, gateway.desk.twilio_token
        )
        self._softphone = Pages(gateway.bots, self._reception.check_token)
        self._server: asyncio.Server | None = None

    @property
    def port(self) -> int:
        """Return the port that it listens on; 0 before `start` and without an address."""
        return int(self._server.sockets[0].getsockname()[1]) if self._server else 0

    def register(self, server: grpc.aio.Server) -> None:
        """Do nothing: it listens by itself."""

    async def start(self) -> None:
        address = self._settings.sockets
        if not address:
            return
        host, port = split_address("VOICEMESH_SOCKETS", address)
        try:
            self._server = await ws_create_server(
                self._opens,
                host,
                port,
                websocket_handshake_timeout=self._settings.carrier_start_seconds,
                max_frame_size=_MOST_RECEIVED,
                read_buffer_init_size=_READ_BUFFER,
                backlog=BACKLOG,
                ssl=self._settings.server_context,
            )
        except OSError as error:
            raise Misconfigured(
                f"VOICEMESH_SOCKETS: cannot listen on {address}; is the port taken?",
                address=address,
            ) from error
        if not self._settings.carrier_token.get_secret_value():
            _log.warning("most carriers' sockets are open to all: set VOICEMESH_CARRIER_TOKEN")

    async def stop(self) -> None:
        if self._server:
            self._server.close()

    def _opens(self, request: WSUpgradeRequest) -> WSUpgradeResponseWithListener:
        """Answer a request: with a socket, or with why not."""
        path = request.path.decode("latin-1")
        if path == HEALTH:
            # While draining, nobody listens here any more.
            return WSUpgradeResponseWithListener(
                WSUpgradeResponse.create_ok_response(b"serving\n"), None
            )
        page = self._softphone.find(path)
        if page is not None:
            return WSUpgradeResponseWithListener(_written(page), None)
        try:
            dialect, asked = self._upgrades.read(path, request.headers)
            self._reception.check_room()
        except VoicemeshError as error:
            metrics.CARRIER_SOCKETS_REFUSED.labels(carrier_in(path), error.reason).inc()
            body = f"{error.reason}: {error.message}\n".encode()
            return WSUpgradeResponseWithListener(
                WSUpgradeResponse.create_error_response(http_status(error), body), None
            )
        return WSUpgradeResponseWithListener(
            WSUpgradeResponse.create_101_response(agreed_subprotocol(dialect, request.headers)),
            Socket(self._reception, dialect, asked),
        )


class Socket(WSListener):
    """One carrier's WebSocket: what picows calls, and what a leg writes to."""

    def __init__(self, reception: Reception, dialect: Dialect, asked: Asked) -> None:
        self.gone = asyncio.Event()
        self._opened = (reception, dialect, asked)
        self._guest: Guest
        self._transport: WSTransport
        self._parts: list[bytes] = []
        self._size = 0
        self._is_text = False
        self._closing = False
        self._clean = False

    # Called by picows.

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport
        reception, dialect, asked = self._opened
        self._guest = Guest(reception, dialect, self, asked)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type is WSMsgType.CLOSE:
            self._clean = True
            if not transport.is_close_frame_sent:
                transport.send_close(WSCloseCode.OK)
            transport.disconnect()
        elif frame.msg_type in _MESSAGES and not self._closing:
            if frame.msg_type is WSMsgType.TEXT and frame.fin and not self._parts:
                self._take_text(frame)
            else:
                self._collect(frame)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self._closing = True
        self.gone.set()
        self._guest.lost(clean=self._clean)

    # Called by the leg.

    @property
    def unsent(self) -> int:
        return int(self._transport.underlying_transport.get_write_buffer_size())

    def write(self, frames: Sequence[Frame]) -> None:
        if self._closing:
            return
        if len(frames) == 1:
            kind = WSMsgType.TEXT if isinstance(frames[0], str) else WSMsgType.BINARY
            self._transport.send(kind, frames[0])
        else:
            self._transport.underlying_transport.write(b"".join(map(framed, frames)))

    def close(self, error: VoicemeshError | None, seconds: float = 0.0) -> None:
        if self._closing:
            return
        loop = asyncio.get_running_loop()
        if seconds:
            loop.call_later(seconds, self.close, error)
            return
        self._closing = True
        code = NORMAL if error is None else close_code(error)
        reason = b"" if error is None else close_reason(error).encode()
        flowing = not self.unsent
        self._transport.send_close(WSCloseCode(code), reason)
        # Cutting it at once, with frames on their way here, would take the close frame with it.
        loop.call_later(GOODBYE_SECONDS, self._transport.disconnect, flowing)

    def _take_text(self, frame: WSFrame) -> None:
        """Take a message that came in one frame, as nearly all do."""
        if frame.payload_size > MAX_FRAME_BYTES:
            self._guest.fail(_too_big(frame.payload_size))
            return
        try:
            text = frame.get_payload_as_utf8_text()
        except UnicodeDecodeError:
            self._guest.fail(InvalidInput("frame", "is text, but not UTF-8"))
        else:
            self._guest.receive(text)

    def _collect(self, frame: WSFrame) -> None:
        """Put messages together that come in several frames."""
        if frame.msg_type is not WSMsgType.CONTINUATION:
            self._parts, self._size = [], 0
            self._is_text = frame.msg_type is WSMsgType.TEXT
        self._size += frame.payload_size
        if self._size > MAX_FRAME_BYTES:
            self._guest.fail(_too_big(self._size))
            return
        self._parts.append(frame.get_payload_as_bytes())
        if not frame.fin:
            return
        data, self._parts = b"".join(self._parts), []
        try:
            self._guest.receive(data.decode() if self._is_text else data)
        except UnicodeDecodeError:
            self._guest.fail(InvalidInput("frame", "is text, but not UTF-8"))


def framed(frame: Frame) -> bytes:
    """Return an unmasked WebSocket frame (RFC 6455, 5.2), to be written together with others."""
    first = 0x81 if isinstance(frame, str) else 0x82
    data = frame.encode() if isinstance(frame, str) else frame
    if len(data) < 126:
        return bytes((first, len(data))) + data
    if len(data) < 1 << 16:
        return struct.pack("!BBH", first, 126, len(data)) + data
    return struct.pack("!BBQ", first, 127, len(data)) + data


def split_address(setting: str, address: str) -> tuple[str, int]:
    """Return host and port; raise Misconfigured naming the setting."""
    host, _, port = address.rpartition(":")
    with suppress(ValueError):
        if host and 0 <= int(port) <= 65535:
            return host.strip("[]"), int(port)
    raise Misconfigured(f"{setting}: must be HOST:PORT, not {address!r}", address=address)


def _written(page: Page) -> WSUpgradeResponse:
    response: WSUpgradeResponse = WSUpgradeResponse.create_ok_response(page.body, page.headers)
    response.status = page.status
    return response


def _too_big(size: int) -> InvalidInput:
    return InvalidInput(
        "frame",
        f"has {size} bytes; at most {MAX_FRAME_BYTES} are allowed",
        reason="FRAME_TOO_BIG",
        limit=MAX_FRAME_BYTES,
    )
