"""Who gets in at the edge, who does not, and what each is told; one mesh with two tenants."""

from __future__ import annotations

import ssl
import tempfile
import time
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio
import httpx
import pytest

from mesh.local import LocalMesh
from mesh.topology import LOCAL, Tenant, Tuning, load, on_free_ports
from mesh.trust.issuing import SIGNING_KEY
from tests.support.mesh import held
from voicemesh.access import Access
from voicemesh.api.call.v1 import call_pb2, call_pb2_grpc
from voicemesh.audio import AudioFormat, Encoding
from voicemesh.client import Call, Request
from voicemesh.client.line import Line
from voicemesh.errors import VoicemeshError
from voicemesh.tokens import new_key, sign

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncIterator, Iterator

pytestmark = pytest.mark.slow
PHONE = AudioFormat(Encoding.MULAW, 8000)
BURST = 20
OK, UNAUTHORIZED, FORBIDDEN, NOT_FOUND, BUSY = (
    HTTPStatus.OK,
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.NOT_FOUND,
    HTTPStatus.TOO_MANY_REQUESTS,
)


@dataclass
class Edge:
    """A mesh, and its development key."""

    mesh: LocalMesh
    pem: str

    def token(self, tenant: str = "acme", **more: Any) -> str:  # noqa: ANN401 - claims
        return sign(self.pem, tenant=tenant, **more)

    def access(self, token: str) -> Access:
        known = self.mesh.certificates.calling(self.mesh.edge_addresses)
        return Access(known.addresses, known.roots, token, peer=known.peer)

    @asynccontextmanager
    async def channel(self, token: str) -> AsyncIterator[grpc.aio.Channel]:
        access = self.access(token)
        options = [("grpc.ssl_target_name_override", access.peer)]
        credentials = access.credentials()
        assert credentials is not None
        async with grpc.aio.secure_channel(
            self.mesh.edge_address, credentials, options=options
        ) as channel:
            yield channel

    async def converse(self, token: str, *headers: tuple[str, str]) -> grpc.StatusCode:
        """Begin a call and hang up; return the status."""
        start = Request(bot="echo", caller_format=PHONE).to_proto()
        async with self.channel(token) as channel:
            stub = call_pb2_grpc.CallServiceStub(channel)
            stream: Any = stub.Converse(metadata=headers, timeout=20)
            line = Line("edge", stream)
            with suppress(VoicemeshError):
                await line.start(start)
                await line.send(call_pb2.ConverseRequest(hang_up=call_pb2.HangUp()))
                while await line.receive() is not None:
                    pass
            code: grpc.StatusCode = await stream.code()
            return code

    @asynccontextmanager
    async def http(self, token: str) -> AsyncIterator[httpx.AsyncClient]:
        context = ssl.create_default_context(cafile=self.access("").roots)
        async with httpx.AsyncClient(
            base_url=f"https://localhost:{self.mesh.edge_address.rpartition(':')[2]}",
            headers={"authorization": f"Bearer {token}"} if token else {},
            verify=context,
            trust_env=False,
            timeout=20,
        ) as client:
            yield client

    async def get(self, token: str, path: str = "/v1/calls", **headers: str) -> int:
        async with self.http(token) as client:
            response = await client.get(path, headers=headers)
            assert response.status_code != HTTPStatus.SERVICE_UNAVAILABLE, response.text
            return response.status_code


