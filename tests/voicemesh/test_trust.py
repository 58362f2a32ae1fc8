"""Inner hops: who is answered, who is not, and certificates that change under a live stream."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from mesh.trust import Authority
from voicemesh.errors import InvalidInput, Misconfigured
from voicemesh.identity import Identity, may_call, parse
from voicemesh.renewed import RenewedChannel
from voicemesh.server import LiveStreams, serving
from voicemesh.settings import ServiceSettings
from voicemesh.tls import Trust, read

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence
    from pathlib import Path

HERE = Identity("voicemesh.internal", "eu-west", "orchestrator")
MESH = HERE.beside("mesh")
ECHO = "/test.Echo/Talk"


class Echo:
    """A service that says everything again."""

    names: Sequence[str] = ("test.Echo",)
    live = LiveStreams(10)

    def register(self, server: grpc.aio.Server) -> None:
        async def talk(_: object, context: Any) -> None:  # noqa: ANN401
            while (message := await context.read()) is not grpc.aio.EOF:
                await context.write(message)

        handler: Any = grpc.stream_stream_rpc_method_handler(talk)
        server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler("test.Echo", {"Talk": handler}),)
        )

    async def start(self) -> None: ...

    async def drain(self) -> None: ...

    async def stop(self) -> None: ...


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "authority")


@asynccontextmanager
async def orchestrator(authority: Authority, tmp_path: Path) -> AsyncIterator[str]:
    authority.issue(HERE, tmp_path / "here")
    settings = ServiceSettings(identity=tmp_path / "here")
    async with serving(Echo(), settings) as address:
        yield address


def dialled(address: str, credentials: grpc.ChannelCredentials | None) -> grpc.aio.Channel:
    options = [("grpc.ssl_target_name_override", HERE.host)]
    if credentials is None:
        return grpc.aio.insecure_channel(address)
    return grpc.aio.secure_channel(address, credentials, options=options)


async def health(address: str, credentials: grpc.ChannelCredentials | None) -> grpc.StatusCode:
    async with dialled(address, credentials) as channel:
        try:
            request = health_pb2.HealthCheckRequest()
            await health_pb2_grpc.HealthStub(channel).Check(request, timeout=10)
        except grpc.aio.AioRpcError as error:
            return error.code()
    return grpc.StatusCode.OK


async def talk(address: str, credentials: grpc.ChannelCredentials) -> grpc.StatusCode:
    async with dialled(address, credentials) as channel:
        call: Any = channel.stream_stream(ECHO)(timeout=10)
        try:
            await call.write(b"hello")
            await call.read()
            await call.done_writing()
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
            pass
        code: grpc.StatusCode = await call.code()
        return code


async def test_only_the_envoy_in_front_is_answered(authority: Authority, tmp_path: Path) -> None:
    ok, denied, gone = (
        grpc.StatusCode.OK,
        grpc.StatusCode.PERMISSION_DENIED,
        grpc.StatusCode.UNAVAILABLE,
    )
    abroad = Identity(HERE.domain, "us-east", "mesh")

    def shows(who: Identity, expires: datetime | None = None) -> grpc.ChannelCredentials:
        authority.issue(who, tmp_path / "caller", expires=expires)
        if expires is None:
            return Trust(tmp_path / "caller").channel_credentials()
        names = ("ca.crt", "tls.key", "tls.crt")
        return grpc.ssl_channel_credentials(
            *((tmp_path / "caller" / n).read_bytes() for n in names)
        )

    strangers = Authority(tmp_path / "strangers")
    async with orchestrator(authority, tmp_path) as address:
        assert await talk(address, shows(MESH)) is ok
        for other in ("gateway", "stt", "edge", "operator"):
            assert await talk(address, shows(HERE.beside(other))) is denied
        assert await talk(address, shows(abroad)) is denied
        supervisor = shows(HERE.beside("supervisor"))
        assert (await health(address, supervisor), await talk(address, supervisor)) == (ok, denied)
        assert await health(address, None) is gone
        roots = authority.roots.read_bytes()
        assert await health(address, grpc.ssl_channel_credentials(roots)) is gone
        past = datetime.now(UTC) - timedelta(seconds=5)
        assert await health(address, shows(MESH, past)) is gone
        strangers.issue(MESH, tmp_path / "stranger")
        key, chain = ((tmp_path / "stranger" / n).read_bytes() for n in ("tls.key", "tls.crt"))
        assert await health(address, grpc.ssl_channel_credentials(roots, key, chain)) is gone


async def test_certificates_change_under_a_live_stream(
    authority: Authority, tmp_path: Path
) -> None:
    async with orchestrator(authority, tmp_path) as address:
        authority.issue(MESH, tmp_path / "mesh")
        trust = Trust(tmp_path / "mesh")
        made: list[grpc.aio.Channel] = []

        def fresh() -> grpc.aio.Channel:
            made.append(dialled(address, trust.channel_credentials()))
            return made[-1]

        async with RenewedChannel(fresh, trust) as channel, asyncio.timeout(30):
            open_one: Callable[[], Any] = channel.stream_stream(ECHO)
            live = open_one()
            await live.write(b"1")
            assert await live.read() == b"1"
            for who, folder in ((HERE, "here"), (MESH, "mesh")):
                authority.issue(who, tmp_path / folder)
            assert trust.refresh()
            assert not trust.refresh()
            await channel.renewed.wait()
            assert channel.newest is made[1]
            later = open_one()
            await later.write(b"2")
            assert await later.read() == b"2"
            await live.write(b"3")
            assert await live.read() == b"3"


def test_what_cannot_be_used_is_passed_over(authority: Authority, tmp_path: Path) -> None:
    folder = tmp_path / "mesh"
    authority.issue(MESH, folder)
    trust = Trust(folder)
    kept = trust.material
    authority.issue(MESH, folder, expires=datetime.now(UTC) - timedelta(seconds=1))
    assert not trust.refresh()
    assert trust.material is kept
    authority.issue(MESH, folder)
    (folder / "tls.key").unlink()
    with pytest.raises(Misconfigured, match=r"tls\.key: No such file"):
        read(folder)
    (folder / "tls.key").write_bytes(kept.key)
    with pytest.raises(Misconfigured, match="not the key of"):
        read(folder)


def test_who_may_speak_to_whom() -> None:
    gateway, edge = HERE.beside("gateway"), HERE.beside("edge")
    assert may_call(edge, gateway, "/any")
    assert may_call(MESH, gateway, "/any")
    assert not may_call(edge, HERE, "/any")
    assert not may_call(gateway, HERE, "/any")
    assert not may_call(Identity("other.example", "eu-west", "mesh"), HERE, "/any")
    assert parse(str(MESH)) == MESH
    for wrong in ("spiffe://x/region/y", "https://x/region/y/service/z", f"{MESH}/more", ""):
        with pytest.raises(InvalidInput):
            parse(wrong)


def test_plain_text_stays_on_this_machine() -> None:
    ServiceSettings(listen="127.0.0.1:0")
    ServiceSettings(listen="10.1.2.3:0", plaintext=True)
    with pytest.raises(ValueError, match="VOICEMESH_IDENTITY"):
        ServiceSettings(listen="10.1.2.3:0")


def test_an_authority_is_taken_up_again(tmp_path: Path) -> None:
    first = Authority(tmp_path).roots.read_bytes()
    assert Authority(tmp_path).roots.read_bytes() == first
    assert (tmp_path / "tls.key").stat().st_mode & 0o077 == 0
