"""A mesh of stand-in services, and a client that holds live streams through it."""

from __future__ import annotations

import asyncio
import sys
import time
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

import grpc
import grpc.aio

from mesh.local import LocalMesh, MeshStatus
from mesh.local.process import alive
from mesh.services import SERVICES, ServiceName
from mesh.topology import Topology, parse
from tests.mesh.echo_service import LEAVE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from mesh.local import ProcessStatus

ECHO = Path(__file__).with_name("echo_service.py")
WAIT_SECONDS = 15.0

T = TypeVar("T")

SMALL = """\
name: trial
regions:
  - name: local
    services:
      gateway: {replicas: 1}
      orchestrator: {replicas: 2}
drain_seconds: 5
trust: {mtls: false}
access: {tokens: false}
"""


def small(text: str = SMALL) -> Topology:
    return parse(text, Path("trial.yaml"))


def echo(service: ServiceName) -> Sequence[str]:
    return (sys.executable, str(ECHO), SERVICES[service].rpc_service)


def echo_mesh(home: Path, text: str = SMALL, **more: Any) -> LocalMesh:  # noqa: ANN401
    commands = {name: echo(name) for name in SERVICES}
    return LocalMesh(small(text), home=home, **{"commands": commands, "start_seconds": 30, **more})


class LiveStream:
    """A bidi stream that stays open until it is ended."""

    def __init__(self, call: grpc.aio.StreamStreamCall[bytes, bytes]) -> None:
        self._call = call
        self.replica = ""

    async def ask(self, text: str = "hello") -> str:
        """Send a message; return the replica that answered."""
        async with asyncio.timeout(WAIT_SECONDS):
            await self._call.write(text.encode())
            answer = await self._heard()
        assert isinstance(answer, bytes), "the stream ended"
        said, _, who = answer.decode().partition(" by ")
        assert said == text
        self.replica = who.split()[0]
        return who

    async def end(self) -> None:
        async with asyncio.timeout(WAIT_SECONDS):
            await self._call.done_writing()
            assert await self._heard() is grpc.aio.EOF

    async def _heard(self) -> object:
        """Stay, whatever it is asked to do."""
        while (answer := await self._call.read()) == LEAVE:
            pass
        return answer

    async def code(self) -> grpc.StatusCode:
        async with asyncio.timeout(WAIT_SECONDS):
            with suppress(grpc.aio.AioRpcError):
                await self._heard()  # a message that nobody reads keeps the status back
            return await self._call.code()


class Moving:
    """A call that talks all the time, and opens its stream again when it is asked to or must."""

    def __init__(self, channel: grpc.aio.Channel, service: ServiceName = "orchestrator") -> None:
        self._open: Any = channel.stream_stream(f"{SERVICES[service].prefix}Run")
        self.moves = 0
        """How often it was asked to leave and did."""
        self.broken: list[str] = []
        """What its streams ended with that were not left on purpose."""
        self.gaps: list[float] = []
        """Seconds between two answers."""

    async def run(self, over: asyncio.Event) -> None:
        call, last = await self._opened(), time.monotonic()
        beside: asyncio.Task[Any] | None = None
        while not over.is_set():
            try:
                if beside and beside.done():
                    await call.done_writing()
                    call, beside, self.moves = beside.result(), None, self.moves + 1
                if await self._answer(call) == LEAVE:
                    beside = beside or asyncio.create_task(self._opened())
            except (grpc.aio.AioRpcError, asyncio.InvalidStateError, EOFError):
                self.broken.append((await call.code()).name)
                call = await (beside or self._opened())
                beside = None
            now = time.monotonic()
            self.gaps.append(now - last)
            last = now
            await asyncio.sleep(0.02)  # the rate at which it talks, not a wait
        if beside:
            beside.cancel()
        await call.done_writing()

    async def _answer(self, call: Any) -> bytes:  # noqa: ANN401
        await call.write(b"?")
        answer = await call.read()
        if not isinstance(answer, bytes):
            raise EOFError
        return answer

    async def _opened(self) -> Any:  # noqa: ANN401
        while True:
            call = self._open()
            try:
                await self._answer(call)
            except (grpc.aio.AioRpcError, asyncio.InvalidStateError, EOFError) as error:
                self.broken.append(f"not opened: {error!r}")
            else:
                return call


