"""Bots as the contract speaks of them; converted once per bot, since every request carries them."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from voicemesh.api.language.v1 import language_pb2

if TYPE_CHECKING:
    from voicemesh.bots.models import Bot, Intent

_BOTS = 64
"""Bots whose conversion is kept."""


@lru_cache(maxsize=_BOTS)
def knowledge(bot: Bot) -> language_pb2.Knowledge:
    """Return the bot's knowledge."""
    return language_pb2.Knowledge(
        facts=[
            language_pb2.Fact(questions=fact.questions, answer=fact.answer)
            for fact in bot.knowledge.facts
        ],
        intents=[_intent(intent) for intent in bot.knowledge.intents],
        unknown_reply=bot.knowledge.unknown_reply,
    )


def _intent(intent: Intent) -> language_pb2.Intent:
    slots = [
        language_pb2.Slot(
            name=slot.name, kind=slot.kind, question=slot.question, choices=slot.choices
        )
        for slot in intent.slots
    ]
    if intent.target:
        # A choice of one is no choice: it is known from the start, so nobody is asked for it.
        slots.append(
            language_pb2.Slot(
                name="target", kind="choice", question=intent.reply, choices=[intent.target]
            )
        )
    return language_pb2.Intent(
        name=intent.name,
        examples=intent.examples,
        slots=slots,
        tool=intent.tool,
        reply=intent.reply,
        failure_reply=intent.failure_reply,
    )


@lru_cache(maxsize=_BOTS)
def tool_declarations(bot: Bot) -> tuple[language_pb2.Tool, ...]:
    """Return the bot's tools, and the built-in ones that its intents use."""
    declared = [
        language_pb2.Tool(
            name=tool.name,
            description=tool.description,
            parameters_json=_schema(tool.parameters),
        )
        for tool in bot.tools
    ]
    used = {intent.tool for intent in bot.knowledge.intents}
    if "hang_up" in used:
        declared.append(
            language_pb2.Tool(
                name="hang_up",
                description="End the call, after a farewell, when the caller wants no more.",
                parameters_json=_schema({}),
            )
        )
    targets = sorted({intent.target for intent in bot.knowledge.intents if intent.target})
    if "transfer" in used:
        declared.append(
            language_pb2.Tool(
                name="transfer",
                description="Hand the call to a person, when the caller asks for one.",
                parameters_json=_schema(
                    {
                        "properties": {"target": {"type": "string", "enum": targets}},
                        "required": ["target"],
                    }
                ),
            )
        )
    return tuple(declared)


def _schema(parameters: dict[str, Any]) -> str:
    return json.dumps({"type": "object", "properties": {}} | parameters, sort_keys=True)
