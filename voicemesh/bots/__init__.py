"""Bots: one YAML file each, read once, never changed.

``Bots.load(folder)`` for a service, ``check(folder)`` for a person, ``Bot`` for everything else.
"""

from voicemesh.bots.brain import Brain, Flow, GrpcBrain, State, WebhookBrain
from voicemesh.bots.built_in import HANG_UP, TRANSFER
from voicemesh.bots.document import Problem
from voicemesh.bots.load import Bots, check
from voicemesh.bots.mcp import McpServer, McpTool
from voicemesh.bots.models import (
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
    Redaction,
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
    "Brain",
    "Engines",
    "Fact",
    "Fallback",
    "Flow",
    "GrpcBrain",
    "HttpRequest",
    "HttpTool",
    "Intent",
    "Keypad",
    "Knowledge",
    "LanguageChoice",
    "McpServer",
    "McpTool",
    "Problem",
    "RecognitionChoice",
    "Redaction",
    "Silence",
    "Slot",
    "State",
    "SynthesisChoice",
    "WebhookBrain",
    "check",
]
