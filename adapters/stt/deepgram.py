"""Deepgram's live recognition, also self-hosted: ``/v1/listen``.

Messages: https://developers.deepgram.com/reference/speech-to-text/listen-streaming
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlencode

from pydantic_settings import SettingsConfigDict

from adapters.providers import faults
from adapters.providers.faults import broken
from adapters.providers.listening import ListeningEndpoint, ListeningEngine, News
from adapters.providers.messages import obj, text
from adapters.providers.sockets import Upkeep

if TYPE_CHECKING:
    from adapters.providers.sockets import Frame
    from adapters.recognition import RecognitionRequest

_NEW_VOCABULARY = ("nova-3", "flux")
"""Models that take likely words as ``keyterm``; older ones as ``keywords``."""


class DeepgramSettings(ListeningEndpoint):
    """Prefix ``VOICEMESH_DEEPGRAM_``."""

    model_config = SettingsConfigDict(env_prefix="VOICEMESH_DEEPGRAM_")
    provider: ClassVar[str] = "deepgram"

    url: str = "wss://api.deepgram.com"
    secret: str = "env:DEEPGRAM_API_KEY"  # noqa: S105 - where it is, not what it is
    model: str = "nova-3"
    """Model that listens."""


class DeepgramDialect:
    """How utterances are asked for."""

    # Without sound or this, the provider closes after ten seconds.
    upkeep: Upkeep | None = Upkeep(json.dumps({"type": "KeepAlive"}), 4.0)

    def __init__(self, settings: DeepgramSettings) -> None:
        self._model = settings.model

    def headers(self, key: str) -> dict[str, str]:
        """Return the headers that let us in."""
        return {"Authorization": f"Token {key}"} if key else {}

    def place(self, request: RecognitionRequest) -> str:
        """Return path and query of an utterance's connection."""
        vocabulary = "keyterm" if self._model.startswith(_NEW_VOCABULARY) else "keywords"
        query = [
            ("model", self._model),
            ("language", request.language),
            ("encoding", "linear16"),
            ("sample_rate", str(request.rate)),
            ("channels", "1"),
            ("interim_results", "true" if request.partials else "false"),
            ("punctuate", "true"),
            # Where the caller's turn ends is decided elsewhere.
            ("endpointing", "false"),
            *((vocabulary, phrase) for phrase in request.phrases),
        ]
        return f"/v1/listen?{urlencode(query)}"

    def codec(self, request: RecognitionRequest) -> DeepgramCodec:
        """Return the messages of a new connection."""
        return DeepgramCodec()


class DeepgramCodec:
    """One connection's messages."""

    def __init__(self) -> None:
        self._final: list[str] = []
        self._changing = ""

    @property
    def text(self) -> str:
        """The words so far."""
        return " ".join(part for part in (*self._final, self._changing) if part)

    def opening(self) -> list[Frame]:
        """Nothing: the address says it all."""
        return []

    def audio(self, sound: bytes) -> list[Frame]:
        """Return the sound; an empty message would mean the end."""
        return [sound] if sound else []

    def conclude(self) -> list[Frame]:
        """Ask for what is not final yet."""
        return [json.dumps({"type": "Finalize"})]

    def finish(self) -> list[Frame]:
        """End; answered with the rest, and then with ``Metadata``."""
        return [json.dumps({"type": "CloseStream"})]

    def take(self, frame: Frame) -> News:
        """Take a message; others than these tell nothing that is needed."""
        message = obj(frame)
        match message.get("type"):
            case "Results":
                return self._results(message)
            case "Metadata":
                return News.ENDED
            case "Error":
                said = faults.text_of(message, "description", "message")
                raise faults.complaint(said, code=message.get("variant", ""))
            case _:
                return News.NOTHING

    def _results(self, message: dict[str, Any]) -> News:
        try:
            words = text(message["channel"]["alternatives"][0]["transcript"], "transcript")
        except (KeyError, IndexError, TypeError) as error:
            raise broken("results of another form") from error
        if message.get("is_final"):
            self._final.append(words)
            self._changing = ""
        else:
            self._changing = words
        return News.SETTLED if message.get("from_finalize") else News.WORDS


def engine(settings: DeepgramSettings) -> ListeningEngine:
    """Return the engine."""
    return ListeningEngine(settings, DeepgramDialect(settings))


SETTINGS = DeepgramSettings
