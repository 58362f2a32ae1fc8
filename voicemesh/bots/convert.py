"""Bots as the contract speaks of them; converted once per bot, since every request carries them."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from voicemesh.api.language.v1 import language_pb2
from voicemesh.bots import built_in

if TYPE_CHECKING:
    from voicemesh.bots.models import Bot, Intent

_BOTS = 256
"""Bots, in a state each, whose conversion is kept."""


@lru_cache(maxsize=_BOTS)
def knowledge(bot: Bot) -> language_pb2.Knowledge:
    """Return the bot's knowledge."""
    return language_pb2.Knowledge(
        facts=[
            language_pb2.Fact(questions=fact.questions, answer=fact.answer)
            for fact in bot.knowledge.facts
        ],
        intents=[_intent(intent) for intent in bot.intents],
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
    offered = [tool for tool in bot.tools if bot.tool(tool.name)]
    known = [(tool.name, tool.description, tool.parameters) for tool in offered]
    return tuple(
        language_pb2.Tool(name=name, description=text, parameters_json=schema(parameters))
        for name, text, parameters in [*known, *built_in.declared(bot)]
    )


def schema(parameters: dict[str, Any]) -> str:
    """Return the JSON Schema of a tool's arguments."""
    return json.dumps({"type": "object", "properties": {}} | parameters, sort_keys=True)
