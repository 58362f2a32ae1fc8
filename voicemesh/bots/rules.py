"""What must hold between the parts of a bot file, beyond the form of each."""

from __future__ import annotations

import string
from collections.abc import Iterator
from typing import TypeAlias

from voicemesh.bots.built_in import BUILT_IN, GO_TO, HAND_OVER, HANG_UP, TRANSFER
from voicemesh.bots.mcp import MAX_NAME
from voicemesh.bots.models import Bot, HttpTool, Intent, Slot
from voicemesh.bots.zones import outside

Broken: TypeAlias = tuple[tuple[str | int, ...], str]

_AIMED = (TRANSFER, GO_TO, HAND_OVER)
_BY_INTENT = (HANG_UP, *_AIMED)


def broken_rules(bot: Bot) -> list[Broken]:
    """Return (place, what is wrong) for every rule that the bot breaks."""
    broken = [*_tools(bot), *_keypad(bot), *_brain(bot), *_mcp(bot), *_flow(bot), *_zones(bot)]
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


def _brain(bot: Bot) -> Iterator[Broken]:
    remote = bot.brain.remote
    if bot.brain.webhook and bot.brain.grpc:
        yield ("brain", "grpc"), "a bot has one brain: webhook or grpc"
    if remote and bot.residency and remote.zone not in bot.residency:
        yield (
            ("brain", bot.brain.kind, "zone"),
            f"is {remote.zone or 'not given'!r}, but this bot's calls may not leave "
            f"{', '.join(bot.residency)}",
        )
    if bot.brain.opens and not remote:
        yield (
            ("brain", "opens"),
            "needs a webhook or grpc; a language engine has a `greeting`",
        )
    if bot.brain.webhook and not bot.brain.webhook.secret:
        yield ("brain", "webhook", "secret"), "is missing: requests are signed with it"


def _zones(bot: Bot) -> Iterator[Broken]:
    senses = ("stt", "tts") if bot.brain.remote else ("stt", "llm", "tts")
    for sense in senses if bot.residency else ():
        for index, entry in enumerate(getattr(bot.engines, sense)):
            if problem := outside(sense, entry.name, bot.residency):
                yield ("engines", sense, index), problem


def _mcp(bot: Bot) -> Iterator[Broken]:
    names = [server.name for server in bot.mcp]
    for index, server in enumerate(bot.mcp):
        if names.count(server.name) > 1:
            yield ("mcp", index, "name"), f"another server is named {server.name!r}"
        for place, tool in enumerate(server.tools):
            if len(server.tool(tool).name) > MAX_NAME:
                yield (
                    ("mcp", index, "tools", place),
                    f"with its server's name too long ({MAX_NAME})",
                )


def _flow(bot: Bot) -> Iterator[Broken]:
    states = bot.flow.states if bot.flow else {}
    if bot.flow and bot.flow.start not in states:
        yield ("flow", "start"), f"there is no state {bot.flow.start!r}"
    tools = [*(t.name for t in bot.tools), *(s.tool(t).name for s in bot.mcp for t in s.tools)]
    known = {"tools": tools, "intents": [intent.name for intent in bot.knowledge.intents]}
    for name, state in states.items():
        place = ("flow", "states", name)
        for field, names in known.items():
            for index, each in enumerate(getattr(state, field) or ()):
                if each not in names:
                    yield (*place, field, index), f"there is no {each!r} among the bot's {field}"
        strange = [target for target in state.goes_to if target not in states]
        for target in strange:
            yield (*place, "goes_to", target), f"there is no state {target!r}"


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
    asks = bot.brain.remote or "ask_digits" in bot.built_in
    for index, tool in enumerate(bot.tools):
        if tool.secret_digits and not (keypad.secret or asks):
            yield ("tools", index, "secret_digits"), "needs a keypad that is secret"


def _intent(bot: Bot, intent: Intent) -> Iterator[Broken]:
    known = [*_BY_INTENT, *(tool.name for tool in bot.tools)]
    if intent.tool and intent.tool not in known:
        yield ("tool",), f"there is no tool {intent.tool!r}; there are: {', '.join(sorted(known))}"
    if (intent.tool in _AIMED) != bool(intent.target):
        tools = ", ".join(repr(tool) for tool in _AIMED)
        yield ("target",), f"an intent has a target if and only if its tool is one of {tools}"
    if intent.tool == GO_TO and intent.target not in (bot.flow.states if bot.flow else ()):
        yield ("target",), f"the flow has no state {intent.target!r}"
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
    declared = tool.parameters.get("properties") if isinstance(tool, HttpTool) else None
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
