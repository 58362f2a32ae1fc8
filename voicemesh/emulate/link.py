"""The carrier's end of a media socket: a WebSocket or a TCP connection to a gateway."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol, cast

from picows import (
    WSCloseCode,
    WSFrame,
    WSHandshakeError,
    WSListener,
    WSMsgType,
    WSTransport,
    ws_connect,
)

from voicemesh.carriers.dialect import Transport
from voicemesh.errors import Denied, InvalidInput, NotFound, Refused, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from voicemesh.carriers.dialect import Dialect, Frame
    from voicemesh.errors import VoicemeshError

CONNECT_SECONDS = 5.0
MAX_FRAME_BYTES = 1024 * 1024
_MESSAGES = (WSMsgType.TEXT, WSMsgType.BINARY, WSMsgType.CONTINUATION)
_REFUSALS: Mapping[int, type[VoicemeshError]] = {403: Denied, 404: NotFound, 503: Refused}


class Link(Protocol):
    """One connection."""

    def send(self, frames: Iterable[Frame]) -> None:
        """Send frames, if it still stands."""

    def close(self) -> None:
        """Say goodbye."""


class Ear(Protocol):
    """Who listens to a connection."""

    def came(self, frame: Frame) -> None:
        """Take a frame."""

    def closed(self, code: int, reason: str) -> None:
        """Take note of the end: the close code and reason, 1006 if there were none."""


async def open_link(
    dialect: Dialect,
    target: str,
    path: str,
    ear: Ear,
    headers: Mapping[str, str] | None = None,
) -> Link:
    """Connect to the first of a target's addresses that answers, `HOST:PORT` or `ipv4:A,B`.

    A WebSocket's upgrade carries the `headers` besides its own.

    Raises Unavailable where nobody listens, and Denied, NotFound or Refused as answered.
    """
    *others, last = addresses(target)
    for address in others:
        with suppress(Unavailable):
            return await _open(dialect, address, path, ear, headers or {})
    return await _open(dialect, last, path, ear, headers or {})


def addresses(target: str) -> list[str]:
    """Return the addresses in a gRPC target, or the one address that it is."""
    return target.removeprefix("ipv4:").split(",")


async def _open(
    dialect: Dialect, target: str, path: str, ear: Ear, headers: Mapping[str, str]
) -> Link:
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            if dialect.transport is Transport.TCP:
                return await _open_tcp(target, ear)
            return await _open_websocket(dialect, target, path, ear, headers)
    except WSHandshakeError as error:
        raise _refusal(error) from error
    except (OSError, TimeoutError) as error:
        raise Unavailable(f"{target}: no connection ({error})", reason="NO_CONNECTION") from error


def _refusal(error: WSHandshakeError) -> VoicemeshError:
    status = int(error.response.status) if error.response else 0
    told = (error.raw_body or b"").decode(errors="replace").strip() or f"HTTP status {status}"
    reason, _, message = told.partition(": ")
    kind = _REFUSALS.get(status, Unavailable)
    if not message or not reason.isupper():
        return kind(f"the socket was refused: {told}")
    return kind(message, reason=reason)


class _WebSocket(WSListener):
    def __init__(self, ear: Ear) -> None:
        self._ear = ear
        self._transport: WSTransport
        self._told = (1006, "")
        self._parts: list[bytes] = []
        self._is_text = False

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type is WSMsgType.CLOSE:
            self._told = (frame.get_close_code().value, frame.get_close_reason() or "")
            if not transport.is_close_frame_sent:
                transport.send_close(WSCloseCode.OK)
            transport.disconnect()
        elif frame.msg_type in _MESSAGES:
            self._collect(frame)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self._ear.closed(*self._told)

    def send(self, frames: Iterable[Frame]) -> None:
        if self._transport.is_disconnected:
            return
        for frame in frames:
            kind = WSMsgType.TEXT if isinstance(frame, str) else WSMsgType.BINARY
            self._transport.send(kind, frame)

    def close(self) -> None:
        if not self._transport.is_close_frame_sent:
            self._transport.send_close(WSCloseCode.OK)

    def _collect(self, frame: WSFrame) -> None:
        if frame.msg_type is not WSMsgType.CONTINUATION:
            self._parts, self._is_text = [], frame.msg_type is WSMsgType.TEXT
        self._parts.append(frame.get_payload_as_bytes())
        if frame.fin:
            data, self._parts = b"".join(self._parts), []
            self._ear.came(data.decode() if self._is_text else data)


async def _open_websocket(
    dialect: Dialect, target: str, path: str, ear: Ear, headers: Mapping[str, str]
) -> Link:
    agreed = {"Sec-WebSocket-Protocol": dialect.subprotocol} if dialect.subprotocol else {}
    _, link = await ws_connect(
        cast("Callable[[], WSListener]", lambda: _WebSocket(ear)),
        f"ws://{target}{path}",
        extra_headers={**headers, **agreed},
        max_frame_size=MAX_FRAME_BYTES,
        websocket_handshake_timeout=CONNECT_SECONDS,
    )
    return cast("_WebSocket", link)


class _Connection(asyncio.Protocol):
    def __init__(self, ear: Ear) -> None:
        self._ear = ear
        self._transport: asyncio.Transport
        self._said_goodbye = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._ear.came(data)

    def eof_received(self) -> None:
        self._said_goodbye = True

    def connection_lost(self, _error: Exception | None) -> None:
        self._ear.closed(1000 if self._said_goodbye else 1006, "")

    def send(self, frames: Iterable[Frame]) -> None:
        if not self._transport.is_closing():
            self._transport.write(b"".join(cast("Iterable[bytes]", frames)))

    def close(self) -> None:
        self._said_goodbye = True
        self._transport.close()


async def _open_tcp(target: str, ear: Ear) -> Link:
    host, _, port = target.rpartition(":")
    if not port.isdecimal():
        raise InvalidInput("target", f"must be HOST:PORT, not {target!r}")
    loop = asyncio.get_running_loop()
    _, link = await loop.create_connection(lambda: _Connection(ear), host, int(port))
    return link
