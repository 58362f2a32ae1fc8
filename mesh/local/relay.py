"""Passes TCP connections on, so that they can be hurt apart from the process behind them.

Usage: ``python relay.py HOST LISTEN_PORT TARGET_PORT``. Stopped (SIGSTOP), it is a network that
swallows everything; killed, one that resets every connection. The process behind it lives on.
"""

from __future__ import annotations

import asyncio
import sys


class End(asyncio.Protocol):
    """One end of a connection; what it receives, the other end sends."""

    def __init__(self, other: End | None = None) -> None:
        self.other = other
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - of a TCP connection
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        if self.other and self.other.transport:
            self.other.transport.write(data)

    def eof_received(self) -> bool:
        if self.other and self.other.transport and self.other.transport.can_write_eof():
            self.other.transport.write_eof()
        return True  # the other direction may go on

    def connection_lost(self, error: Exception | None) -> None:
        if self.other and self.other.transport:
            if error:
                self.other.transport.abort()
            else:
                self.other.transport.close()

    def pause_writing(self) -> None:
        """Read no more than can be passed on."""
        if self.other and self.other.transport:
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.other and self.other.transport:
            self.other.transport.resume_reading()


class Accepted(End):
    """The end that was connected to; it connects the other, and reads nothing before."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__()
        self._host, self._port = host, port
        self._connecting: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        assert self.transport  # noqa: S101 - just made
        self.transport.pause_reading()
        self._connecting = asyncio.create_task(self._connect(self.transport))

    async def _connect(self, transport: asyncio.Transport) -> None:
        loop = asyncio.get_running_loop()
        try:
            _, self.other = await loop.create_connection(lambda: End(self), self._host, self._port)
        except OSError:
            transport.abort()
            return
        if transport.is_closing():
            assert self.other.transport  # noqa: S101 - connected
            self.other.transport.close()
        else:
            transport.resume_reading()


async def main() -> None:
    """Pass connections on until killed."""
    host, listen, target = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Accepted(host, target), host, listen)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
