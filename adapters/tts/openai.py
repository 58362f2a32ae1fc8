"""Any server with OpenAI's ``/audio/speech``: OpenAI, and many that are self-hosted.

Request: https://platform.openai.com/docs/api-reference/audio/createSpeech
The sound is asked for as bare PCM, which is 24 kHz.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import BeforeValidator
from pydantic_settings import SettingsConfigDict

from adapters.providers.endpoint import Endpoint
from adapters.providers.http import bearer
from adapters.providers.speaking import HttpSpeakingEngine

if TYPE_CHECKING:
    from adapters.synthesis import SynthesisRequest


def _number(value: object) -> object:
    """Take a number as the environment has it."""
    return int(value) if isinstance(value, str) and value.isdigit() else value


class OpenAiSpeechSettings(Endpoint):
    """Prefix ``VOICEMESH_OPENAI_TTS_``."""

    model_config = SettingsConfigDict(env_prefix="VOICEMESH_OPENAI_TTS_")
    provider: ClassVar[str] = "openai_tts"

    url: str = "https://api.openai.com/v1"
    secret: str = "env:OPENAI_API_KEY"  # noqa: S105 - where it is, not what it is
    model: str = "gpt-4o-mini-tts"
    """Model that speaks."""
    voice: str = "alloy"
    """Voice, where the bot names none."""
    rate: Annotated[Literal[8000, 16000, 24000, 48000], BeforeValidator(_number)] = 24000
    """Samples per second of the server's PCM; OpenAI's is 24000."""


class OpenAiWords:
    """How sentences are asked for."""

    def __init__(self, settings: OpenAiSpeechSettings) -> None:
        self._settings = settings

    def headers(self, key: str) -> dict[str, str]:
        """Return the headers that let us in."""
        return bearer(key)

    def rate(self, request: SynthesisRequest) -> int:
        """Return the rate of the server's sound."""
        return self._settings.rate

    def ask(self, request: SynthesisRequest, text: str) -> tuple[str, dict[str, object]]:
        """Return path and JSON of the request."""
        return "audio/speech", {
            "model": self._settings.model,
            "voice": request.voice or self._settings.voice,
            "input": text,
            "response_format": "pcm",
        }


def engine(settings: OpenAiSpeechSettings) -> HttpSpeakingEngine:
    """Return the engine."""
    return HttpSpeakingEngine(settings, OpenAiWords(settings))


SETTINGS = OpenAiSpeechSettings
