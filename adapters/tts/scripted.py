"""Speaks so that the scripted recogniser understands every word; costs next to nothing."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from voicemesh.audio import tonetext
from voicemesh.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from adapters.synthesis import SynthesisRequest
    from voicemesh.audio import Samples

VOICE = "scripted"


class ScriptedEngine:
    """Gives each sentence as `tonetext`, whole, after a fixed time."""

    def __init__(self, first_audio_seconds: float) -> None:
        self._delay = first_audio_seconds

    async def start(self) -> None:
        """Make the voice, which the first sentence would have to wait for."""
        tonetext.encode("warm up")

    def synthesize(self, request: SynthesisRequest) -> ScriptedSynthesis:
        """Begin a reply."""
        if request.voice not in ("", VOICE):
            raise NotFound(
                f"config.voice: no voice {request.voice!r}, only {VOICE!r}",
                reason="VOICE_NOT_FOUND",
                field="config.voice",
                voice=request.voice,
            )
        return ScriptedSynthesis(self._delay, request.rate)

    async def stop(self) -> None:
        """Nothing is held."""


class ScriptedSynthesis:
    """One reply."""

    def __init__(self, delay: float, rate: int) -> None:
        self._delay = delay
        self._rate = rate

    async def speak(self, text: str) -> AsyncIterator[Samples]:
        """Give the whole sentence at once."""
        if self._delay:
            await asyncio.sleep(self._delay)
        yield tonetext.encode(text, self._rate)

    def close(self) -> None:
        """Nothing is held."""
