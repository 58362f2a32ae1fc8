"""Text to speech: the engines by name, each imported only where it is hosted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from adapters.providers.table import provider

if TYPE_CHECKING:
    from collections.abc import Mapping

    from adapters.config import AdapterSettings
    from adapters.synthesis import SynthesisEngine, SynthesisEngineFactory


def _hibari(settings: AdapterSettings) -> SynthesisEngine:
    from adapters.tts.hibari import HibariEngine

    return HibariEngine(settings)


def _scripted(settings: AdapterSettings) -> SynthesisEngine:
    from adapters.tts.scripted import ScriptedEngine

    return ScriptedEngine(settings.script_tts_first_audio)


ENGINES: Mapping[str, SynthesisEngineFactory] = {
    "hibari": _hibari,
    "elevenlabs": provider("adapters.tts.elevenlabs"),
    "cartesia": provider("adapters.tts.cartesia"),
    "google": provider("adapters.tts.google"),
    "riva": provider("adapters.tts.riva"),
    "openai": provider("adapters.tts.openai"),
    "scripted": _scripted,
}
