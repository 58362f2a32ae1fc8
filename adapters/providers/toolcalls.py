"""Tool calls whose arguments come in pieces."""

from __future__ import annotations

import json
from dataclasses import dataclass

from adapters.language import ToolCall
from adapters.providers.faults import broken

MAX_CALLS = 64
"""Tool calls in one reply."""
MAX_ARGUMENTS = 256 * 1024
"""Characters of one call's arguments."""


@dataclass(slots=True)
class Begun:
    """A call of which more may come."""

    id: str
    name: str
    arguments: str = ""

    def add(self, part: str) -> None:
        """Add to the arguments."""
        self.arguments += part
        if len(self.arguments) > MAX_ARGUMENTS:
            raise broken("more arguments than can be meant")

    def whole(self) -> ToolCall:
        """Return the call; raise Unavailable if its arguments are no JSON object."""
        arguments = self.arguments.strip() or "{}"
        try:
            sound = isinstance(json.loads(arguments), dict)
        except (ValueError, RecursionError):
            sound = False
        if not sound or not self.name or not self.id:
            raise broken("a tool call that cannot be read")
        return ToolCall(self.id, self.name, arguments)
