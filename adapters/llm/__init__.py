"""Language: the engines by name, each imported only where it is hosted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from adapters.providers.table import provider

if TYPE_CHECKING:
    from collections.abc import Mapping

    from adapters.config import AdapterSettings
    from adapters.language import LanguageEngine, LanguageEngineFactory


def _retrieval(settings: AdapterSettings) -> LanguageEngine:
    from adapters.llm.retrieval.engine import RetrievalEngine

    return RetrievalEngine(settings.bots)


def _smollm2(settings: AdapterSettings) -> LanguageEngine:
    from adapters.llm.smollm2 import SmolLm2Engine

    return SmolLm2Engine()


def _openai(settings: AdapterSettings) -> LanguageEngine:
    from adapters.llm.openai import OpenAiEngine, OpenAiSettings
    from adapters.providers.endpoint import check_zone
    from voicemesh.settings import load

    own = load(OpenAiSettings)
    check_zone("openai", own.url, own.region, settings.residency)
    return OpenAiEngine(own)


def _scripted(settings: AdapterSettings) -> LanguageEngine:
    from adapters.llm.scripted import ScriptedEngine

    return ScriptedEngine(settings.script_llm_first_token, settings.script_llm_token_rate)


ENGINES: Mapping[str, LanguageEngineFactory] = {
    "retrieval": _retrieval,
    "smollm2": _smollm2,
    "openai": _openai,
    "openai_responses": provider("adapters.llm.openai_responses"),
    "anthropic": provider("adapters.llm.anthropic"),
    "gemini": provider("adapters.llm.gemini"),
    "scripted": _scripted,
}
