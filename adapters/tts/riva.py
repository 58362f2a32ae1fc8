"""NVIDIA Riva's streaming synthesis, and NIMs that speak the same: gRPC.

Messages: ``riva_tts.proto`` of https://docs.nvidia.com/deeplearning/riva (service
``nvidia.riva.tts.RivaSpeechSynthesis``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic_settings import SettingsConfigDict

from adapters.providers.endpoint import Endpoint
from adapters.providers.http import bearer
from adapters.providers.speaking import GrpcSpeakingEngine
from adapters.providers.wire import Wire

if TYPE_CHECKING:
    from collections.abc import Sequence

    from adapters.synthesis import SynthesisRequest

METHOD = "/nvidia.riva.tts.RivaSpeechSynthesis/SynthesizeOnline"
LINEAR_PCM = 1
WIRE = Wire(
    "voicemesh.riva.tts",
    {
        "Request": {
            "text": (1, "string"),
            "language_code": (2, "string"),
            "encoding": (3, "int32"),
            "sample_rate_hz": (4, "int32"),
            "voice_name": (5, "string"),
        },
        "Response": {"audio": (1, "bytes")},
    },
)


class RivaSpeechSettings(Endpoint):
    """Prefix ``VOICEMESH_RIVA_TTS_``."""

    model_config = SettingsConfigDict(env_prefix="VOICEMESH_RIVA_TTS_")
    provider: ClassVar[str] = "riva_tts"

    url: str = "grpc://127.0.0.1:50051"
    secret: str = ""
    voice: str = ""
    """Voice, where the bot names none; empty: the server's own."""


class RivaUtterances:
    """How sentences are asked for."""

    def __init__(self, settings: RivaSpeechSettings) -> None:
        self._voice = settings.voice

    def headers(self, key: str) -> dict[str, str]:
        """Return the metadata that lets us in."""
        return {name.lower(): value for name, value in bearer(key).items()}

    def rate(self, request: SynthesisRequest) -> int:
        """Return the rate of the provider's sound: whatever we ask for."""
        return request.rate

    def ask(self, request: SynthesisRequest, text: str) -> tuple[str, Sequence[bytes]]:
        """Return the method, and what it is sent."""
        asked = WIRE.packed(
            "Request",
            text=text,
            language_code="en-US" if request.language == "en" else request.language,
            encoding=LINEAR_PCM,
            sample_rate_hz=request.rate,
            voice_name=request.voice or self._voice,
        )
        return METHOD, [asked]

    def sound(self, message: bytes) -> bytes:
        """Return the sound in an answer."""
        return bytes(WIRE.unpacked("Response", message).audio)


def engine(settings: RivaSpeechSettings) -> GrpcSpeakingEngine:
    """Return the engine."""
    return GrpcSpeakingEngine(settings, RivaUtterances(settings))


SETTINGS = RivaSpeechSettings
