"""ElevenLabs' streaming synthesis: ``/v1/text-to-speech/{voice}/stream-input``.

Messages: https://elevenlabs.io/docs/api-reference/websocket
A connection takes one sentence: the provider closes it behind the last sound.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import quote, urlencode

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from adapters.providers import faults
from adapters.providers.endpoint import SocketEndpoint
from adapters.providers.messages import obj, sound
from adapters.providers.speaking import SpeakingEngine
from voicemesh.errors import InvalidInput

if TYPE_CHECKING:
    from adapters.providers.sockets import Frame, Upkeep
    from adapters.synthesis import SynthesisRequest

INACTIVITY_SECONDS = 180
"""How long the provider lets a connection wait for its sentence: the most that it offers."""


class ElevenLabsSettings(SocketEndpoint):
    """Prefix ``VOICEMESH_ELEVENLABS_``."""

    model_config = SettingsConfigDict(env_prefix="VOICEMESH_ELEVENLABS_")
    provider: ClassVar[str] = "elevenlabs"

    url: str = "wss://api.elevenlabs.io"
    secret: str = "env:ELEVENLABS_API_KEY"  # noqa: S105 - where it is, not what it is
    model: str = "eleven_flash_v2_5"
    """Model that speaks."""
    voice: str = ""
    """Identity of the voice, where the bot names none."""
    spare_seconds: float = Field(default=60.0, gt=0, le=150)
    """How long a connection waits to be needed before it is closed."""


class ElevenLabsDialect:
    """How sentences are asked for."""

    upkeep: Upkeep | None = None
    reusable = False

    def __init__(self, settings: ElevenLabsSettings) -> None:
        self._settings = settings

    def headers(self, key: str) -> dict[str, str]:
        """Return the headers that let us in."""
        return {"xi-api-key": key} if key else {}

    def rate(self, request: SynthesisRequest) -> int:
        """Return the request's own: the provider speaks at both rates of the mesh."""
        return request.rate

    def place(self, request: SynthesisRequest) -> str:
        """Return path and query of the connection."""
        voice = request.voice or self._settings.voice
        if not voice:
            raise InvalidInput(
                "config.voice", "is empty, and VOICEMESH_ELEVENLABS_VOICE names none"
            )
        query = {
            "model_id": self._settings.model,
            "output_format": f"pcm_{request.rate}",
            "inactivity_timeout": str(INACTIVITY_SECONDS),
            # A sentence comes whole, so nothing has to be collected first.
            "auto_mode": "true",
        }
        if self._settings.model.endswith("_v2_5"):
            query["language_code"] = request.language.partition("-")[0]
        return f"/v1/text-to-speech/{quote(voice, safe='')}/stream-input?{urlencode(query)}"

    def codec(self, request: SynthesisRequest, text: str) -> ElevenLabsCodec:
        """Return the messages of a sentence."""
        return ElevenLabsCodec(text)


class ElevenLabsCodec:
    """One sentence's messages."""

    def __init__(self, text: str) -> None:
        self.done = False
        self._text = text

    def begin(self) -> list[Frame]:
        """Return the beginning, the words, and that there are no more."""
        return [json.dumps({"text": words}) for words in (" ", self._text.strip() + " ", "")]

    def take(self, frame: Frame) -> bytes:
        """Return the sound in a message; the last one may have none."""
        message = obj(frame)
        if message.get("error") or (message.get("message") and "audio" not in message):
            raise _failure(message)
        self.done = bool(message.get("isFinal"))
        return sound(message["audio"]) if message.get("audio") else b""

    def cancel(self) -> list[Frame]:
        """Nothing: a closed connection stops the sentence."""
        return []


def _failure(message: dict[str, Any]) -> Exception:
    said = faults.text_of(message, "message", "error")
    code = message.get("code")
    kind = faults.text_of(message, "error")
    if kind in ("invalid_api_key", "missing_permissions", "quota_exceeded"):
        return faults.refusal(401 if kind != "quota_exceeded" else 402, said)
    return faults.complaint(said, code=kind or code)


def engine(settings: ElevenLabsSettings) -> SpeakingEngine:
    """Return the engine."""
    return SpeakingEngine(settings, ElevenLabsDialect(settings))


SETTINGS = ElevenLabsSettings
