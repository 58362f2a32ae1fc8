"""How a server goes: what every sense promises of its health and of SIGTERM."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio
from grpc_health.v1 import health_pb2, health_pb2_grpc

from voicemesh.conform.check import Check
from voicemesh.conform.talk import Subject, demand, fail

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

SERVING = health_pb2.HealthCheckResponse.SERVING
GONE_SECONDS = 60.0
POLL_SECONDS = 0.05


def health(service: str) -> Check:
    """Return the check that the server says that it serves."""

    async def run(subject: Subject) -> None:
        for name in ("", service):
            demand(await _serves(subject, name), f"health of {name or 'the whole'} is not SERVING")

    return Check("go-away", "`grpc.health.v1.Health` says SERVING, whole and by service", run)


def going(pid: int, whole: Callable[[Subject], Coroutine[Any, Any, None]], service: str) -> Check:
    """Return the check that a server that is told to stop ends what it has; it ends with this.

    ``whole``: opens a stream, and fails unless that is served to its end.
    """

    async def run(subject: Subject) -> None:
        live = asyncio.create_task(whole(subject))
        # Whether it is before or behind its first answer when the signal comes is all the same.
        await asyncio.sleep(0)
        demand(await _serves(subject, service), "health is not SERVING before SIGTERM")
        os.kill(pid, signal.SIGTERM)
        await live
        await _gone(subject, service)

    about = "SIGTERM: live streams are served to their end, new ones are not taken"
    return Check("go-away", about, run)


async def _gone(subject: Subject, service: str) -> None:
    """Wait until the server says that it serves no more, or is not there."""
    latest = time.monotonic() + GONE_SECONDS
    while await _serves(subject, service):
        demand(time.monotonic() < latest, f"health is still SERVING after {GONE_SECONDS:g} s")
        await asyncio.sleep(POLL_SECONDS)


async def _serves(subject: Subject, service: str) -> bool:
    stub = health_pb2_grpc.HealthStub(subject.channel)
    request = health_pb2.HealthCheckRequest(service=service)
    try:
        answer = await stub.Check(request, timeout=subject.seconds)
    except grpc.aio.AioRpcError as error:
        if error.code() is grpc.StatusCode.UNAVAILABLE:
            return False
        fail(f"grpc.health.v1.Health ends with {error.code().name}: {error.details()}")
    return bool(answer.status == SERVING)
