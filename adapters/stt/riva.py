"""NVIDIA Riva's streaming recognition, and NIMs that speak the same: gRPC.

Messages: ``riva_asr.proto`` of https://docs.nvidia.com/deeplearning/riva (service
``nvidia.riva.asr.RivaSpeechRecognition``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from adapters.providers.calls import END, Calls
from adapters.providers.http import bearer
from adapters.providers.listening import ListeningEndpoint, ListeningEngine, News
from adapters.providers.wire import Wire

if TYPE_CHECKING:
    from adapters.providers.sockets import Frame, Upkeep
    from adapters.recognition import RecognitionRequest

METHOD = "/nvidia.riva.asr.RivaSpeechRecognition/StreamingRecognize"
LINEAR_PCM = 1
RESULTS = {
    "Alternative": {"transcript": (1, "string"), "confidence": (2, "float")},
    "Result": {"alternatives": (1, "*Alternative"), "is_final": (2, "bool")},
}
WIRE = Wire(
    "voicemesh.riva.asr",
    {
        "Context": {"phrases": (1, "*string"), "boost": (4, "float")},
        "Config": {
            "encoding": (1, "int32"),
            "sample_rate_hertz": (2, "int32"),
            "language_code": (3, "string"),
            "max_alternatives": (4, "int32"),
            "speech_contexts": (6, "*Context"),
            "audio_channel_count": (7, "int32"),
            "enable_automatic_punctuation": (11, "bool"),
            "model": (13, "string"),
        },
        "Streaming": {"config": (1, "Config"), "interim_results": (2, "bool")},
        "Request": {"streaming_config": (1, "Streaming"), "audio_content": (2, "bytes")},
        **RESULTS,
        "Response": {"results": (1, "*Result")},
    },
)
PHRASE_BOOST = 20.0
MAX_AUDIO = 16 * 1024
"""Bytes of sound in a message; Google takes 25 KB."""


class RivaRecognitionSettings(ListeningEndpoint):
    """Prefix ``VOICEMESH_RIVA_STT_``."""

    model_config = SettingsConfigDict(env_prefix="VOICEMESH_RIVA_STT_")
    provider: ClassVar[str] = "riva_stt"

    url: str = "grpc://127.0.0.1:50051"
    secret: str = ""
    model: str = ""
    """Model that listens; empty: the server's own for the language."""
    # Words become final when nothing more is sent, so that is said at once.
    settle_seconds: float = Field(default=0.01, gt=0, le=30)


class RivaDialect:
    """How utterances are asked for."""

    upkeep: Upkeep | None = None

    def __init__(self, settings: RivaRecognitionSettings) -> None:
        self._model = settings.model

    def headers(self, key: str) -> dict[str, str]:
        """Return the metadata that lets us in."""
        return {name.lower(): value for name, value in bearer(key).items()}

    def place(self, request: RecognitionRequest) -> str:
        """Return the method."""
        return METHOD

    def codec(self, request: RecognitionRequest) -> StreamCodec:
        """Return the messages of a new call."""
        config: dict[str, Any] = {
            "encoding": LINEAR_PCM,
            "sample_rate_hertz": request.rate,
            "language_code": _full(request.language),
            "max_alternatives": 1,
            "audio_channel_count": 1,
            "enable_automatic_punctuation": True,
            "model": self._model,
        }
        if request.phrases:
            config["speech_contexts"] = [{"phrases": request.phrases, "boost": PHRASE_BOOST}]
        streaming = {"config": config, "interim_results": request.partials}
        first = WIRE.packed("Request", streaming_config=streaming)
        return StreamCodec(WIRE, first, "audio_content")


def _full(language: str) -> str:
    """Return the language with a country: Riva's models are named so."""
    return "en-US" if language == "en" else language


class StreamCodec:
    """One call's messages, where results are final and changing transcripts of parts in a row."""

    def __init__(self, wire: Wire, first: bytes, audio_field: str) -> None:
        self._wire = wire
        self._first = first
        self._audio_field = audio_field
        self._final: list[str] = []
        self._changing = ""

    @property
    def text(self) -> str:
        """The words so far."""
        return " ".join(part for part in (*self._final, self._changing) if part)

    def opening(self) -> list[Frame]:
        """Say what is to be recognised."""
        return [self._first]

    def audio(self, sound: bytes) -> list[Frame]:
        """Return the sound, in messages that are not too long for anybody."""
        cuts = range(0, len(sound), MAX_AUDIO)
        parts = (sound[cut : cut + MAX_AUDIO] for cut in cuts)
        return [self._wire.packed("Request", **{self._audio_field: part}) for part in parts]

    def conclude(self) -> list[Frame]:
        """Nothing asks for final words but the end."""
        return []

    def finish(self) -> list[Frame]:
        """Half-close; answered with the rest, and then the end."""
        return [END]

    def take(self, frame: Frame) -> News:
        """Take a message, or the end."""
        if isinstance(frame, str):
            return News.ENDED
        results = self._wire.unpacked("Response", frame).results
        changing = []
        for result in results:
            words = result.alternatives[0].transcript.strip() if result.alternatives else ""
            if result.is_final:
                self._final.append(words)
            else:
                changing.append(words)
        if results:
            self._changing = " ".join(changing)
        return News.WORDS if results else News.NOTHING


def engine(settings: RivaRecognitionSettings) -> ListeningEngine:
    """Return the engine."""
    dialect = RivaDialect(settings)
    return ListeningEngine(settings, dialect, Calls(settings, dialect.headers))


SETTINGS = RivaRecognitionSettings