@asynccontextmanager
async def talking(
    count: int, channels: Sequence[grpc.aio.Channel], service: ServiceName = "orchestrator"
) -> AsyncIterator[list[Moving]]:
    """Hold calls until the block ends."""
    over = asyncio.Event()
    calls = [Moving(channels[number % len(channels)], service) for number in range(count)]
    async with asyncio.TaskGroup() as group:
        for call in calls:
            group.create_task(call.run(over))
        yield calls
        over.set()


class Caller:
    """Opens streams to one service through an Envoy."""

    def __init__(self, address: str, service: ServiceName = "orchestrator") -> None:
        options = [("grpc.use_local_subchannel_pool", 1), ("grpc.enable_http_proxy", 0)]
        self._channel = grpc.aio.insecure_channel(address, options=options)
        self._open: Any = self._channel.stream_stream(f"{SERVICES[service].prefix}Run")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._channel.close()

    async def open(self, metadata: Sequence[tuple[str, str]] = ()) -> LiveStream:
        stream = LiveStream(self._open(metadata=metadata))
        await stream.ask("open")
        return stream

    async def refused(self, metadata: Sequence[tuple[str, str]] = ()) -> grpc.StatusCode:
        """Return what a stream that nobody takes ends with."""
        async with asyncio.timeout(WAIT_SECONDS):
            code: grpc.StatusCode = await self._open(metadata=metadata).code()
            return code

    async def open_many(self, count: int) -> list[LiveStream]:
        return [await self.open() for _ in range(count)]


class Opens:
    """Opens one stream after the other, and counts those that fail."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller
        self.failed: list[str] = []
        self.replicas: list[str] = []

    async def run(self) -> None:
        while True:
            try:
                stream = await self._caller.open()
                self.replicas.append(stream.replica)
                await stream.end()
            except (grpc.aio.AioRpcError, AssertionError, TimeoutError) as error:
                self.failed.append(repr(error))
            await asyncio.sleep(0.01)  # the rate at which calls come in, not a wait

    async def more(self, count: int) -> None:
        """Return when that many more streams were opened."""
        due = self._tried() + count

        async def tried() -> int:
            return self._tried()

        await settles(tried, lambda tried: tried >= due)

    def _tried(self) -> int:
        return len(self.replicas) + len(self.failed)


@asynccontextmanager
async def opening(caller: Caller) -> AsyncIterator[Opens]:
    opens = Opens(caller)
    task = asyncio.create_task(opens.run())
    try:
        yield opens
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def settles(look: Callable[[], Awaitable[T]], holds: Callable[[T], bool]) -> T:
    """Return the first thing seen of which something holds."""
    async with asyncio.timeout(WAIT_SECONDS):
        while True:
            if holds(seen := await look()):
                return seen
            await asyncio.sleep(0.02)


async def until(mesh: LocalMesh, holds: Callable[[MeshStatus], bool]) -> MeshStatus:
    """Return the first status of which something holds."""
    return await settles(mesh.status, holds)


async def restarted(mesh: LocalMesh, name: str) -> ProcessStatus:
    """Return a process's status once it has crashed and serves again."""

    def back(status: MeshStatus) -> bool:
        one = status.process(name)
        return one.restarts > 0 and (one.state, one.health) == ("serving", "healthy")

    return (await until(mesh, back)).process(name)


async def gone(*pids: int | None) -> None:
    """Return when none of the processes is alive."""

    async def living() -> list[int]:
        return [pid for pid in pids if pid and alive(pid)]

    await settles(living, lambda living: not living)