@asynccontextmanager
async def _edge() -> AsyncIterator[Edge]:
    tenants = {
        "acme": Tenant(residency="any"),
        "globex": Tenant(residency="any", opens_per_second=BURST, burst=BURST),
    }
    # What is asked here is not how fast trouble is noticed: a busy machine is no trouble.
    patient = Tuning(health_interval_ms=3000, health_timeout_ms=2000, keepalive_ms=1000)
    changed = {"tenants": tenants, "tuning": patient}
    topology = on_free_ports(load(LOCAL)).model_copy(update=changed)
    with tempfile.TemporaryDirectory(prefix="vm") as home:
        mesh = LocalMesh(topology, models="scripted", home=Path(home), drain_seconds=2)
        async with mesh:
            key = mesh.home.certificates / SIGNING_KEY
            yield Edge(mesh, key.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def edge(runner: asyncio.Runner) -> Iterator[Edge]:
    yield from held(runner, _edge())


async def test_a_token_lets_in_and_nothing_else_does(edge: Edge) -> None:
    code = grpc.StatusCode
    assert await edge.converse(edge.token()) is code.OK
    assert await edge.converse("") is code.UNAUTHENTICATED
    expired = edge.token(now=time.time() - 90_000)
    others = sign(new_key(), tenant="acme")
    for wrong in (expired, others, "nonsense", edge.token(issuer="somebody")):
        assert await edge.converse(wrong) is code.UNAUTHENTICATED, wrong
        assert await edge.get(wrong) == UNAUTHORIZED
    assert await edge.converse(edge.token(audience="others")) is code.PERMISSION_DENIED
    assert await edge.get("") == UNAUTHORIZED
    assert await edge.get(edge.token()) == OK


async def test_each_scope_allows_what_it_says(edge: Edge) -> None:
    reader = edge.token(scopes=["call:read"])
    assert await edge.converse(reader) is grpc.StatusCode.PERMISSION_DENIED
    assert await edge.get(reader) == OK
    assert await edge.get(edge.token(scopes=["call:create"])) == FORBIDDEN
    async with edge.http(reader) as client:
        body = {"idempotency_key": "x", "text": "hello"}
        assert (await client.post("/v1/calls/x:say", json=body)).status_code == FORBIDDEN
    async with edge.http(edge.token(scopes=["call:control"])) as client:
        assert (await client.post("/v1/calls/x:say", json=body)).status_code == NOT_FOUND


async def test_a_call_is_its_tenants_and_nobody_elses(edge: Edge) -> None:
    """Another tenant neither sees a call, nor acts on it, nor resumes it."""
    mine, theirs = edge.token("acme"), edge.token("globex")
    async with Call.place(edge.mesh.edge_target, bot="echo", caller_format=PHONE) as call:
        path = f"/v1/calls/{call.started.call_id}"
        assert await edge.get(mine, path) == OK
        assert await edge.get(theirs, path) == NOT_FOUND
        forged = {"x-voicemesh-tenant": "acme", "x-voicemesh-residency": "eu"}
        assert await edge.get(theirs, path, **forged) == NOT_FOUND
        async with edge.http(theirs) as client:
            listed = (await client.get("/v1/calls")).json()["calls"]
            assert listed == []
            body = {"idempotency_key": "x"}
            assert (await client.post(f"{path}:hangUp", json=body)).status_code == NOT_FOUND
        async with edge.http(mine) as client:
            listed = (await client.get("/v1/calls")).json()["calls"]
            assert [each["call_id"] for each in listed] == [call.started.call_id]


async def test_a_tenant_at_ten_times_its_rate_disturbs_nobody(edge: Edge) -> None:
    theirs, statuses = edge.token("globex"), []
    async with edge.http(theirs) as busy, edge.http(edge.token("acme")) as other:
        for number in range(10 * BURST):
            statuses.append((await busy.get("/v1/calls")).status_code)
            if number % 20 == 0:
                assert (await other.get("/v1/calls")).status_code == OK
    assert set(statuses) == {OK, BUSY}
    assert statuses.count(BUSY) > BURST


async def test_certificates_change_under_a_call(edge: Edge) -> None:
    async with Call.place(edge.mesh.edge_target, bot="echo", caller_format=PHONE) as call:
        for _ in range(2):
            edge.mesh.renew_certificates()
            async with Call.place(edge.mesh.edge_target, bot="echo", caller_format=PHONE) as other:
                assert other.started.call_id
        assert not call.over
    stats = await edge.mesh.envoy_stats("mesh")
    assert not [name for name, value in stats.items() if value and "update_rejected" in name]
