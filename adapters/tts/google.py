"""Google Cloud Text-to-Speech, streamed: gRPC.

Messages: https://cloud.google.com/text-to-speech/docs/reference/rpc/google.cloud.texttospeech.v1
Only voices that stream (such as Chirp 3 HD) can be asked so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic_settings import SettingsConfigDict

from adapters.providers.endpoint import Endpoint
from adapters.providers.speaking import GrpcSpeakingEngine
from adapters.providers.wire import Wire

if TYPE_CHECKING:
    from collections.abc import Sequence

    from adapters.synthesis import SynthesisRequest

METHOD = "/google.cloud.texttospeech.v1.TextToSpeech/StreamingSynthesize"
PCM = 7
WIRE = Wire(
    "voicemesh.google.texttospeech",
    {
        "Voice": {"language_code": (1, "string"), "name": (2, "string")},
        "Audio": {"audio_encoding": (1, "int32"), "sample_rate_hertz": (2, "int32")},
        "Streaming": {"voice": (1, "Voice"), "streaming_audio_config": (4, "Audio")},
        "Input": {"text": (1, "string")},
        "Request": {"streaming_config": (1, "Streaming"), "input": (2, "Input")},
        "Response": {"audio_content": (1, "bytes")},
    },
)


class GoogleSpeechSettings(Endpoint):
    """Prefix ``VOICEMESH_GOOGLE_TTS_``."""

    model_config = SettingsConfigDict(env_prefix="VOICEMESH_GOOGLE_TTS_")
    provider: ClassVar[str] = "google_tts"

    url: str = "texttospeech.googleapis.com:443"
    secret: str = "env:GOOGLE_ACCESS_TOKEN"  # noqa: S105 - where it is, not what it is
    voice: str = "en-US-Chirp3-HD-Achernar"
    """Voice, where the bot names none; it begins with its language."""


class GoogleUtterances:
    """How sentences are asked for."""

    def __init__(self, settings: GoogleSpeechSettings) -> None:
        self._voice = settings.voice

    def headers(self, key: str) -> dict[str, str]:
        """Return the metadata that lets us in: an API key, or an access token."""
        if not key:
            return {}
        own = key.startswith("AIza")
        return {"x-goog-api-key": key} if own else {"authorization": f"Bearer {key}"}

    def rate(self, request: SynthesisRequest) -> int:
        """Return the rate of the provider's sound: whatever we ask for."""
        return request.rate

    def ask(self, request: SynthesisRequest, text: str) -> tuple[str, Sequence[bytes]]:
        """Return the method, and what it is sent: the form first, then the words."""
        voice = request.voice or self._voice
        language = "-".join(voice.split("-")[:2])
        streaming = {
            "voice": {"language_code": language, "name": voice},
            "streaming_audio_config": {"audio_encoding": PCM, "sample_rate_hertz": request.rate},
        }
        return METHOD, [
            WIRE.packed("Request", streaming_config=streaming),
            WIRE.packed("Request", input={"text": text}),
        ]

    def sound(self, message: bytes) -> bytes:
        """Return the sound in an answer."""
        return bytes(WIRE.unpacked("Response", message).audio_content)


def engine(settings: GoogleSpeechSettings) -> GrpcSpeakingEngine:
    """Return the engine."""
    return GrpcSpeakingEngine(settings, GoogleUtterances(settings))


SETTINGS = GoogleSpeechSettings
