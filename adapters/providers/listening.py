"""Recognition over a provider's WebSocket: one connection an utterance, whatever it speaks.

What a provider's messages mean is its `Codec`'s to know. Here is when they are sent, what is
waited for and for how long. A final transcript is asked for while the connection stays open, since
the caller may go on. Providers do not always answer that where there was nothing left to say, so
after `settle_seconds` the provider is told that the utterance is over: that, each of them answers.
If the caller goes on after all, a further connection hears the rest.
"""

from __future__ import annotations

import asyncio
import enum
import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from pydantic import Field
from websockets.exceptions import ConnectionClosed

from adapters.providers import faults
from adapters.providers.endpoint import SocketEndpoint
from adapters.providers.sockets import Sockets, Upkeep, closed
from adapters.providers.standing import Standing
from adapters.recognition import Heard, Outbox
from voicemesh.errors import VoicemeshError

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection

    from adapters.providers.calls import Calls
    from adapters.providers.sockets import Frame
    from adapters.recognition import RecognitionRequest
    from voicemesh.audio import Samples


class ListeningEndpoint(SocketEndpoint):
    """Settings of a provider that recognises speech over a WebSocket."""

    settle_seconds: float = Field(default=0.7, gt=0, le=30)
    """How long a final transcript is waited for before the utterance is ended to get one."""
    first_seconds: float = Field(default=2.0, gt=0, le=120)
    """How long a final transcript may take in all."""


class News(enum.Enum):
    """What a provider's message tells."""

    NOTHING = "nothing"
    WORDS = "words"
    """The words so far have changed."""
    SETTLED = "settled"
    """They are final for everything sent before the last request for that."""
    ENDED = "ended"
    """They are final, and nothing follows on this connection."""


class Codec(Protocol):
    """One connection's messages, without I/O."""

    @property
    def text(self) -> str:
        """The words so far."""
        ...

    def opening(self) -> list[Frame]:
        """Return what is sent first."""
        ...

    def audio(self, sound: bytes) -> list[Frame]:
        """Return messages that carry this sound, or what may be sent of it by now."""
        ...

    def conclude(self) -> list[Frame]:
        """Return what asks for a final transcript while the utterance may go on."""
        ...

    def finish(self) -> list[Frame]:
        """Return what says that nothing follows; the provider answers it with its last words."""
        ...

    def take(self, frame: Frame) -> News:
        """Take a message; raise Unavailable if it is malformed or tells of a failure."""
        ...


class Dialect(Protocol):
    """What a provider's module holds, apart from its settings."""

    upkeep: Upkeep | None
    """What keeps a connection open on which nothing is said yet."""

    def headers(self, key: str) -> dict[str, str]:
        """Return the headers that let us in."""
        ...

    def place(self, request: RecognitionRequest) -> str:
        """Return path and query of an utterance's connection."""
        ...

    def codec(self, request: RecognitionRequest) -> Codec:
        """Return the messages of a new connection."""
        ...


class ListeningEngine:
    """Recognises utterances at one provider."""

    def __init__(
        self, settings: ListeningEndpoint, dialect: Dialect, calls: Calls | None = None
    ) -> None:
        """Connect by WebSocket, unless the provider speaks gRPC: by ``calls``."""
        self.settings = settings
        self.dialect = dialect
        self.sockets: Any = calls or Sockets(settings, dialect.headers, dialect.upkeep)
        self._calls = calls
        self.standing = Standing("stt", settings.provider)

    async def start(self) -> None:
        """Look for the secret; the provider itself may come later."""
        self.settings.key()
        if self._calls:
            self._calls.warm()

    def recognize(self, request: RecognitionRequest) -> SocketRecognition:
        """Begin an utterance; its connection is open before there is sound to send."""
        return SocketRecognition(self, request)

    async def stop(self) -> None:
        """Close every connection."""
        await self.sockets.stop()


@dataclass(eq=False)
class _Asked:
    """Somebody waits for a final transcript."""

    samples: int
    at: float
    sent: bool = False
    """Whether the provider was asked too."""
    timers: list[asyncio.TimerHandle] = field(default_factory=list)


@dataclass(frozen=True, eq=False, slots=True)
class _Conclude:
    asked: _Asked


@dataclass(frozen=True, eq=False, slots=True)
class _Doubt:
    """The answer is late: perhaps there is none."""

    asked: _Asked


class _Finish:
    """Nothing follows."""


_Item: TypeAlias = "bytes | _Conclude | _Doubt | _Finish"


