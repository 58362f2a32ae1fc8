"""AssemblyAI's streaming recognition, third version: ``/v3/ws``.

Messages: https://www.assemblyai.com/docs/streaming/universal-streaming/message-sequence
A session is billed while its connection is open, so none is opened ahead unless that is asked for.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlencode

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from adapters.providers import faults
from adapters.providers.faults import broken
from adapters.providers.listening import ListeningEndpoint, ListeningEngine, News
from adapters.providers.messages import obj, text

if TYPE_CHECKING:
    from adapters.providers.sockets import Frame, Upkeep
    from adapters.recognition import RecognitionRequest

LEAST_SECONDS, MOST_SECONDS = 0.05, 1.0
"""Sound in one message."""
TURN_SILENCE_MS = 2000
"""Silence after which the provider ends a turn all the same; an utterance ends well before."""
_DENIED, _FULL = (1008, 4001, 4002, 4003), (4029, 4102)


class AssemblyAiSettings(ListeningEndpoint):
    """Prefix ``VOICEMESH_ASSEMBLYAI_``."""

    model_config = SettingsConfigDict(env_prefix="VOICEMESH_ASSEMBLYAI_")
    provider: ClassVar[str] = "assemblyai"

    url: str = "wss://streaming.assemblyai.com"
    secret: str = "env:ASSEMBLYAI_API_KEY"  # noqa: S105 - where it is, not what it is
    model: str = "universal-streaming-multilingual"
    """Speech model."""
    spares: int = Field(default=0, ge=0, le=1000)
    """Connections kept open ahead of need; each is billed while it is open."""


class AssemblyAiDialect:
    """How utterances are asked for."""

    upkeep: Upkeep | None = None

    def __init__(self, settings: AssemblyAiSettings) -> None:
        self._model = settings.model

    def headers(self, key: str) -> dict[str, str]:
        """Return the headers that let us in."""
        return {"Authorization": key} if key else {}

    def place(self, request: RecognitionRequest) -> str:
        """Return path and query of an utterance's connection."""
        query = {
            "speech_model": self._model,
            "sample_rate": str(request.rate),
            "encoding": "pcm_s16le",
            "format_turns": "false",
            # Where the caller's turn ends is decided elsewhere.
            "end_of_turn_confidence_threshold": "1",
            "max_turn_silence": str(TURN_SILENCE_MS),
        }
        if request.phrases:
            query["keyterms_prompt"] = json.dumps(request.phrases)
        return f"/v3/ws?{urlencode(query)}"

    def codec(self, request: RecognitionRequest) -> AssemblyAiCodec:
        """Return the messages of a new connection."""
        return AssemblyAiCodec(request.rate)


class AssemblyAiCodec:
    """One connection's messages."""

    def __init__(self, rate: int) -> None:
        self._least = int(LEAST_SECONDS * rate) * 2
        self._most = int(MOST_SECONDS * rate) * 2
        self._held = b""
        self._turns: dict[int, str] = {}

    @property
    def text(self) -> str:
        """The words so far: a caller who pauses may take several turns."""
        return " ".join(self._turns[turn] for turn in sorted(self._turns) if self._turns[turn])

    def opening(self) -> list[Frame]:
        """Nothing: the address says it all."""
        return []

    def audio(self, sound: bytes) -> list[Frame]:
        """Return messages of lengths that are taken; what is too short waits for more."""
        held = self._held + sound
        if len(held) < self._least:
            self._held = held
            return []
        frames: list[Frame] = []
        # The last one is never too short: what is left over goes along with the one before.
        while len(held) >= self._most + self._least:
            frames.append(held[: self._most])
            held = held[self._most :]
        half = len(held) // 4 * 2 if len(held) > self._most else len(held)
        frames += [part for part in (held[:half], held[half:]) if part]
        self._held = b""
        return frames

    def _rest(self) -> list[Frame]:
        """Return what is held back, with silence behind it up to the least length."""
        held, self._held = self._held, b""
        return [held.ljust(self._least, b"\0")] if held else []

    def conclude(self) -> list[Frame]:
        """End the turn."""
        return [*self._rest(), json.dumps({"type": "ForceEndpoint"})]

    def finish(self) -> list[Frame]:
        """End; answered with the rest, and then with ``Termination``."""
        return [*self._rest(), json.dumps({"type": "Terminate"})]

    def take(self, frame: Frame) -> News:
        """Take a message; others than these tell nothing that is needed."""
        message = obj(frame)
        if "error" in message:
            raise _failure(message)
        match message.get("type"):
            case "Turn":
                return self._turn(message)
            case "Termination":
                return News.ENDED
            case _:
                return News.NOTHING

    def _turn(self, message: dict[str, Any]) -> News:
        turn = message.get("turn_order")
        if not isinstance(turn, int):
            raise broken("a turn without its number")
        self._turns[turn] = text(message.get("transcript"), "transcript")
        return News.SETTLED if message.get("end_of_turn") else News.WORDS


def _failure(message: dict[str, Any]) -> Exception:
    said, code = str(message["error"]), message.get("error_code", "")
    if code in _DENIED:
        return faults.refusal(401, said)
    if code in _FULL:
        return faults.refusal(429, said)
    return faults.complaint(said, code=code)


def engine(settings: AssemblyAiSettings) -> ListeningEngine:
    """Return the engine."""
    return ListeningEngine(settings, AssemblyAiDialect(settings))


SETTINGS = AssemblyAiSettings
