"""Tools: the arguments they get and the answers they give."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from adapters.language import Intent, Tool

_KEYS = ("confirmation", "confirmation_number", "reference", "id")
"""Fields by which a result may be spoken of later."""
REPLACES = "replaces"
"""Parameter that gets the key of an earlier result when the caller corrects what was arranged."""


@dataclass(frozen=True, slots=True)
class Call:
    """A tool and its arguments."""

    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Result:
    """What a tool answered."""

    ok: bool
    fields: Mapping[str, Any] = field(default_factory=dict)
    """Its scalar fields."""

    def key(self, arguments: Mapping[str, Any]) -> str:
        """Return by what it may be spoken of later; "" if it says nothing that was not sent."""
        return next((str(self.fields[k]) for k in _KEYS if k in self.news(arguments)), "")

    def news(self, arguments: Mapping[str, Any]) -> dict[str, str]:
        """Return the fields that were not sent."""
        return {name: str(v) for name, v in self.fields.items() if name not in arguments}


def read_result(text: str) -> Result:
    """Return a tool's answer; anything but a JSON object without ``error`` is a failure."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return Result(ok=False)
    if not isinstance(data, dict):
        return Result(ok=False)
    fields = {k: v for k, v in data.items() if isinstance(v, str | int | float | bool)}
    return Result(ok=not data.get("error"), fields=fields)


def read_arguments(text: str) -> dict[str, Any]:
    """Return a call's arguments; {} if they are no JSON object."""
    try:
        data = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return {}
    return data if isinstance(data, dict) else {}


def parameters(tool: Tool) -> Mapping[str, Any]:
    """Return the parameters that a tool declares, by name."""
    properties = read_arguments(tool.parameters_json).get("properties")
    return properties if isinstance(properties, dict) else {}


def arguments_for(
    tool: Tool, intent: Intent, slots: Mapping[str, str], known: Mapping[str, str]
) -> dict[str, Any]:
    """Return the slots, and whatever else the tool declares and the call has brought to light."""
    declared = parameters(tool)
    values = {name: value for name, value in known.items() if name in declared}
    values |= {slot.name: slots[slot.name] for slot in intent.slots if slot.name in slots}
    return {name: _typed(value, declared.get(name)) for name, value in values.items()}


def _typed(value: str, schema: object) -> object:
    kind = schema.get("type") if isinstance(schema, dict) else None
    if kind in ("integer", "number") and value.isdigit():
        return int(value)
    return value
