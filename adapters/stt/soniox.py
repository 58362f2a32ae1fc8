"""Soniox's real-time recognition: ``/transcribe-websocket``.

Messages: https://soniox.com/docs/api-reference/stt/websocket-api
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from adapters.providers import faults
from adapters.providers.faults import broken
from adapters.providers.http import bearer
from adapters.providers.listening import ListeningEndpoint, ListeningEngine, News
from adapters.providers.messages import obj, text

if TYPE_CHECKING:
    from adapters.providers.sockets import Frame, Upkeep
    from adapters.recognition import RecognitionRequest

_MARKS = ("<fin>", "<end>")
"""Tokens that are no words: all that was asked for is final; the speaker has ended."""


class SonioxSettings(ListeningEndpoint):
    """Prefix ``VOICEMESH_SONIOX_``."""

    model_config = SettingsConfigDict(env_prefix="VOICEMESH_SONIOX_")
    provider: ClassVar[str] = "soniox"

    url: str = "wss://stt-rt.soniox.com"
    secret: str = "env:SONIOX_API_KEY"  # noqa: S105 - where it is, not what it is
    model: str = "stt-rt-v5"
    """Model that listens."""
    # A connection wants its first message at once, and that is of an utterance.
    spares: int = Field(default=0, ge=0, le=1000)


class SonioxDialect:
    """How utterances are asked for."""

    upkeep: Upkeep | None = None

    def __init__(self, settings: SonioxSettings) -> None:
        self._model = settings.model

    def headers(self, key: str) -> dict[str, str]:
        """Return the headers that let us in."""
        return bearer(key)

    def place(self, request: RecognitionRequest) -> str:
        """Return the path of an utterance's connection."""
        return "/transcribe-websocket"

    def codec(self, request: RecognitionRequest) -> SonioxCodec:
        """Return the messages of a new connection."""
        config: dict[str, Any] = {
            "model": self._model,
            "audio_format": "pcm_s16le",
            "sample_rate": request.rate,
            "num_channels": 1,
            "language_hints": [request.language.partition("-")[0]],
            # Where the caller's turn ends is decided elsewhere.
            "enable_endpoint_detection": False,
        }
        if request.phrases:
            config["context"] = {"terms": list(request.phrases)}
        return SonioxCodec(config)


class SonioxCodec:
    """One connection's messages."""

    def __init__(self, config: dict[str, Any]) -> None:
        self._config = config
        self._final = self._changing = ""

    @property
    def text(self) -> str:
        """The words so far."""
        return self._final + self._changing

    def opening(self) -> list[Frame]:
        """Say what is to be recognised."""
        return [json.dumps(self._config)]

    def audio(self, sound: bytes) -> list[Frame]:
        """Return the sound; an empty message would mean the end."""
        return [sound] if sound else []

    def conclude(self) -> list[Frame]:
        """Ask for what is not final yet; answered with a token that is a mark."""
        return [json.dumps({"type": "finalize"})]

    def finish(self) -> list[Frame]:
        """End; answered with the rest, and then ``finished``."""
        return [""]

    def take(self, frame: Frame) -> News:
        """Take a message: tokens that are final are told once, the others again and again."""
        message = obj(frame)
        if code := message.get("error_code"):
            said = faults.text_of(message, "error_message")
            raise faults.refusal(code, said) if isinstance(code, int) else faults.complaint(said)
        tokens = message.get("tokens") or []
        try:
            told = [(text(one["text"], "token"), bool(one.get("is_final"))) for one in tokens]
        except (KeyError, TypeError, AttributeError) as error:
            raise broken("tokens of another form") from error
        settled = self._add(told)
        if message.get("finished"):
            return News.ENDED
        if settled:
            return News.SETTLED
        return News.WORDS if tokens else News.NOTHING

    def _add(self, tokens: list[tuple[str, bool]]) -> bool:
        words = [token for token in tokens if token[0] not in _MARKS]
        self._final += "".join(word for word, final in words if final)
        self._changing = "".join(word for word, final in words if not final)
        return ("<fin>", True) in tokens


def engine(settings: SonioxSettings) -> ListeningEngine:
    """Return the engine."""
    return ListeningEngine(settings, SonioxDialect(settings))


SETTINGS = SonioxSettings
