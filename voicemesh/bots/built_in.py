"""Tools that every brain has: what they take, and what they do to the answer that uses them.

Each is journalled as the tools of a bot's file are, so that it is done once, whoever dies.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from voicemesh.bots.models import Bot

HANG_UP = "hang_up"
"""End the call once the reply was heard."""
TRANSFER = "transfer"
"""Hand the call over to a person once the reply was heard."""
SEND_DIGITS = "send_digits"
"""Press keys, once the reply was heard."""
ASK_DIGITS = "ask_digits"
"""Take the caller's keys next, so and so many."""
REMEMBER = "remember"
"""Keep variables of the call."""
GO_TO = "go_to"
"""Go to another state of the bot's flow."""
HAND_OVER = "hand_over"
"""Let another bot go on."""
LISTEN = "listen"
"""Say no more, and let the caller speak."""

ENDING = frozenset({HANG_UP, TRANSFER, ASK_DIGITS, HAND_OVER, LISTEN})
"""The answer is complete with them."""
ACTING = frozenset({HANG_UP, TRANSFER, SEND_DIGITS})
"""The gateway does them, when the reply was heard."""
BUILT_IN = ENDING | {SEND_DIGITS, REMEMBER, GO_TO}


def declared(bot: Bot) -> Iterable[tuple[str, str, dict[str, Any]]]:
    """Give name, description and parameters of those that a language model of this bot may use."""
    used = {intent.tool for intent in bot.intents} | set(bot.built_in)
    if HANG_UP in used:
        yield HANG_UP, "End the call, after a farewell, when the caller wants no more.", {}
    targets = {intent.target for intent in bot.intents if intent.tool == TRANSFER}
    if TRANSFER in used:
        text = "Hand the call to a person, when the caller asks for one."
        yield (
            TRANSFER,
            text,
            _choice("target", {**dict.fromkeys(sorted(targets), ""), **bot.transfers}),
        )
    if SEND_DIGITS in used:
        pattern = {"type": "string", "pattern": "^[0-9*#A-D]{1,64}$"}
        yield SEND_DIGITS, "Press keys on the line.", _object({"digits": pattern}, ["digits"])
    if ASK_DIGITS in used:
        most = {"type": "integer", "minimum": 1, "maximum": 64}
        text = "Ask the caller to type digits: say what for, then call this, and wait."
        yield ASK_DIGITS, text, _object({"most_digits": most}, [])
    if bot.remembers:
        known = {name: {"type": "string", "description": t} for name, t in bot.remembers.items()}
        yield REMEMBER, "Remember what the caller told you.", _object(known, [])
    if bot.state.goes_to:
        text = "Go on to another part of the conversation."
        yield GO_TO, text, _choice("target", bot.state.goes_to)
    if bot.hands_over:
        yield HAND_OVER, "Let a colleague go on.", _choice("target", bot.hands_over)


def _object(properties: dict[str, Any], required: list[str]) -> dict[str, Any]:
    return {"properties": properties, "required": required} if properties else {}


def _choice(name: str, choices: dict[str, str]) -> dict[str, Any]:
    when = "; ".join(f"{choice}: {text}" for choice, text in choices.items() if text)
    values: dict[str, Any] = {"type": "string", "enum": list(choices)}
    return _object({name: values | ({"description": when} if when else {})}, [name])
