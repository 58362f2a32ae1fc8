"""Asks a process whether it serves: the same question that Envoy asks."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import grpc
import grpc.aio
from grpc_health.v1 import health_pb2, health_pb2_grpc

if TYPE_CHECKING:
    from voicemesh.access import Access

_PAUSE = 0.05
_OPTIONS = [
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.min_reconnect_backoff_ms", 50),
    ("grpc.max_reconnect_backoff_ms", 200),
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.enable_http_proxy", 0),
]


async def serving(address: str, rpc_service: str, known: Access) -> None:
    """Return when the process at an address says SERVING for a service."""
    request = health_pb2.HealthCheckRequest(service=rpc_service)
    async with _channel(address, known) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        while True:
            try:
                answer = await stub.Check(request, timeout=1.0, wait_for_ready=True)
                if answer.status == health_pb2.HealthCheckResponse.SERVING:
                    return
            except grpc.aio.AioRpcError:
                pass  # not listening yet, or the name is not registered yet
            await asyncio.sleep(_PAUSE)


def _channel(address: str, known: Access) -> grpc.aio.Channel:
    credentials = known.credentials()
    if credentials is None:
        return grpc.aio.insecure_channel(address, options=_OPTIONS)
    named = [*_OPTIONS, ("grpc.ssl_target_name_override", known.peer)]
    return grpc.aio.secure_channel(address, credentials, options=named)
