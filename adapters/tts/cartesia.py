"""Cartesia's streaming synthesis: ``/tts/websocket``.

Messages: https://docs.cartesia.ai/api-reference/tts/websocket
A connection speaks any number of sentences, each in a context of its own.
"""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic_settings import SettingsConfigDict

from adapters.providers import faults
from adapters.providers.endpoint import SocketEndpoint
from adapters.providers.http import bearer
from adapters.providers.messages import obj, sound
from adapters.providers.speaking import SpeakingEngine
from voicemesh.errors import InvalidInput

if TYPE_CHECKING:
    from adapters.providers.sockets import Frame, Upkeep
    from adapters.synthesis import SynthesisRequest

API = "2026-08-14"
"""Date of the interface that these messages follow."""


class CartesiaSettings(SocketEndpoint):
    """Prefix ``VOICEMESH_CARTESIA_``."""

    model_config = SettingsConfigDict(env_prefix="VOICEMESH_CARTESIA_")
    provider: ClassVar[str] = "cartesia"

    url: str = "wss://api.cartesia.ai"
    secret: str = "env:CARTESIA_API_KEY"  # noqa: S105 - where it is, not what it is
    model: str = "sonic-3"
    """Model that speaks."""
    voice: str = ""
    """Identity of the voice, where the bot names none."""


class CartesiaDialect:
    """How sentences are asked for."""

    upkeep: Upkeep | None = None
    reusable = True

    def __init__(self, settings: CartesiaSettings) -> None:
        self._settings = settings
        self._numbers = itertools.count(1)

    def headers(self, key: str) -> dict[str, str]:
        """Return the headers that let us in."""
        return {"Cartesia-Version": API, **bearer(key)}

    def rate(self, request: SynthesisRequest) -> int:
        """Return the request's own: the provider speaks at both rates of the mesh."""
        return request.rate

    def place(self, request: SynthesisRequest) -> str:
        """Return the path, which is the same for all sentences."""
        return "/tts/websocket"

    def codec(self, request: SynthesisRequest, text: str) -> CartesiaCodec:
        """Return the messages of a sentence."""
        voice = request.voice or self._settings.voice
        if not voice:
            raise InvalidInput("config.voice", "is empty, and VOICEMESH_CARTESIA_VOICE names none")
        asked = {
            "model_id": self._settings.model,
            "transcript": text,
            "voice": {"mode": "id", "id": voice},
            "language": request.language.partition("-")[0],
            "context_id": f"sentence-{next(self._numbers)}",
            "output_format": {
                "container": "raw",
                "encoding": "pcm_s16le",
                "sample_rate": request.rate,
            },
            "continue": False,
        }
        return CartesiaCodec(asked)


class CartesiaCodec:
    """One sentence's messages."""

    def __init__(self, asked: dict[str, Any]) -> None:
        self.done = False
        self._asked = asked
        self._context = asked["context_id"]

    def begin(self) -> list[Frame]:
        """Return the sentence."""
        return [json.dumps(self._asked)]

    def take(self, frame: Frame) -> bytes:
        """Return the sound in a message; others than these tell nothing that is needed."""
        message = obj(frame)
        if message.get("type") == "error":
            raise _failure(message)
        if message.get("context_id") != self._context:
            return b""
        if message.get("type") == "done":
            self.done = True
        if message.get("type") != "chunk":
            return b""
        return sound(message.get("data"))

    def cancel(self) -> list[Frame]:
        """Stop the sentence."""
        return [json.dumps({"context_id": self._context, "cancel": True})]


def _failure(message: dict[str, Any]) -> Exception:
    said = faults.text_of(message, "message", "error", "title")
    status = message.get("status_code")
    if isinstance(status, int) and status >= 400:
        return faults.refusal(status, said)
    return faults.complaint(said, code=message.get("error_code", ""))


def engine(settings: CartesiaSettings) -> SpeakingEngine:
    """Return the engine."""
    return SpeakingEngine(settings, CartesiaDialect(settings))


SETTINGS = CartesiaSettings
