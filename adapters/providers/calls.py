"""gRPC calls to providers, held as if they were WebSockets: frames out, frames in, an end."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio

from adapters.providers import faults
from voicemesh.errors import Refused

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterator, Sequence

    from adapters.providers.endpoint import Endpoint
    from adapters.providers.sockets import Frame
    from voicemesh.errors import VoicemeshError

END = ""
"""As a frame out: half-close. As a frame in: the call ended well."""
MAX_MESSAGE = 4 << 20
_PLAIN = "grpc://"
_HTTP = {
    grpc.StatusCode.UNAUTHENTICATED: 401,
    grpc.StatusCode.PERMISSION_DENIED: 403,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 429,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.FAILED_PRECONDITION: 400,
    grpc.StatusCode.OUT_OF_RANGE: 400,
    grpc.StatusCode.UNIMPLEMENTED: 400,
}
"""What the same refusal would be in HTTP, which `faults` knows."""


def failure(error: grpc.aio.AioRpcError, secret: str = "") -> VoicemeshError:
    """Return our error for the status that a provider ended a call with."""
    said = error.details() or error.code().name
    if status := _HTTP.get(error.code()):
        return faults.refusal(status, said, secret=secret)
    if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
        return faults.silent(0)
    if error.code() is grpc.StatusCode.UNAVAILABLE:
        return faults.gone(said, secret)
    return faults.refusal(500, said, secret=secret)


class Calls:
    """Opens calls to one provider, over one connection that is kept alive."""

    def __init__(self, endpoint: Endpoint, headers: Callable[[str], dict[str, str]]) -> None:
        self._endpoint = endpoint
        self._headers = headers
        self._channel: grpc.aio.Channel | None = None
        self._live = 0

    @contextmanager
    def place(self) -> Iterator[None]:
        """Hold one of the calls that there may be; raise Refused if all are in use."""
        if self._live >= self._endpoint.connections:
            raise Refused("too many calls at once", limit=self._endpoint.connections)
        self._live += 1
        try:
            yield
        finally:
            self._live -= 1

    async def open(self, place: str) -> Call:
        """Return a call of this method: ``/package.Service/Method``."""
        key = self._endpoint.key()
        method: Any = self._open().stream_stream(place)
        return Call(method(metadata=tuple(self._headers(key).items())), key)

    async def ask(self, place: str, *requests: bytes) -> AsyncGenerator[bytes]:
        """Give what is answered to these requests, as it comes; closing it cancels the call."""
        call = await self.open(place)
        seconds = self._endpoint.first_seconds
        try:
            for request in requests:
                await call.send(request)
            await call.send(END)
            while True:
                try:
                    async with asyncio.timeout(seconds):
                        frame = await call.recv()
                except TimeoutError:
                    raise faults.silent(seconds) from None
                if isinstance(frame, str):
                    return
                yield frame
                seconds = self._endpoint.between_seconds
        finally:
            call.cancel()

    def leave(self, call: Call, words: Sequence[Frame] = (), *, answered: bool = False) -> None:
        """Cancel a call; nobody waits for it."""
        call.cancel()

    def _open(self) -> grpc.aio.Channel:
        if self._channel is None:
            self._channel = _channel(self._endpoint)
        return self._channel

    def warm(self) -> None:
        """Begin to connect, before anybody needs it."""
        self._open().get_state(try_to_connect=True)

    async def stop(self) -> None:
        """Close the connection."""
        if self._channel is not None:
            await self._channel.close()
            self._channel = None


def _channel(endpoint: Endpoint) -> grpc.aio.Channel:
    """Return a channel: ``grpc://host:port`` is plain, for servers of one's own; else TLS."""
    options: list[tuple[str, Any]] = [
        ("grpc.max_receive_message_length", MAX_MESSAGE),
        ("grpc.keepalive_time_ms", 30_000),
        ("grpc.keepalive_timeout_ms", 5_000),
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 2_000),
    ]
    if endpoint.url.startswith(_PLAIN):
        return grpc.aio.insecure_channel(endpoint.url.removeprefix(_PLAIN), options)
    target = endpoint.url.removeprefix("grpcs://")
    return grpc.aio.secure_channel(target, grpc.ssl_channel_credentials(), options)


class Call:
    """One call."""

    def __init__(self, call: Any, secret: str) -> None:  # noqa: ANN401 - grpc's, of plain bytes
        self._call = call
        self._secret = secret
        self._begun = False

    async def send(self, frame: Frame) -> None:
        """Send a message, or half-close; a call that has ended swallows it, and `recv` says why."""
        if self._call.done():
            return
        ended = asyncio.InvalidStateError, grpc.aio.AioRpcError, grpc.aio.InternalError
        with suppress(*ended):
            if isinstance(frame, str):
                await self._call.done_writing()
            elif not self._begun:
                self._begun = True
                await self._call.write(frame)
            else:
                # The public `write` answers a send that failed by overwriting the status with which
                # the provider had just ended the call (as in `voicemesh.client.line`).
                await self._call._cython_call.send_serialized_message(frame)

    async def recv(self) -> Frame:
        """Return the next message, or END; raise our error if the call failed."""
        try:
            message = await self._call.read()
            if message is not grpc.aio.EOF:
                return bytes(message)
            code = await self._call.code()
        except grpc.aio.AioRpcError as error:
            raise failure(error, self._secret) from None
        if code is not grpc.StatusCode.OK:
            raise faults.refusal(_HTTP.get(code, 500), code.name, secret=self._secret)
        return END

    def cancel(self) -> None:
        """Leave."""
        self._call.cancel()
