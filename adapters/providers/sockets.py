"""WebSockets to providers: opened ahead of need, kept alive, and closed without waiting."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
from websockets.protocol import State

from adapters.providers import faults
from voicemesh.errors import Refused, VoicemeshError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from adapters.providers.endpoint import SocketEndpoint

Frame: TypeAlias = str | bytes

MAX_FRAME = 4 << 20
"""Bytes of one message from a provider."""
PING_SECONDS = 5.0
FAREWELL_SECONDS = 1.0
"""How long saying good-bye may take."""

# The library's own log would hold headers, and with them the key, at its finest level.
_quiet = logging.getLogger(__name__)
_quiet.setLevel(logging.WARNING)


class _Direct(connect):
    """Follows no redirect: the key is for the endpoint that was configured, and no other."""

    def process_redirect(self, exc: Exception) -> Exception:
        return exc


@dataclass(frozen=True, slots=True)
class Upkeep:
    """What a connection needs so that the provider does not close it while nothing is said."""

    frame: Frame
    seconds: float


@dataclass(slots=True)
class _Spare:
    place: str
    connection: ClientConnection
    upkeep: asyncio.Task[None]


class Sockets:
    """Opens connections to one provider; keeps a few open ahead."""

    def __init__(
        self,
        endpoint: SocketEndpoint,
        headers: Callable[[str], dict[str, str]],
        upkeep: Upkeep | None = None,
    ) -> None:
        self._endpoint = endpoint
        self._headers = headers
        self._upkeep = upkeep
        self._spares: deque[_Spare] = deque()
        self._works: set[asyncio.Task[None]] = set()
        self._live = 0
        self._warming = 0
        self._stopped = False

    @contextmanager
    def place(self) -> Iterator[None]:
        """Hold one of the connections that there may be; raise Refused if all are in use."""
        if self._live >= self._endpoint.connections:
            raise Refused("too many connections at once", limit=self._endpoint.connections)
        self._live += 1
        try:
            yield
        finally:
            self._live -= 1

    async def open(self, place: str, *, returns: bool = False) -> ClientConnection:
        """Return a connection to this path and query.

        Unless it `returns` to be used again, another is opened for whoever comes next.
        """
        connection = self._take(place) or await self._connect(place)
        if not returns:
            self.warm(place)
        return connection

    def _take(self, place: str) -> ClientConnection | None:
        for spare in list(self._spares):
            if spare.place == place:
                self._spares.remove(spare)
                spare.upkeep.cancel()
                if spare.connection.state is State.OPEN:
                    return spare.connection
                self.leave(spare.connection)
        return None

    async def _connect(self, place: str) -> ClientConnection:
        endpoint, key = self._endpoint, self._endpoint.key()
        try:
            return await _Direct(
                endpoint.url.rstrip("/") + place,
                additional_headers=self._headers(key),
                open_timeout=endpoint.connect_seconds,
                close_timeout=FAREWELL_SECONDS,
                ping_interval=PING_SECONDS,
                ping_timeout=PING_SECONDS,
                max_size=MAX_FRAME,
                compression=None,
                logger=_quiet,
            )
        except InvalidStatus as error:
            answer = error.response
            raise faults.refusal(
                answer.status_code,
                bytes(answer.body or b"").decode("utf-8", "replace") or answer.reason_phrase,
                retry_after=answer.headers.get("Retry-After", ""),
                secret=key,
            ) from None
        except TimeoutError:
            raise faults.silent(endpoint.connect_seconds) from None
        except (OSError, WebSocketException) as error:
            raise faults.gone(error, key) from None

    def warm(self, place: str) -> None:
        """Open a connection ahead, unless enough are open already."""
        ahead = sum(spare.place == place for spare in self._spares) + self._warming
        if not self._stopped and ahead < self._endpoint.spares:
            self._warming += 1
            self._begin(self._open_ahead(place))

    async def _open_ahead(self, place: str) -> None:
        try:
            with suppress(VoicemeshError):  # whoever needs the connection next is told
                self.keep(place, await self._connect(place))
        finally:
            self._warming -= 1

    def keep(self, place: str, connection: ClientConnection) -> None:
        """Hold a connection open for whoever needs it next; the oldest one makes room."""
        if self._stopped or not self._endpoint.spares or connection.state is not State.OPEN:
            self.leave(connection)
            return
        while len(self._spares) >= self._endpoint.spares:
            oldest = self._spares.popleft()
            oldest.upkeep.cancel()
            self.leave(oldest.connection)
        spare = _Spare(place, connection, self._begin(self._hold(connection)))
        self._spares.append(spare)

    async def _hold(self, connection: ClientConnection) -> None:
        """Keep a spare alive, and close it when its time is over."""
        with suppress(TimeoutError, ConnectionClosed):
            async with asyncio.timeout(self._endpoint.spare_seconds):
                while self._upkeep is not None:
                    # The reader of frames is whoever takes the spare; here only time matters.
                    with suppress(TimeoutError):
                        async with asyncio.timeout(self._upkeep.seconds):
                            await connection.wait_closed()
                        break
                    await connection.send(self._upkeep.frame)
                await connection.wait_closed()
        self._spares = deque(spare for spare in self._spares if spare.connection is not connection)
        self.leave(connection)

    def leave(
        self,
        connection: ClientConnection,
        words: Sequence[Frame] = (),
        *,
        answered: bool = False,
    ) -> None:
        """Say these last words and close, without anyone waiting for it.

        Words that are `answered` are given the time for that: a provider that finds the connection
        closed might not read them.
        """
        self._begin(_farewell(connection, words, answered))

    def _begin(self, work: object) -> asyncio.Task[None]:
        task = asyncio.ensure_future(work)  # type: ignore[call-overload]
        self._works.add(task)
        task.add_done_callback(self._works.discard)
        return task  # type: ignore[no-any-return]

    async def stop(self) -> None:
        """Close every spare, and wait until all connections have said good-bye."""
        self._stopped = True
        spares, self._spares = self._spares, deque()
        for spare in spares:
            spare.upkeep.cancel()
            self.leave(spare.connection)
        while self._works:
            await asyncio.gather(*self._works, return_exceptions=True)


async def _farewell(connection: ClientConnection, words: Sequence[Frame], answered: bool) -> None:
    with suppress(TimeoutError, ConnectionClosed):
        async with asyncio.timeout(FAREWELL_SECONDS):
            for frame in words:
                await connection.send(frame)
            while answered:
                await connection.recv()
            await connection.close()
    if connection.state is not State.CLOSED:
        connection.transport.abort()


def closed(error: ConnectionClosed) -> VoicemeshError:
    """Return the error for a connection that the provider closed before it had answered."""
    close = error.rcvd
    if close is None:
        return faults.gone("the connection broke")
    return faults.complaint(f"it closed with {close.code} {close.reason}")
