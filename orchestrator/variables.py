"""Variables of a call: what its application passed along, and what its brains set since."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from voicemesh.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from voicemesh.memory import Memory

PREFIX = "variable."
MAX_VARIABLES = 64
MAX_VALUE_BYTES = 2048
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")


def variables(memory: Memory) -> dict[str, Any]:
    """Return the call's variables by name."""
    known: dict[str, Any] = dict(memory.started.variables) if memory.started else {}
    for name, value in memory.notes.items():
        if name.startswith(PREFIX):
            known[name.removeprefix(PREFIX)] = json.loads(value)
    return {name: value for name, value in sorted(known.items()) if value is not None}


def notes(memory: Memory, values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Give the notes (name, JSON) that set variables; null forgets one. Raise InvalidInput."""
    known = variables(memory)
    if len(known.keys() | values.keys()) > MAX_VARIABLES:
        limit = MAX_VARIABLES
        raise InvalidInput("variables", f"a call has at most {limit}", limit=limit)
    for name, value in values.items():
        text = json.dumps(value, separators=(",", ":"))
        if not _NAME.fullmatch(name):
            raise InvalidInput("variables", f"{name!r} is no name: letters, digits, _ (at most 64)")
        if len(text.encode()) > MAX_VALUE_BYTES:
            limit = MAX_VALUE_BYTES
            raise InvalidInput(f"variables.{name}", f"more than {limit} bytes", limit=limit)
        yield PREFIX + name, text
