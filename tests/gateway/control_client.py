"""A gateway with a client of its call control, and an emulated carrier that calls back."""

# ruff: noqa: ANN401 - requests and answers of every kind
from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.gateway.caller import LINEAR8, Caller, Hall, hall
from voicemesh.api.control.v1 import control_pb2, control_pb2_grpc
from voicemesh.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from gateway.control.dialling import Order


@dataclass
class EmulatedCarrier:
    """Keeps what it is asked to dial; `answer` connects it, as a carrier's media socket would."""

    orders: asyncio.Queue[Order] = field(default_factory=asyncio.Queue)
    cancelled: list[str] = field(default_factory=list)
    broken: bool = False

    async def dial(self, order: Order) -> str:
        if self.broken:
            raise Unavailable("the carrier is gone")
        self.orders.put_nowait(order)
        return f"carrier-{order.call_id}"

    async def cancel(self, name: str, call_id: str) -> None:
        assert name == f"carrier-{call_id}"
        self.cancelled.append(call_id)

    async def aclose(self) -> None:
        pass

    async def answer(self, here: Hall) -> tuple[Caller, str]:
        order = await self.orders.get()
        caller = Caller(here)
        started = await caller.start(
            bot="",
            callee=order.callee,
            caller=order.caller,
            variables=dict(order.parameters),
            caller_format=LINEAR8,
        )
        return caller, started.call_id


@dataclass
class Control:
    """Calls of CallsService, each with a key of its own unless it is given one."""

    here: Hall
    carrier: EmulatedCarrier
    stub: Any
    keys: int = 0

    async def ask(self, method: str, **fields: Any) -> Any:
        request = getattr(control_pb2, f"{method}Request")
        if "idempotency_key" in request.DESCRIPTOR.fields_by_name:
            self.keys += 1
            fields = {"idempotency_key": f"key-{self.keys}"} | fields
        return await getattr(self.stub, method)(request(**fields), timeout=10)


@asynccontextmanager
async def controlled(folder: Path, **settings: object) -> AsyncIterator[Control]:
    bots = folder / "bots"
    bots.mkdir(exist_ok=True)
    async with hall(bots, **settings) as here:
        carrier = EmulatedCarrier()
        here.gateway.control.diallers["emulated"] = carrier
        yield Control(here, carrier, control_pb2_grpc.CallsServiceStub(here.channel))
