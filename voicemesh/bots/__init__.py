"""Bots: one YAML file each, read once, never changed.

``Bots.load(folder)`` for a service, ``check(folder)`` for a person, ``Bot`` for everything else.
"""

from voicemesh.bots.document import Problem
from voicemesh.bots.load import Bots, check
from voicemesh.bots.models import (
    HANG_UP,
    TRANSFER,
    BargeIn,
    Bot,
    Engines,
    Fact,
    Fallback,
    HttpRequest,
    HttpTool,
    Intent,
    Keypad,
    Knowledge,
    LanguageChoice,
    RecognitionChoice,
    Silence,
    Slot,
    SynthesisChoice,
)

__all__ = [
    "HANG_UP",
    "TRANSFER",
    "BargeIn",
    "Bot",
    "Bots",
    "Engines",
    "Fact",
    "Fallback",
    "HttpRequest",
    "HttpTool",
    "Intent",
    "Keypad",
    "Knowledge",
    "LanguageChoice",
    "Problem",
    "RecognitionChoice",
    "Silence",
    "Slot",
    "SynthesisChoice",
    "check",
]
