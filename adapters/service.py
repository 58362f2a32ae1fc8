"""What one adapter process serves: one sense, with the engines that its settings name."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from adapters.host import Host
from adapters.servicer import GenerationServicer, RecognitionServicer, SynthesisServicer
from voicemesh.api.language.v1 import language_pb2, language_pb2_grpc
from voicemesh.api.speech.v1 import (
    recognition_pb2,
    recognition_pb2_grpc,
    synthesis_pb2,
    synthesis_pb2_grpc,
)
from voicemesh.errors import Misconfigured

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import grpc.aio

    from adapters.config import AdapterSettings
    from adapters.host import Engine


@dataclass(frozen=True, slots=True)
class Sense:
    """One of the three things that adapters do."""

    service: str
    """Full gRPC name."""
    engines: str
    """Package whose ``ENGINES`` maps names to factories."""
    servicer: Callable[[Host[Any]], Any]
    add_to_server: Callable[[Any, grpc.aio.Server], None]


SENSES: Mapping[str, Sense] = {
    "stt": Sense(
        recognition_pb2.DESCRIPTOR.services_by_name["RecognitionService"].full_name,
        "adapters.stt",
        RecognitionServicer,
        recognition_pb2_grpc.add_RecognitionServiceServicer_to_server,
    ),
    "llm": Sense(
        language_pb2.DESCRIPTOR.services_by_name["GenerationService"].full_name,
        "adapters.llm",
        GenerationServicer,
        language_pb2_grpc.add_GenerationServiceServicer_to_server,
    ),
    "tts": Sense(
        synthesis_pb2.DESCRIPTOR.services_by_name["SynthesisService"].full_name,
        "adapters.tts",
        SynthesisServicer,
        synthesis_pb2_grpc.add_SynthesisServiceServicer_to_server,
    ),
}


class AdapterService:
    """A `voicemesh.server.Service` over engines."""

    resumable = True

    def __init__(self, sense: Sense, host: Host[Any]) -> None:
        self.names: Sequence[str] = (sense.service,)
        self.live = host.live
        self._sense = sense
        self._host = host

    def register(self, server: grpc.aio.Server) -> None:
        """Add the sense's servicer."""
        self._sense.add_to_server(self._sense.servicer(self._host), server)

    async def start(self) -> None:
        """Load and warm up every engine."""
        await self._host.start()

    async def drain(self) -> None:
        """Do nothing: a stream lasts one utterance or one reply, and ends by itself."""

    async def stop(self) -> None:
        """Let go of every engine."""
        await self._host.stop()


def build(settings: AdapterSettings, engines: Mapping[str, Engine] | None = None) -> AdapterService:
    """Return the service that the settings describe, or one over the engines given."""
    sense = SENSES[settings.sense]
    hosted = _make_engines(sense, settings) if engines is None else engines
    host = Host(hosted, replica=settings.replica, max_streams=settings.max_calls)
    return AdapterService(sense, host)


def _make_engines(sense: Sense, settings: AdapterSettings) -> dict[str, Engine]:
    table = import_module(sense.engines).ENGINES
    unknown = [name for name in settings.engines if name not in table]
    if unknown:
        known = ", ".join(table)
        raise Misconfigured(
            f"VOICEMESH_ENGINES: no {settings.sense} engine {unknown[0]!r}, only {known}",
            field="VOICEMESH_ENGINES",
            known=known,
        )
    return {name: table[name](settings) for name in settings.engines}
