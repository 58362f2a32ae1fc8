"""Serves a part's gRPC service: health, reflection, admission, drain, and the options that work.

The options and their reasons: Envoy pings its upstreams every few hundred milliseconds, which a
default server answers with "too many pings"; and default buffers hold minutes of stale audio.
"""

from __future__ import annotations

import asyncio
import gc
import signal
import sys
import time
from contextlib import asynccontextmanager, contextmanager, nullcontext, suppress
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, runtime_checkable

import grpc.aio
import uvloop
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from voicemesh import telemetry
from voicemesh.admission import RETRY_SECONDS, Admission, Limits
from voicemesh.errors import Misconfigured, Refused, Unavailable
from voicemesh.peers import PeersOnly
from voicemesh.settings import ServiceSettings, load
from voicemesh.watchdog import cut_while_blocked

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence

    from voicemesh.tls import Trust

Settings = TypeVar("Settings", bound=ServiceSettings)

MAX_MESSAGE_BYTES = 4 * 1024 * 1024
STOP_GRACE_SECONDS = 0.5

_log = telemetry.get_logger("server")


class LiveStreams:
    """The streams that a service has admitted; knows whether one more may come."""

    def __init__(self, limits: int | Limits) -> None:
        """``limits``: how many streams, or all of what a replica takes on."""
        self.admission = Admission(limits if isinstance(limits, Limits) else Limits(limits))
        self._count = 0
        self._draining = False
        self._empty = asyncio.Event()
        self._empty.set()

    @property
    def count(self) -> int:
        """How many are live."""
        return self._count

    @property
    def draining(self) -> bool:
        """Whether new ones are turned away for good."""
        return self._draining

    @contextmanager
    def admit(self) -> Iterator[None]:
        """Hold one place; raise Unavailable when draining, Refused when full."""
        if self._draining:
            telemetry.REFUSED.labels("draining").inc()
            raise Unavailable("this replica is draining", reason="DRAINING")
        self._refuse(self._count, new=False)
        self._count += 1
        self._empty.clear()
        telemetry.CALLS.set(self._count)
        try:
            yield
        finally:
            self._count -= 1
            telemetry.CALLS.set(self._count)
            if not self._count:
                self._empty.set()

    def check_new(self) -> None:
        """Raise Refused unless a call may begin here that was admitted a moment ago."""
        self._refuse(self._count - 1, new=True)

    def turned_away(self) -> None:
        """Take note that something behind this replica had no place."""
        self.admission.turned_away(time.monotonic())

    def _refuse(self, beside: int, *, new: bool) -> None:
        reason = self.admission.refusal(beside, time.monotonic(), new=new)
        if reason:
            telemetry.REFUSED.labels(reason.lower()).inc()
            limit = self.admission.limits.streams
            full = f"this replica serves {limit} streams at most"
            said = full if reason == "FULL" else f"this replica takes no new calls now ({reason})"
            error = Refused(said, reason=reason, limit=limit)
            error.retry_seconds = RETRY_SECONDS[reason]
            raise error

    def close(self) -> None:
        """Turn new ones away from now on."""
        self._draining = True

    async def wait_empty(self) -> None:
        """Return when none is live."""
        await self._empty.wait()


class Service(Protocol):
    """What a process serves."""

    @property
    def names(self) -> Sequence[str]:
        """Full gRPC service names, for health and reflection."""

    @property
    def live(self) -> LiveStreams:
        """Its streams."""

    def register(self, server: grpc.aio.Server) -> None:
        """Add its servicers."""

    async def start(self) -> None:
        """Make ready (load models); health says NOT_SERVING until it returns."""

    async def drain(self) -> None:
        """Ask live streams to leave; new ones are turned away already."""

    async def stop(self) -> None:
        """Let go of everything; called once no stream is served any more."""


@runtime_checkable
class HandsOver(Protocol):
    """A service whose streams are long, and can be opened again beside the old ones."""

    async def hand_over(self) -> None:
        """Ask that every live stream be opened again; new ones are served as before.

        The way to it changes (an Envoy in front of this process wants to go), not this process.
        """


@runtime_checkable
class Resumable(Protocol):
    """A service whose streams can be opened again elsewhere, and go on there."""

    @property
    def resumable(self) -> bool:
        """Whether that holds for all that are live now. Asked by another thread."""


def _options(max_message_bytes: int) -> list[tuple[str, int]]:
    return [
        ("grpc.http2.min_ping_interval_without_data_ms", 100),
        ("grpc.http2.max_ping_strikes", 0),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.lookahead_bytes", 65535),
        ("grpc.http2.bdp_probe", 0),
        ("grpc.so_reuseport", 0),
        ("grpc.max_receive_message_length", max_message_bytes),
    ]


