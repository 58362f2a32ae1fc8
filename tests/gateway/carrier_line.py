"""A carrier's WebSocket to a gateway, as raw as a test wants it."""

from __future__ import annotations

import asyncio
import json
from base64 import b64encode
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from picows import WSCloseCode, WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from gateway.legs.tcp import TcpDoor
from gateway.legs.websocket import WebSocketDoor
from voicemesh.audio import encode_mulaw

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from gateway.service import Gateway
    from voicemesh.audio import Samples

STREAM = "MZ1"


def port_of(gateway: Gateway, kind: type[WebSocketDoor | TcpDoor] = WebSocketDoor) -> int:
    return next(door.port for door in gateway._doors if isinstance(door, kind))


def twilio_start(**changes: object) -> str:
    start: dict[str, object] = {
        "streamSid": STREAM,
        "accountSid": "AC1",
        "callSid": "CA1",
        "tracks": ["inbound"],
        "customParameters": {"bot": "desk", "tenant": "acme"},
        "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
    }
    return json.dumps(
        {"event": "start", "sequenceNumber": "1", "start": start | changes, "streamSid": STREAM}
    )


def twilio(event: str, stream: str = STREAM, **fields: object) -> str:
    return json.dumps({"event": event, "sequenceNumber": "2", "streamSid": stream, event: fields})


def media(chunk: int, data: bytes = b"\xff" * 160) -> str:
    payload = b64encode(data).decode()
    return twilio("media", track="inbound", chunk=str(chunk), timestamp="0", payload=payload)


class Line(WSListener):
    """One socket."""

    def __init__(self) -> None:
        self.transport: WSTransport
        self.got: list[str | bytes] = []
        self.closed: tuple[int, str] | None = None
        """Close code and reason, once the gateway gave them."""
        self.gone = asyncio.Event()
        self._news = asyncio.Event()
        self._chunk = 0

    def on_ws_connected(self, transport: WSTransport) -> None:
        self.transport = transport

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type is WSMsgType.TEXT:
            self.got.append(frame.get_payload_as_utf8_text())
        elif frame.msg_type is WSMsgType.BINARY:
            self.got.append(frame.get_payload_as_bytes())
        elif frame.msg_type is WSMsgType.CLOSE:
            self.closed = frame.get_close_code().value, frame.get_close_reason() or ""
            transport.send_close(WSCloseCode.OK)
            transport.disconnect()
        self._news.set()

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self.gone.set()
        self._news.set()

    def send(self, *frames: str | bytes) -> None:
        for frame in frames:
            kind = WSMsgType.TEXT if isinstance(frame, str) else WSMsgType.BINARY
            self.transport.send(kind, frame)

    def say(self, samples: Samples) -> None:
        """Send audio in frames of 20 ms, all at once."""
        data = encode_mulaw(samples)
        for at in range(0, len(data), 160):
            self._chunk += 1
            self.send(media(self._chunk, data[at : at + 160]))

    def messages(self, event: str) -> list[dict[str, Any]]:
        told = [json.loads(frame) for frame in self.got if isinstance(frame, str)]
        return [one for one in told if one["event"] == event]

    async def until(self, found: Callable[[], object]) -> None:
        while not found():
            assert not self.gone.is_set(), f"closed: {self.closed}"
            self._news.clear()
            await self._news.wait()

    async def refusal(self) -> tuple[int, str]:
        """Return how the gateway closed it."""
        await self.gone.wait()
        assert self.closed is not None, "cut off without a close code"
        return self.closed


@asynccontextmanager
async def line(
    port: int, path: str = "/carriers/twilio", headers: Mapping[str, str] | None = None
) -> AsyncIterator[Line]:
    """Open a socket; raise picows' WSHandshakeError where the gateway refuses it."""
    transport, held = await ws_connect(
        Line, f"ws://127.0.0.1:{port}{path}", extra_headers=headers, max_frame_size=1 << 20
    )
    assert isinstance(held, Line)
    try:
        yield held
    finally:
        transport.disconnect(False)
        await held.gone.wait()
