"""What must hold between the parts of a bot file, beyond the form of each."""

from __future__ import annotations

import string
from collections.abc import Iterator
from typing import TypeAlias

from voicemesh.bots.models import BUILT_IN, TRANSFER, Bot, Intent, Slot

Broken: TypeAlias = tuple[tuple[str | int, ...], str]


def broken_rules(bot: Bot) -> list[Broken]:
    """Return (place, what is wrong) for every rule that the bot breaks."""
    broken = [*_tools(bot), *_keypad(bot)]
    seen: set[str] = set()
    for index, intent in enumerate(bot.knowledge.intents):
        place = ("knowledge", "intents", index)
        if intent.name in seen:
            broken.append(((*place, "name"), f"another intent is named {intent.name!r}"))
        seen.add(intent.name)
        broken += [((*place, *inner), text) for inner, text in _intent(bot, intent)]
    return broken


def _tools(bot: Bot) -> Iterator[Broken]:
    seen: set[str] = set()
    for index, tool in enumerate(bot.tools):
        if tool.name in BUILT_IN:
            yield ("tools", index, "name"), f"{tool.name!r} is built in"
        if tool.name in seen:
            yield ("tools", index, "name"), f"another tool is named {tool.name!r}"
        seen.add(tool.name)
        if not isinstance(tool.parameters.get("properties", {}), dict):
            yield ("tools", index, "parameters", "properties"), "must be a mapping"


def _keypad(bot: Bot) -> Iterator[Broken]:
    keypad = bot.keypad
    for keys in keypad.menu:
        place = ("keypad", "menu", keys)
        if len(keys) > keypad.most_digits:
            yield place, f"an input has at most {keypad.most_digits} keys (most_digits)"
        if keypad.terminator and keypad.terminator in keys and keys != keypad.terminator:
            yield place, f"{keypad.terminator!r} ends an input, so it can only be all of it"
    if keypad.secret_meaning and not keypad.secret:
        yield ("keypad", "secret_meaning"), "is for a keypad that is secret"
    for index, tool in enumerate(bot.tools):
        if tool.secret_digits and not keypad.secret:
            yield ("tools", index, "secret_digits"), "needs a keypad that is secret"


def _intent(bot: Bot, intent: Intent) -> Iterator[Broken]:
    known = [*BUILT_IN, *(tool.name for tool in bot.tools)]
    if intent.tool and intent.tool not in known:
        yield ("tool",), f"there is no tool {intent.tool!r}; there are: {', '.join(sorted(known))}"
    if (intent.tool == TRANSFER) != bool(intent.target):
        yield ("target",), "an intent has a target if and only if its tool is 'transfer'"
    if not intent.reply and not intent.tool:
        yield ("reply",), "an intent without a tool must say something"
    for index, slot in enumerate(intent.slots):
        for inner, text in _slot(bot, intent, slot):
            yield ("slots", index, inner), text
    for field in ("reply", "failure_reply"):
        yield from _template(intent, field, getattr(intent, field))


def _slot(bot: Bot, intent: Intent, slot: Slot) -> Iterator[tuple[str, str]]:
    if [other.name for other in intent.slots].count(slot.name) > 1:
        yield "name", f"another slot is named {slot.name!r}"
    if (slot.kind == "choice") != bool(slot.choices):
        yield "choices", "a slot has choices if and only if its kind is 'choice'"
    tool = bot.tool(intent.tool)
    declared = tool.parameters.get("properties") if tool else None
    if isinstance(declared, dict) and declared and slot.name not in declared:
        yield "name", f"the tool {intent.tool!r} has no parameter {slot.name!r}"


def _template(intent: Intent, field: str, text: str) -> Iterator[Broken]:
    try:
        names = [name for _, name, _, _ in string.Formatter().parse(text) if name is not None]
    except ValueError as error:
        yield (field,), f"{error}"
        return
    slots = {slot.name for slot in intent.slots}
    for name in names:
        if not name.isidentifier():
            yield (field,), f"{{{name}}} is no name of a slot or of a result's field"
        elif name not in slots and not intent.tool:
            yield (field,), f"there is no slot {name!r}, and no tool that could answer it"
