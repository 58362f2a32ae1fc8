# ruff: noqa: ANN401 - answers of every kind
"""Call control through Envoy: JSON and gRPC, several gateways, calls that moved."""

from __future__ import annotations

import asyncio
import signal
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import grpc.aio
import httpx
import pytest

from tests.support.mesh import http_client, running_mesh
from voicemesh.api.control.v1 import control_pb2, control_pb2_grpc
from voicemesh.audio import AudioFormat, Encoding
from voicemesh.callids import gateway_tag
from voicemesh.channel import open_channel
from voicemesh.client import Call

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from mesh.local import LocalMesh

pytestmark = pytest.mark.slow
PHONE = AudioFormat(Encoding.MULAW, 8000)


@dataclass
class Site:
    """A mesh of two gateways, and both ways to control it."""

    mesh: LocalMesh
    http: httpx.AsyncClient
    stub: Any

    async def get(self, path: str) -> Any:
        response = await self.http.get(path)
        assert response.status_code == 200, response.text
        return response.json()

    async def post(self, path: str, **body: object) -> httpx.Response:
        return await self.http.post(path, json=body)


@asynccontextmanager
async def site(gateways: int = 2, **environment: str) -> AsyncIterator[Site]:
    async with running_mesh(drain_seconds=6, environment=environment) as mesh:
        await mesh.scale("gateway", gateways)
        async with (
            http_client(mesh) as http,
            open_channel(mesh.edge_target) as channel,
        ):
            yield Site(mesh, http, control_pb2_grpc.CallsServiceStub(channel))


async def until(call: Call, holds: Callable[[Call], bool]) -> None:
    while not call.over and not holds(call):
        await call.change(0.02)
    assert holds(call)


async def test_json_and_grpc_do_the_same_wherever_the_call_is() -> None:
    async with site() as here:
        async with Call.place(here.mesh.edge_target, bot="echo", caller_format=PHONE) as call:
            call_id = call.started.call_id
            await until(call, lambda call: bool(call.transcripts))
            # Without a name in the metadata either gateway may be asked; both know.
            request = control_pb2.GetCallRequest(call_id=call_id)
            by_grpc = [(await here.stub.GetCall(request)).call for _ in range(6)]
            assert all(each == by_grpc[0] for each in by_grpc)
            by_json = (await here.get(f"/v1/calls/{call_id}"))["call"]
            assert (by_json["call_id"], by_json["state"]) == (call_id, "CALL_STATE_LIVE")
            assert by_json["replica"] == by_grpc[0].replica
            said = await here.post(
                f"/v1/calls/{call_id}:say", idempotency_key="one", text="By JSON."
            )
            assert said.status_code == 200, said.text
            again = control_pb2.SayRequest(call_id=call_id, idempotency_key="one", text="By JSON.")
            await here.stub.Say(again)
            await here.stub.Say(
                control_pb2.SayRequest(call_id=call_id, idempotency_key="two", text="By gRPC.")
            )
            await until(call, lambda call: len(call.transcripts) >= 3)
            assert [each.text for each in call.transcripts[1:]] == ["By JSON.", "By gRPC."]
            pressed = await here.post(
                f"/v1/calls/{call_id}:sendDigits", idempotency_key="d", digits="42#"
            )
            assert pressed.status_code == 200
            await until(call, lambda call: bool(call.actions))
            ending = await here.post(f"/v1/calls/{call_id}:hangUp", idempotency_key="end")
            assert ending.status_code == 200
            await until(call, lambda call: call.ended is not None)
            assert call.ended is not None
            assert call.ended.reason == "bot_hung_up"
        await too_late(here, call_id)


async def too_late(here: Site, call_id: str) -> None:
    """Look at what a finished call and an unknown one answer."""
    # A repetition of what was done has its answer; anything new is too late.
    ending = await here.post(f"/v1/calls/{call_id}:hangUp", idempotency_key="end")
    assert ending.status_code == 200
    late = await here.post(f"/v1/calls/{call_id}:hangUp", idempotency_key="new")
    assert (late.status_code, late.json()["message"]) == (400, "call_id: this call has ended")
    assert late.json()["code"] == grpc.StatusCode.FAILED_PRECONDITION.value[0]
    nobody = await here.post("/v1/calls/nobody:hangUp", idempotency_key="x")
    assert nobody.status_code == 404
    assert nobody.json()["details"][0]["reason"] == "NO_CALL"
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await here.stub.HangUp(control_pb2.HangUpRequest(call_id="nobody", idempotency_key="x"))
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


async def test_a_call_is_found_after_it_moved_to_another_gateway() -> None:
    async with (
        site() as here,
        Call.place(here.mesh.edge_target, bot="echo", caller_format=PHONE) as call,
    ):
        await until(call, lambda call: bool(call.transcripts))
        first, call_id = call.started.replica, call.started.call_id
        assert call_id.endswith(gateway_tag("local", first))
        here.mesh.signal(first, signal.SIGKILL)
        await until(call, lambda call: len(call.resumes) >= 1)
        found = (await here.get(f"/v1/calls/{call_id}"))["call"]
        assert found["state"] == "CALL_STATE_LIVE"
        assert found["replica"] != first
        # The gateway that was killed is back under its name, and knows nothing.
        await replaced(here.mesh, first)
        for number in range(4):
            muted = await here.post(
                f"/v1/calls/{call_id}:mute", idempotency_key=f"m{number}", muted=True
            )
            assert muted.status_code == 200, muted.text
            assert muted.json()["call"]["muted"]


async def replaced(mesh: LocalMesh, name: str) -> None:
    """Wait until a killed process runs again and Envoy gives it requests."""
    async with asyncio.timeout(30):
        while True:
            states = {each.name: each for each in (await mesh.status()).processes}
            if name in states and states[name].state == "serving":
                return
            await asyncio.sleep(0.05)


async def test_calls_of_all_gateways_are_listed_and_watched() -> None:
    async with (
        site() as here,
        Call.place(here.mesh.edge_target, bot="echo", caller_format=PHONE) as one,
        Call.place(here.mesh.edge_target, bot="echo", caller_format=PHONE) as two,
        Call.place(here.mesh.edge_target, bot="echo", caller_format=PHONE) as three,
        Call.place(here.mesh.edge_target, bot="echo", caller_format=PHONE) as four,
    ):
        placed = {each.started.call_id for each in (one, two, three, four)}
        seen, token, pages = [], "", 0
        while pages == 0 or token:
            answer = await here.get(f"/v1/calls?page_size=1&page_token={token}")
            seen += [call["call_id"] for call in answer["calls"]]
            token, pages = answer["next_page_token"], pages + 1
        assert sorted(seen) == sorted(placed)
        call_id = four.started.call_id
        async with here.http.stream("GET", f"/v1/calls:watch?call_id={call_id}") as watched:
            assert watched.status_code == 200
            four.hang_up()
            lines = [line async for line in watched.aiter_lines() if line]
        assert '"ended"' in lines[-1]


async def test_a_call_is_placed_by_the_owner_of_its_key() -> None:
    """There is no carrier here: whoever owns the key says so, with its own error, to everybody."""
    async with site() as here:
        for _ in range(4):
            refused = await here.post(
                "/v1/calls", idempotency_key="same", callee="+49301", bot="echo"
            )
            assert refused.status_code == 400
            assert "there is no carrier" in refused.json()["message"]