class SocketRecognition:
    """One utterance."""

    def __init__(self, engine: ListeningEngine, request: RecognitionRequest) -> None:
        self._engine = engine
        self._request = request
        self._outbox = Outbox()
        # Bounded by the length that an utterance may have, which the servicer checks.
        self._to_send: asyncio.Queue[_Item] = asyncio.Queue()
        self._fed = self._sent = 0
        self._asked: deque[_Asked] = deque()
        self._settled = 0
        """How many samples the last final transcript took into account."""
        self._before = self._words = ""
        self._finished = self._ending = False
        self._place = engine.sockets.place()
        self._place.__enter__()
        self._work = asyncio.create_task(self._run())

    def feed(self, samples: Samples) -> None:
        """Take further sound."""
        self._fed += samples.size
        self._to_send.put_nowait(samples.astype("<i2", copy=False).tobytes())

    def conclude(self) -> None:
        """Ask for a final transcript, unless all that was fed has one."""
        asked = _Asked(self._fed, time.monotonic())
        self._asked.append(asked)
        if self._fed == self._settled and len(self._asked) == 1:
            self._answer()
            return
        loop, settings = asyncio.get_running_loop(), self._engine.settings
        asked.timers = [
            loop.call_later(settings.settle_seconds, self._to_send.put_nowait, _Doubt(asked)),
            loop.call_later(settings.first_seconds, self._overdue),
        ]
        self._to_send.put_nowait(_Conclude(asked))

    def finish(self) -> None:
        """End behind the last final transcript."""
        self._finished = True
        self._to_send.put_nowait(_Finish())
        self._end_if_answered()

    async def next(self) -> Heard | None:
        """Return the next transcript."""
        return await self._outbox.next()

    def close(self) -> None:
        """Leave the connection."""
        self._work.cancel()
        for asked in self._asked:
            _stop(asked)
        self._place.__exit__(None, None, None)

    async def _run(self) -> None:
        try:
            await self._session()
            while not (self._finished and not self._asked):
                item = await self._to_send.get()
                if isinstance(item, bytes):
                    await self._session(item)
        except VoicemeshError as error:
            self._fail(error)
        except Exception as error:
            self._fail(faults.broken(f"something that cannot be read ({type(error).__name__})"))

    def _fail(self, error: VoicemeshError) -> None:
        faults.hide(error, self._engine.settings)
        self._engine.standing.failed(error)
        self._outbox.fail(error)

    async def _session(self, first: bytes = b"") -> None:
        """Hold one connection, until the provider has said its last words on it."""
        engine = self._engine
        codec = engine.dialect.codec(self._request)
        connection = await engine.sockets.open(engine.dialect.place(self._request))
        self._before, self._ending = self._words, False
        sending = asyncio.create_task(self._send(connection, codec, first))
        try:
            await self._receive(connection, codec)
        finally:
            sending.cancel()
            words = () if self._ending else codec.finish()
            engine.sockets.leave(connection, words, answered=bool(words))

    async def _send(self, connection: ClientConnection, codec: Codec, first: bytes) -> None:
        try:
            for frame in codec.opening():
                await connection.send(frame)
            item: _Item = first
            while True:
                for frame in self._frames(codec, item):
                    await connection.send(frame)
                if self._ending:
                    return
                item = await self._to_send.get()
        except ConnectionClosed:
            return  # whoever receives says why

    def _frames(self, codec: Codec, item: _Item) -> list[Frame]:
        """Return what is sent for this; note it when that is the end of the connection."""
        match item:
            case bytes():
                self._sent += len(item) // 2
                return codec.audio(item)
            case _Conclude(asked):
                asked.sent = True
                return codec.conclude()
            case _Doubt(asked) if asked not in self._asked:
                return []
            case _:
                self._ending = True
                return codec.finish()

    async def _receive(self, connection: ClientConnection, codec: Codec) -> None:
        while True:
            try:
                frame = await connection.recv()
            except ConnectionClosed as error:
                raise closed(error) from None
            news = codec.take(frame)
            self._words = " ".join(part for part in (self._before, codec.text.strip()) if part)
            if news is News.ENDED:
                break
            self._tell(news)
        if not self._ending:
            raise faults.broken("its last words before ours")
        # Whoever asked after sound that came too late for this connection waits for the next.
        while self._asked and self._asked[0].samples <= self._sent:
            self._answer()

    def _tell(self, news: News) -> None:
        if news is News.SETTLED and self._asked and self._asked[0].sent:
            self._answer()
        elif news is not News.NOTHING and self._wants_partial():
            self._outbox.put(Heard(self._words, False, self._sent, 0.0))

    def _wants_partial(self) -> bool:
        return self._request.partials and bool(self._words) and not self._asked

    def _answer(self) -> None:
        """Answer all who wait for the oldest final transcript."""
        self._settled = self._asked[0].samples
        while self._asked and self._asked[0].samples == self._settled:
            asked = self._asked.popleft()
            _stop(asked)
            seconds = time.monotonic() - asked.at
            self._outbox.put(Heard(self._words, True, asked.samples, seconds))
            if asked.sent:
                self._engine.standing.first_result(asked.at)
                self._engine.standing.served()
        self._end_if_answered()

    def _overdue(self) -> None:
        self._work.cancel()
        self._fail(faults.silent(self._engine.settings.first_seconds))

    def _end_if_answered(self) -> None:
        if self._finished and not self._asked:
            self._outbox.end()


def _stop(asked: _Asked) -> None:
    for timer in asked.timers:
        timer.cancel()
