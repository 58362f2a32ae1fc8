"""What the built-in tools do to a call, and whether an answer is complete with those it used.

Each writes notes of the journal, or nothing: what the gateway has to do follows from the entry of
the tool itself (`orchestrator.endings`). So each may be carried out again after a resume.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from orchestrator import variables
from voicemesh.api.journal.v1 import journal_pb2
from voicemesh.bots.built_in import (
    ASK_DIGITS,
    BUILT_IN,
    ENDING,
    GO_TO,
    HAND_OVER,
    REMEMBER,
    SEND_DIGITS,
    TRANSFER,
)
from voicemesh.bots.models import Keypad
from voicemesh.errors import InvalidInput
from voicemesh.memory import Sentence

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from orchestrator.ledger import Ledger
    from voicemesh.bots import Bot
    from voicemesh.memory import Memory, ToolUse, Turn

STATE = "state"
"""Note: the state of the bot's flow."""
KEYPAD = "keypad"
"""Note: how the next keys are taken."""
BOT = "bot"
"""Note: the bot that has taken over, and whether it still has to say its first words."""
MAX_TARGET = 128
_DIGITS = re.compile(r"[0-9*#A-D]{1,64}")
_BOT = re.compile(r"[a-z0-9_-]{1,64}")


def carry_out(ledger: Ledger, bot: Bot, name: str, arguments_json: str) -> tuple[str, str]:
    """Do what a built-in tool does; return result (JSON) and error, one of them empty."""
    try:
        arguments = json.loads(arguments_json or "{}")
        if not isinstance(arguments, dict):
            raise InvalidInput("arguments", "are no JSON object")
        for note, value in _NOTES[name](ledger.memory, bot, arguments) if name in _NOTES else ():
            ledger.write("brain_noted", journal_pb2.BrainNoted(name=note, value_json=value))
    except (InvalidInput, ValueError) as error:
        return "", str(error)[:400]
    return "{}", ""


def completes(turn: Turn) -> bool:
    """Whether the answer is complete with the built-in tools at its end; else it is asked again.

    It is with one that ends an answer, or where words came before them; but not when another state
    was entered, or one failed. What stands before another tool's result counts no more.
    """
    used: list[ToolUse] = []
    said = False
    for part in reversed(turn.parts):
        said = isinstance(part, Sentence)
        if isinstance(part, Sentence) or part.name not in BUILT_IN:
            break
        used.append(part)
    if any(tool.name in ENDING and not tool.error for tool in used):
        return True
    return bool(used) and said and not any(tool.error or tool.name == GO_TO for tool in used)


def flow_state(memory: Memory) -> str:
    """Return the name of the flow's state; empty: the first."""
    return str(json.loads(memory.notes.get(STATE, '""')))


def bot_in_charge(memory: Memory) -> str:
    """Return the name of the bot that took over; empty: none did."""
    return str(json.loads(memory.notes[BOT])["name"]) if BOT in memory.notes else ""


def owes_greeting(memory: Memory) -> bool:
    """Whether a bot has taken over that did not speak yet."""
    return BOT in memory.notes and bool(json.loads(memory.notes[BOT])["greet"])


def greeted(memory: Memory) -> str:
    """Return the value of the note once it has spoken."""
    return json.dumps({"name": bot_in_charge(memory), "greet": False})


def keypad(memory: Memory, usual: Keypad) -> Keypad:
    """Return how the next keys are taken."""
    wanted = memory.notes.get(KEYPAD)
    if not wanted:
        return usual
    return Keypad.model_validate(usual.model_dump() | json.loads(wanted))


def _remember(memory: Memory, _: Bot, arguments: dict[str, Any]) -> Iterable[tuple[str, str]]:
    return list(variables.notes(memory, arguments))


def _go_to(_: Memory, bot: Bot, arguments: dict[str, Any]) -> Iterable[tuple[str, str]]:
    target = str(arguments.get("target", ""))
    states = bot.flow.states if bot.flow else {}
    if target not in states:
        raise InvalidInput("target", f"there is no state {target!r}: {', '.join(states)}")
    return [(STATE, json.dumps(target))]


def _hand_over(memory: Memory, _: Bot, arguments: dict[str, Any]) -> Iterable[tuple[str, str]]:
    target = str(arguments.get("target", ""))
    if not _BOT.fullmatch(target):
        raise InvalidInput("target", f"{target!r} is no name of a bot")
    values = arguments.get("variables", {})
    if not isinstance(values, dict):
        raise InvalidInput("variables", "are no JSON object")
    charge = json.dumps({"name": target, "greet": True})
    # Another bot has states of its own.
    return [*variables.notes(memory, values), (STATE, ""), (BOT, charge)]


def _ask_digits(_: Memory, bot: Bot, arguments: dict[str, Any]) -> Iterable[tuple[str, str]]:
    strange = arguments.keys() - {"most_digits", "terminator", "pause_seconds", "secret"}
    if strange:
        raise InvalidInput("ask_digits", f"does not know {', '.join(sorted(strange))}")
    # The keypad's own rules are the limits.
    Keypad.model_validate(arguments)
    return [(KEYPAD, json.dumps(arguments))]


def _send_digits(_: Memory, __: Bot, arguments: dict[str, Any]) -> Iterable[tuple[str, str]]:
    if not _DIGITS.fullmatch(str(arguments.get("digits", ""))):
        raise InvalidInput("digits", "must be 1 to 64 of 0-9, *, #, A-D")
    return []


def _transfer(_: Memory, __: Bot, arguments: dict[str, Any]) -> Iterable[tuple[str, str]]:
    if len(str(arguments.get("target", ""))) > MAX_TARGET:
        raise InvalidInput("target", f"has more than {MAX_TARGET} characters", limit=MAX_TARGET)
    return []


_NOTES: dict[str, Callable[[Memory, Bot, dict[str, Any]], Iterable[tuple[str, str]]]] = {
    REMEMBER: _remember,
    GO_TO: _go_to,
    HAND_OVER: _hand_over,
    ASK_DIGITS: _ask_digits,
    SEND_DIGITS: _send_digits,
    TRANSFER: _transfer,
}
