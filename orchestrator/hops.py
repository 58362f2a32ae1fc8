"""Who serves a call's streams to adapters, as the mesh's Envoys say it: for the call's record."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Protocol

from orchestrator.events import Served
from voicemesh.api.journal.v1 import hop_pb2
from voicemesh.api.session.v1 import session_pb2
from voicemesh.residency import REPLICA_HEADER, RESIDENCY_HEADER

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence


class Answered(Protocol):
    """A stream that has answered."""

    def initial_metadata(self) -> Awaitable[Any]:
        """Return the headers of its answer."""


async def served(call: Answered, service: str) -> Served:
    """Return who serves a stream that has answered; without an Envoy between, nobody is known."""
    headers = dict(await call.initial_metadata() or ())
    region, _, replica = str(headers.get(REPLICA_HEADER, "")).partition("/")
    return Served(service, region, replica)


def metadata(call_id: str, residency: str) -> tuple[tuple[str, str], ...]:
    """Return what every stream of a call says of it."""
    zone = ((RESIDENCY_HEADER, residency),) if residency else ()
    return (("x-voicemesh-call", call_id), *zone)


class Hops:
    """Notes who serves a session, and tells each change once."""

    def __init__(self) -> None:
        self._now: dict[str, Served] = {}
        self._untold: list[session_pb2.RunResponse] = []

    def note(self, event: Served) -> None:
        """Take note of who serves a stream."""
        if not event.replica or self._now.get(event.service) == event:
            return
        self._now[event.service] = event
        hop = hop_pb2.Hop(service=event.service, replica=event.replica, region=event.region)
        hop.time.FromNanoseconds(time.time_ns())
        self._untold.append(session_pb2.RunResponse(hop=hop))

    def take(self) -> Sequence[session_pb2.RunResponse]:
        """Return what the gateway has not been told yet."""
        told, self._untold = self._untold, []
        return told
