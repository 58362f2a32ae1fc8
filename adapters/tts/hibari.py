"""The voice of the hibari-tts package, on this machine."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from adapters.tts.cache import SentenceCache
from adapters.tts.voice import Voice
from adapters.workers import Workers
from voicemesh.audio import MESH_RATES
from voicemesh.errors import MissingModel, NotFound, Refused

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from adapters.config import AdapterSettings
    from adapters.synthesis import SynthesisRequest
    from voicemesh.audio import Samples


WARM_UP = "Dr. Quorzy paid $49.99 at 3:30 PM on May 5th, 2026, and asked whether 80337 was right."
"""Makes the rules for numbers, names and unknown words load what they need."""


class HibariEngine:
    """Speaks for all calls of the process, with one set of weights and a few threads."""

    def __init__(self, settings: AdapterSettings) -> None:
        self.workers = Workers("tts", settings.tts_workers)
        self.cache = SentenceCache()
        self._limit = settings.tts_waiting
        self._voices: dict[str, Voice] = {}
        self._default = ""

    async def start(self) -> None:
        """Load every voice that is on this machine; speak once."""
        await asyncio.to_thread(self._load)

    def _load(self) -> None:
        try:
            from hibari import Hibari
            from hibari.voices import DEFAULT, VOICES, voice_path
        except ImportError as error:
            raise MissingModel("hibari-tts", "hibari") from error
        self._default = DEFAULT
        for name in VOICES:
            try:
                path = Path(voice_path(name, download_missing=False))
            except FileNotFoundError:
                continue
            voice = Voice(name, Hibari(name, model=str(path), threads=1))
            for clause in voice.clauses(WARM_UP):
                for rate in MESH_RATES:
                    voice.sound(clause, rate)
            self._voices[name] = voice

    def synthesize(self, request: SynthesisRequest) -> HibariSynthesis:
        """Begin a reply."""
        name = request.voice or self._default
        voice = self._voices.get(name)
        if voice is None:
            known = ", ".join(self._voices)
            raise NotFound(
                f"config.voice: no voice {name!r} here, only {known}",
                reason="VOICE_NOT_FOUND",
                field="config.voice",
                voice=name,
                known=known,
            )
        if self.workers.waiting >= self._limit:
            raise Refused(f"{self._limit} sentences are waiting already", limit=self._limit)
        return HibariSynthesis(self, voice, request.rate)

    async def stop(self) -> None:
        """Let go of the voices."""
        self.workers.stop()
        self._voices.clear()


class HibariSynthesis:
    """One reply."""

    def __init__(self, engine: HibariEngine, voice: Voice, rate: int) -> None:
        self._engine = engine
        self._voice = voice
        self._rate = rate

    async def speak(self, text: str) -> AsyncIterator[Samples]:
        """Give the text clause by clause."""
        engine, key = self._engine, (self._voice.name, self._rate, text)
        known = engine.cache.get(key)
        if known is not None:
            for sound in known:
                yield sound
            return
        async with engine.workers.place():
            clauses = await engine.workers.run(self._voice.clauses, text)
        spoken = []
        for clause in clauses:
            async with engine.workers.place():
                sound = await engine.workers.run(self._voice.sound, clause, self._rate)
            if sound.size:
                spoken.append(sound)
                yield sound
        engine.cache.put(key, spoken)

    def close(self) -> None:
        """Nothing is held: a clause is spoken within its own `speak`."""
