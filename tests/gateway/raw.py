"""Just enough HTTP/2 to send what no gRPC library would."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from google.protobuf.message import Message

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, GOAWAY = 0, 1, 3, 4, 7
END_STREAM, END_HEADERS = 1, 4


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    head = len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big")
    return head + payload


def literal(name: bytes, value: bytes) -> bytes:
    """Return a header in HPACK without any compression."""
    return b"\x00" + bytes([len(name)]) + name + bytes([len(value)]) + value


class RawCall:
    """One stream on a connection of its own."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def open(self, path: str, extra: Sequence[tuple[bytes, bytes]] = ()) -> None:
        headers = [
            (b":method", b"POST"),
            (b":scheme", b"http"),
            (b":path", path.encode()),
            (b":authority", b"test"),
            (b"content-type", b"application/grpc"),
            (b"te", b"trailers"),
            *extra,
        ]
        block = b"".join(literal(*header) for header in headers)
        self._writer.write(PREFACE + frame(SETTINGS, 0, 0, b""))
        self._writer.write(frame(HEADERS, END_HEADERS, 1, block))
        await self._writer.drain()

    async def send(self, message: Message) -> None:
        body = message.SerializeToString()
        payload = b"\x00" + len(body).to_bytes(4, "big") + body
        for begin in range(0, len(payload), 16_000):
            self._writer.write(frame(DATA, 0, 1, payload[begin : begin + 16_000]))
        await self._writer.drain()

    async def answer(self) -> int:
        """Return the kind of the first frame that answers the stream or ends the connection."""
        while True:
            head = await self._reader.readexactly(9)
            await self._reader.readexactly(int.from_bytes(head[:3], "big"))
            if head[3] in (HEADERS, RST_STREAM, GOAWAY):
                return head[3]


@asynccontextmanager
async def raw_call(address: str) -> AsyncIterator[RawCall]:
    host, port = address.rsplit(":", 1)
    # With a small buffer the connection is full soon after nobody reads it.
    reader, writer = await asyncio.open_connection(host, int(port), limit=1024)
    try:
        yield RawCall(reader, writer)
    finally:
        writer.close()
        await writer.wait_closed()
