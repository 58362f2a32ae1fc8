"""Speech to text: the engines by name, each imported only where it is hosted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from adapters.providers.table import provider

if TYPE_CHECKING:
    from collections.abc import Mapping

    from adapters.config import AdapterSettings
    from adapters.recognition import RecognitionEngine, RecognitionEngineFactory


def _whisper(settings: AdapterSettings) -> RecognitionEngine:
    from adapters.stt.whisper import WhisperEngine

    return WhisperEngine(settings)


def _scripted(settings: AdapterSettings) -> RecognitionEngine:
    from adapters.stt.scripted import ScriptedEngine

    return ScriptedEngine(settings.script_stt_final)


ENGINES: Mapping[str, RecognitionEngineFactory] = {
    "whisper": _whisper,
    "deepgram": provider("adapters.stt.deepgram"),
    "assemblyai": provider("adapters.stt.assemblyai"),
    "soniox": provider("adapters.stt.soniox"),
    "speechmatics": provider("adapters.stt.speechmatics"),
    "google": provider("adapters.stt.google"),
    "riva": provider("adapters.stt.riva"),
    "openai": provider("adapters.stt.openai"),
    "scripted": _scripted,
}
