from __future__ import annotations

import asyncio
import os
import signal
import socket
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from voicemesh import server
from voicemesh.channel import open_channel, service_config
from voicemesh.errors import Misconfigured, Refused, Unavailable
from voicemesh.server import LiveStreams
from voicemesh.settings import ServiceSettings, load

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

NAME = "voicemesh.api.call.v1.CallService"
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


@pytest.fixture
def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Service:
    """A service that does nothing but tell what happened to it."""

    names = (NAME,)

    def __init__(self, *, starting: asyncio.Event | None = None) -> None:
        self.live = LiveStreams(2)
        self.happened: list[str] = []
        self._starting = starting

    def register(self, _: grpc.aio.Server) -> None:
        self.happened.append("registered")

    async def start(self) -> None:
        if self._starting:
            await self._starting.wait()
        self.happened.append("started")

    async def drain(self) -> None:
        self.happened.append("drained")

    async def stop(self) -> None:
        self.happened.append("stopped")


@asynccontextmanager
async def health(address: str) -> AsyncIterator[health_pb2_grpc.HealthAsyncStub]:
    async with open_channel(address) as channel:
        yield health_pb2_grpc.HealthStub(channel)


async def test_health_of_the_process_and_of_its_service() -> None:
    async with (
        server.serving(Service(), ServiceSettings()) as address,
        health(address) as stub,
    ):
        for name in ("", NAME):
            answer = await stub.Check(health_pb2.HealthCheckRequest(service=name))
            assert answer.status == SERVING
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.Check(health_pb2.HealthCheckRequest(service="nothing"))
        assert caught.value.code() is grpc.StatusCode.NOT_FOUND


async def test_nothing_is_served_before_everything_is_loaded(free_port: int) -> None:
    starting, served = asyncio.Event(), asyncio.Event()
    service = Service(starting=starting)
    settings = ServiceSettings(listen=f"127.0.0.1:{free_port}")
    async with health(settings.listen) as stub:

        async def serve() -> None:
            async with server.serving(service, settings):
                await served.wait()

        serving = asyncio.create_task(serve())
        watch = stub.Watch(health_pb2.HealthCheckRequest(), wait_for_ready=True)
        answers = aiter(watch)
        assert (await anext(answers)).status == NOT_SERVING
        starting.set()
        assert (await anext(answers)).status == SERVING
        served.set()
        await serving
        watch.cancel()
    assert service.happened == ["registered", "started", "stopped"]


async def test_reflection_names_the_service() -> None:
    async with (
        server.serving(Service(), ServiceSettings()) as address,
        open_channel(address) as channel,
    ):
        stub = reflection_pb2_grpc.ServerReflectionStub(channel)
        call = stub.ServerReflectionInfo()
        await call.write(reflection_pb2.ServerReflectionRequest(list_services=""))
        listed = await call.read()
        names = {each.name for each in listed.list_services_response.service}
        assert NAME in names
        await call.done_writing()


async def test_port_that_is_taken_is_named() -> None:
    async with server.serving(Service(), ServiceSettings()) as address:
        with pytest.raises(Misconfigured, match="VOICEMESH_LISTEN") as caught:
            async with server.serving(Service(), ServiceSettings(listen=address)):
                pass
        assert caught.value.details["address"] == address


async def test_live_streams_admit_until_full() -> None:
    live = LiveStreams(2)
    with live.admit(), live.admit():
        assert live.count == 2
        with pytest.raises(Refused, match="2 streams"), live.admit():
            pass
    assert live.count == 0
    with live.admit():
        pass


async def test_live_streams_turn_away_when_draining_and_say_when_empty() -> None:
    live = LiveStreams(2)
    with live.admit():
        live.close()
        assert live.draining
        with pytest.raises(Unavailable), live.admit():
            pass
        empty = asyncio.ensure_future(live.wait_empty())
        done, _ = await asyncio.wait({empty}, timeout=0)
        assert not done
    await empty


async def test_place_is_free_after_a_failure() -> None:
    live = LiveStreams(1)
    with pytest.raises(ValueError, match="broken"), live.admit():
        raise ValueError("broken")
    assert live.count == 0


class Stubborn(Service):
    """A service that never comes to an end of asking its streams to leave."""

    def __init__(self) -> None:
        super().__init__()
        self.serves, self.asking = asyncio.Event(), asyncio.Event()

    async def start(self) -> None:
        self.serves.set()

    async def drain(self) -> None:
        self.asking.set()
        await asyncio.Event().wait()


async def test_a_second_signal_ends_a_drain_that_is_still_asking() -> None:
    service = Stubborn()
    running = asyncio.create_task(server.serve(service, ServiceSettings(drain_seconds=3600)))
    await service.serves.wait()
    os.kill(os.getpid(), signal.SIGTERM)
    await service.asking.wait()
    os.kill(os.getpid(), signal.SIGTERM)
    await running
    assert service.happened[-1] == "stopped"


async def test_the_deadline_ends_a_drain_that_is_still_asking() -> None:
    service = Stubborn()
    running = asyncio.create_task(server.serve(service, ServiceSettings(drain_seconds=0.01)))
    await service.serves.wait()
    os.kill(os.getpid(), signal.SIGTERM)
    await running
    assert service.happened[-1] == "stopped"


def test_setting_out_of_range_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOICEMESH_MAX_CALLS", "0")
    with pytest.raises(Misconfigured, match="VOICEMESH_MAX_CALLS"):
        load(ServiceSettings)


def test_run_ends_with_one_line_if_misconfigured() -> None:
    async def main() -> None:
        raise Misconfigured("VOICEMESH_LISTEN: is taken")

    with pytest.raises(SystemExit) as caught:
        server.run(main)
    assert caught.value.code == "voicemesh: VOICEMESH_LISTEN: is taken"


def test_service_config_is_what_stands_beside_the_protos() -> None:
    beside = Path(__file__).parents[2] / "protos" / "service_config.json"
    assert service_config() == beside.read_text()
