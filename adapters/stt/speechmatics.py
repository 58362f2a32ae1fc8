"""Speechmatics' real-time recognition, also on premises: ``/v2``.

Messages: https://docs.speechmatics.com/api-ref/realtime-transcription-websocket
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

_STATUS = {"not_authorised": 401, "insufficient_funds": 402, "not_allowed": 403}
_FULL = ("quota_exceeded", "timelimit_exceeded", "job_error")


class SpeechmaticsSettings(ListeningEndpoint):
    """Prefix ``VOICEMESH_SPEECHMATICS_``."""

    model_config = SettingsConfigDict(env_prefix="VOICEMESH_SPEECHMATICS_")
    provider: ClassVar[str] = "speechmatics"

    url: str = "wss://eu2.rt.speechmatics.com"
    secret: str = "env:SPEECHMATICS_API_KEY"  # noqa: S105 - where it is, not what it is
    operating_point: str = "enhanced"
    """Model that listens: enhanced or standard."""
    max_delay: float = Field(default=1.0, ge=0.7, le=4.0)
    """How long the provider may think over a word before it is final, seconds."""
    # A connection wants its first message at once, and that is of an utterance.
    spares: int = Field(default=0, ge=0, le=1000)


class SpeechmaticsDialect:
    """How utterances are asked for."""

    upkeep: Upkeep | None = None

    def __init__(self, settings: SpeechmaticsSettings) -> None:
        self._settings = settings

    def headers(self, key: str) -> dict[str, str]:
        """Return the headers that let us in."""
        return bearer(key)

    def place(self, request: RecognitionRequest) -> str:
        """Return the path of an utterance's connection."""
        return "/v2"

    def codec(self, request: RecognitionRequest) -> SpeechmaticsCodec:
        """Return the messages of a new connection."""
        config: dict[str, Any] = {
            "language": request.language.partition("-")[0],
            "operating_point": self._settings.operating_point,
            "enable_partials": request.partials,
            "max_delay": self._settings.max_delay,
        }
        if request.phrases:
            config["additional_vocab"] = [{"content": phrase} for phrase in request.phrases]
        return SpeechmaticsCodec(request.rate, config)


class SpeechmaticsCodec:
    """One connection's messages."""

    def __init__(self, rate: int, config: dict[str, Any]) -> None:
        self._rate = rate
        self._config = config
        self._sent = self._bytes = 0
        self._final: list[str] = []
        self._changing = ""

    @property
    def text(self) -> str:
        """The words so far."""
        return " ".join(part for part in (*self._final, self._changing) if part)

    def opening(self) -> list[Frame]:
        """Say what is to be recognised."""
        form = {"type": "raw", "encoding": "pcm_s16le", "sample_rate": self._rate}
        start = {"message": "StartRecognition", "audio_format": form}
        return [json.dumps(start | {"transcription_config": self._config})]

    def audio(self, sound: bytes) -> list[Frame]:
        """Return the sound; the provider numbers these messages from 1."""
        if not sound:
            return []
        self._sent += 1
        self._bytes += len(sound)
        return [sound]

    def conclude(self) -> list[Frame]:
        """Ask for what is not final yet; answered with ``EndOfUtterance``."""
        seconds = self._bytes / 2 / self._rate
        return [json.dumps({"message": "ForceEndOfUtterance", "timestamp": round(seconds, 3)})]

    def finish(self) -> list[Frame]:
        """End; answered with the rest, and then ``EndOfTranscript``."""
        return [json.dumps({"message": "EndOfStream", "last_seq_no": self._sent})]

    def take(self, frame: Frame) -> News:
        """Take a message; others than these tell nothing that is needed."""
        message = obj(frame)
        match message.get("message"):
            case "AddTranscript":
                self._final.append(_words(message))
                self._changing = ""
                return News.WORDS
            case "AddPartialTranscript":
                self._changing = _words(message)
                return News.WORDS
            case "EndOfUtterance":
                return News.SETTLED
            case "EndOfTranscript":
                return News.ENDED
            case "Error":
                raise _failure(message)
            case _:
                return News.NOTHING


def _words(message: dict[str, Any]) -> str:
    try:
        return text(message["metadata"]["transcript"], "transcript").strip()
    except (KeyError, TypeError) as error:
        raise broken("a transcript of another form") from error


def _failure(message: dict[str, Any]) -> Exception:
    kind, said = str(message.get("type", "")), faults.text_of(message, "reason", "type")
    if status := 429 if kind in _FULL else _STATUS.get(kind):
        return faults.refusal(status, said)
    return faults.complaint(said, code=kind)


def engine(settings: SpeechmaticsSettings) -> ListeningEngine:
    """Return the engine."""
    return ListeningEngine(settings, SpeechmaticsDialect(settings))


SETTINGS = SpeechmaticsSettings