class _Running:
    """One service on one port."""

    def __init__(
        self, service: Service, address: str, health_servicer: health.aio.HealthServicer
    ) -> None:
        self.service = service
        self.address = address
        self._health = health_servicer

    @property
    def port(self) -> int:
        return int(self.address.rpartition(":")[2])

    async def set_serving(self, serving: bool) -> None:
        status = health_pb2.HealthCheckResponse
        value = status.SERVING if serving else status.NOT_SERVING
        for name in ("", *self.service.names):
            await self._health.set(name, value)

    async def drain(self, deadline_seconds: float, hurry: asyncio.Event) -> None:
        """Hand streams over until none is left, the deadline passes or ``hurry`` is set."""
        await self.set_serving(False)
        self.service.live.close()
        emptied = asyncio.create_task(self._emptied())
        hurried = asyncio.create_task(hurry.wait())
        waits: set[asyncio.Task[Any]] = {emptied, hurried}
        await asyncio.wait(waits, timeout=deadline_seconds, return_when=asyncio.FIRST_COMPLETED)
        for task in waits:
            task.cancel()
        with suppress(asyncio.CancelledError):
            await emptied
        _log.info("drained", streams_left=self.service.live.count)

    async def _emptied(self) -> None:
        await self.service.drain()
        await self.service.live.wait_empty()


@asynccontextmanager
async def _running(
    service: Service, settings: ServiceSettings, max_message_bytes: int
) -> AsyncIterator[_Running]:
    trust = settings.trust
    guards = [PeersOnly(trust)] if trust else []
    server = grpc.aio.server(options=_options(max_message_bytes), interceptors=guards)
    servicer = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    service.register(server)
    names = (*service.names, health.SERVICE_NAME, reflection.SERVICE_NAME)
    reflection.enable_server_reflection(names, server)
    try:
        port = _listen(server, settings.listen, trust)
    except RuntimeError as error:
        raise Misconfigured(
            f"VOICEMESH_LISTEN: cannot listen on {settings.listen}; is the port taken?",
            address=settings.listen,
        ) from error
    running = _Running(service, f"{settings.listen.rpartition(':')[0]}:{port}", servicer)
    await running.set_serving(False)
    await server.start()
    async with trust.watching() if trust else nullcontext():
        try:
            await service.start()
            _calm_garbage_collector()
            await running.set_serving(True)
            yield running
        finally:
            await server.stop(STOP_GRACE_SECONDS)
            await service.stop()


def _listen(server: grpc.aio.Server, address: str, trust: Trust | None) -> int:
    if trust is None:
        return server.add_insecure_port(address)
    return server.add_secure_port(address, trust.server_credentials())


def _calm_garbage_collector() -> None:
    # A full collection over everything loaded at start stops all calls for tens of milliseconds.
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 50, 100)


@asynccontextmanager
async def serving(
    service: Service, settings: ServiceSettings, max_message_bytes: int = MAX_MESSAGE_BYTES
) -> AsyncIterator[str]:
    """Serve while the block runs; yield the address. For tests and for embedding."""
    async with _running(service, settings, max_message_bytes) as running:
        yield running.address


async def serve(
    service: Service, settings: ServiceSettings, max_message_bytes: int = MAX_MESSAGE_BYTES
) -> None:
    """Serve until SIGTERM or SIGINT and the drain after it; a second signal ends at once.

    SIGUSR1 has live streams opened again, and changes nothing else. Streams that can be resumed are
    cut while this process is in no state to serve them.
    """
    stop, hurry = asyncio.Event(), asyncio.Event()

    def on_signal() -> None:
        (hurry if stop.is_set() else stop).set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal)
    handing_over: set[asyncio.Task[None]] = set()

    def on_hand_over() -> None:
        if isinstance(service, HandsOver):
            task = loop.create_task(service.hand_over())
            handing_over.add(task)
            task.add_done_callback(handing_over.discard)

    # Caught by services that do not hand over, too: by default it would end the process.
    loop.add_signal_handler(signal.SIGUSR1, on_hand_over)
    async with (
        telemetry.measuring_lag(service.live.admission),
        _running(service, settings, max_message_bytes) as running,
    ):
        _log.info("serving", address=running.address)
        async with _watching(service, running.port):
            await stop.wait()
            await running.drain(settings.drain_seconds, hurry)


@asynccontextmanager
async def _watching(service: Service, port: int) -> AsyncIterator[None]:
    if not isinstance(service, Resumable):
        yield
        return
    async with cut_while_blocked(port, lambda: service.resumable):
        yield


def settle(kind: type[Settings]) -> Settings:
    """Read a part's settings and set its logs, metrics and spans up by them."""
    settings = load(kind)
    telemetry.configure(settings)
    return settings


def run(main: Callable[[], Coroutine[None, None, None]]) -> None:
    """Run a part's main coroutine on the fast event loop; end with one line if it cannot run."""
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(main())
    except Misconfigured as error:
        sys.exit(f"voicemesh: {error.message}")
