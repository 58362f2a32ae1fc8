"""The services a mesh is made of: which process serves which RPCs, behind which Envoy.

A new service is one line in ``SERVICES``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

DoorName: TypeAlias = Literal["edge", "mesh"]
"""The two kinds of Envoy: ``edge`` faces callers, ``mesh`` joins our own services."""

ServiceName: TypeAlias = Literal["gateway", "orchestrator", "stt", "llm", "tts", "sip"]

DOORS: tuple[DoorName, ...] = get_args(DoorName)


@dataclass(frozen=True)
class Envoy:
    """One Envoy process of a region. Those of one door differ in nothing but this and the port."""

    door: DoorName
    number: int = 0

    @property
    def name(self) -> str:
        """Name of its process, as ``mesh-1``."""
        return f"{self.door}-{self.number}"


@dataclass(frozen=True)
class ServiceKind:
    """What never changes about a service, whatever the topology."""

    name: ServiceName
    rpc_service: str
    """Full name of its gRPC service: the route's prefix and the name whose health is asked."""
    module: str
    """Started as ``python -m <module>``."""
    door: DoorName
    """The Envoy that callers reach it through."""
    sense: str = ""
    """``VOICEMESH_SENSE`` of an adapter; empty for the others."""

    @property
    def prefix(self) -> str:
        """Path prefix of every RPC of the service."""
        return f"/{self.rpc_service}/"


_API = "voicemesh.api"

SERVICES: dict[ServiceName, ServiceKind] = {
    kind.name: kind
    for kind in (
        ServiceKind("gateway", f"{_API}.call.v1.CallService", "gateway", "edge"),
        ServiceKind("orchestrator", f"{_API}.session.v1.SessionService", "orchestrator", "mesh"),
        ServiceKind("stt", f"{_API}.speech.v1.RecognitionService", "adapters", "mesh", "stt"),
        ServiceKind("llm", f"{_API}.language.v1.GenerationService", "adapters", "mesh", "llm"),
        ServiceKind("tts", f"{_API}.speech.v1.SynthesisService", "adapters", "mesh", "tts"),
        ServiceKind("sip", f"{_API}.sip.v1.SipService", "sip", "mesh"),
    )
}

START_ORDER: tuple[ServiceName, ...] = tuple(SERVICES)
"""Callers before callees: stopping in this order never takes a callee from a live caller."""
