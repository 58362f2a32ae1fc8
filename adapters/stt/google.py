"""Google Cloud Speech-to-Text, version 2: gRPC.

Messages: https://cloud.google.com/speech-to-text/v2/docs/reference/rpc/google.cloud.speech.v2
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from adapters.providers.calls import Calls
from adapters.providers.listening import ListeningEndpoint, ListeningEngine
from adapters.providers.wire import Wire
from adapters.stt.riva import RESULTS, StreamCodec

if TYPE_CHECKING:
    from adapters.providers.sockets import Upkeep
    from adapters.recognition import RecognitionRequest

METHOD = "/google.cloud.speech.v2.Speech/StreamingRecognize"
LINEAR16 = 1
WIRE = Wire(
    "voicemesh.google.speech",
    {
        "Phrase": {"value": (1, "string"), "boost": (2, "float")},
        "PhraseSet": {"phrases": (3, "*Phrase")},
        "AdaptationPhraseSet": {"inline_phrase_set": (2, "PhraseSet")},
        "Adaptation": {"phrase_sets": (1, "*AdaptationPhraseSet")},
        "Decoding": {
            "encoding": (1, "int32"),
            "sample_rate_hertz": (2, "int32"),
            "audio_channel_count": (3, "int32"),
        },
        "Features": {
            "enable_automatic_punctuation": (4, "bool"),
            "max_alternatives": (16, "int32"),
        },
        "Config": {
            "features": (2, "Features"),
            "adaptation": (6, "Adaptation"),
            "explicit_decoding_config": (8, "Decoding"),
            "model": (9, "string"),
            "language_codes": (10, "*string"),
        },
        "StreamingFeatures": {"interim_results": (2, "bool")},
        "Streaming": {"config": (1, "Config"), "streaming_features": (2, "StreamingFeatures")},
        "Request": {
            "recognizer": (3, "string"),
            "audio": (5, "bytes"),
            "streaming_config": (6, "Streaming"),
        },
        **RESULTS,
        "Response": {"results": (6, "*Result")},
    },
)
PHRASE_BOOST = 10.0


class GoogleRecognitionSettings(ListeningEndpoint):
    """Prefix ``VOICEMESH_GOOGLE_STT_``."""

    model_config = SettingsConfigDict(env_prefix="VOICEMESH_GOOGLE_STT_")
    provider: ClassVar[str] = "google_stt"

    url: str = "speech.googleapis.com:443"
    secret: str = "env:GOOGLE_ACCESS_TOKEN"  # noqa: S105 - where it is, not what it is
    project: str = ""
    """Google Cloud project that pays."""
    location: str = "global"
    """Where it is recognised; one of a region wants that region's ``url``, too."""
    model: str = "latest_short"
    """Model that listens."""
    # Words become final when nothing more is sent, so that is said at once.
    settle_seconds: float = Field(default=0.01, gt=0, le=30)


def headers(key: str) -> dict[str, str]:
    """Return the metadata that lets us in: an API key, or an access token."""
    if not key:
        return {}
    return {"x-goog-api-key": key} if key.startswith("AIza") else {"authorization": f"Bearer {key}"}


class GoogleDialect:
    """How utterances are asked for."""

    upkeep: Upkeep | None = None

    def __init__(self, settings: GoogleRecognitionSettings) -> None:
        self._settings = settings
        self.headers = headers

    def place(self, request: RecognitionRequest) -> str:
        """Return the method."""
        return METHOD

    def codec(self, request: RecognitionRequest) -> StreamCodec:
        """Return the messages of a new call."""
        own = self._settings
        decoding = {
            "encoding": LINEAR16,
            "sample_rate_hertz": request.rate,
            "audio_channel_count": 1,
        }
        config: dict[str, Any] = {
            "explicit_decoding_config": decoding,
            "features": {"enable_automatic_punctuation": True, "max_alternatives": 1},
            "language_codes": ["en-US" if request.language == "en" else request.language],
            "model": own.model,
        }
        if request.phrases:
            phrases = [{"value": phrase, "boost": PHRASE_BOOST} for phrase in request.phrases]
            inline = {"inline_phrase_set": {"phrases": phrases}}
            config["adaptation"] = {"phrase_sets": [inline]}
        first = WIRE.packed(
            "Request",
            recognizer=f"projects/{own.project}/locations/{own.location}/recognizers/_",
            streaming_config={
                "config": config,
                "streaming_features": {"interim_results": request.partials},
            },
        )
        return StreamCodec(WIRE, first, "audio")


def engine(settings: GoogleRecognitionSettings) -> ListeningEngine:
    """Return the engine."""
    return ListeningEngine(settings, GoogleDialect(settings), Calls(settings, headers))


SETTINGS = GoogleRecognitionSettings
