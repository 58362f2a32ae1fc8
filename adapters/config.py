"""Settings of an adapter process: which sense it serves, with which engines, and how much."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator
from pydantic_settings import NoDecode

from voicemesh.settings import ServiceSettings

Seconds = Annotated[float, Field(ge=0, le=60)]


class AdapterSettings(ServiceSettings):
    """One process serves one sense with one or more engines."""

    sense: Literal["stt", "llm", "tts"] = "stt"
    """What it does: hear, answer or speak."""
    engines: Annotated[tuple[str, ...], NoDecode] = ("scripted",)
    """Names of the engines it hosts, separated by commas."""
    providers: Path | None = None
    """YAML file with a section of settings for each provider; the environment wins over it."""
    residency: str = ""
    """Zone that no words may leave: only endpoints declared in it are used; empty: any."""

    stt_workers: int = Field(default=1, ge=1, le=16)
    """Final transcripts made at once; partial ones have a worker of their own."""
    stt_threads: int = Field(default=1, ge=1, le=16)
    """Threads that one final transcript may use."""
    stt_waiting: int = Field(default=6, ge=1, le=1000)
    """Final transcripts that may wait; while as many do, new utterances are refused."""
    tts_workers: int = Field(default=1, ge=1, le=16)
    """Sentences synthesised at once."""
    tts_waiting: int = Field(default=64, ge=1, le=1000)
    """Sentences that may wait; while as many do, new replies are refused."""

    script_stt_final: Seconds = 0.0
    """Scripted recognition: from a conclude to its transcript, seconds."""
    script_tts_first_audio: Seconds = 0.0
    """Scripted synthesis: from a sentence to its first audio, seconds."""
    script_llm_first_token: Seconds = 0.0
    """Scripted generation: to the first piece, seconds."""
    script_llm_token_rate: float = Field(default=0.0, ge=0, le=10000)
    """Scripted generation: tokens per second after the first; 0 gives them all at once."""

    @field_validator("engines", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        return tuple(name for part in value.split(",") if (name := part.strip()))

    @field_validator("engines")
    @classmethod
    def _not_empty(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value:
            raise ValueError("at least one engine")
        return value
