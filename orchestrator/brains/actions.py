"""What a brain answers, as JSON objects with one key each, and what a conversation makes of it.

======================================  =======================================================
``{"say": "One moment."}``              words, spoken at once
``{"text": "One mo"}``                  words as a language model streams them
``{"listen": true}``                    say no more
``{"ask_digits": {"most_digits": 4}}``  take keys next
``{"call_tool": {"name": "look"}}``     call a tool of the bot's file, and ask again
``{"transfer": "+15550100"}``           hand the call over
``{"hang_up": true}``                   end the call
``{"send_digits": "12#"}``              press keys
``{"set": {"name": "Ann"}}``            set variables
``{"go_to": "booking"}``                go to a state of the flow, and ask again
``{"hand_over": {"bot": "sales"}}``     let another bot go on
======================================  =======================================================
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from orchestrator.events import TextArrived, ThoughtFinished, ToolRequested
from voicemesh.bots import built_in
from voicemesh.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from orchestrator.brains import Piece

MAX_ACTIONS = 200
"""Actions of one answer."""
MAX_WORDS = 2000
"""Characters of one of them."""


class Answer:
    """Turns one answer's actions into pieces; ``finish`` comes last."""

    def __init__(self, thought: int) -> None:
        self._thought = thought
        self._count = 0
        self._silent = True
        """Whether there is nothing to say, but something else to do that calls for no more."""
        self._acted = False

    def take(self, action: object) -> Iterator[Piece]:
        """Give what one action stands for. Raise InvalidInput, naming it, for what is none."""
        self._count += 1
        place = f"actions[{self._count - 1}]"
        if self._count > MAX_ACTIONS:
            raise InvalidInput("actions", f"more than {MAX_ACTIONS}", limit=MAX_ACTIONS)
        if not isinstance(action, dict) or len(action) != 1:
            raise InvalidInput(place, 'must be an object with one key, like {"say": "Hello."}')
        [(verb, value)] = action.items()
        if verb in ("say", "text"):
            yield self._words(f"{place}.{verb}", value, end="\n" if verb == "say" else "")
            return
        read = _TOOLS.get(verb)
        if read is None:
            known = ", ".join(("say", "text", *_TOOLS))
            raise InvalidInput(f"{place}.{verb}", f"there is no such action; there are: {known}")
        try:
            name, arguments = read(value)
        except (TypeError, KeyError, ValueError, AttributeError):
            raise InvalidInput(f"{place}.{verb}", f"cannot be {json.dumps(value)[:80]}") from None
        self._acted = True
        # A tool that answers, another state: those are asked about again.
        self._silent = self._silent and name in (built_in.REMEMBER, built_in.SEND_DIGITS)
        yield ToolRequested(self._thought, name, json.dumps(arguments))

    def finish(self) -> Iterator[Piece]:
        """Give what ends the answer: one without words is for listening, and must say so."""
        if self._acted and self._silent:
            yield ToolRequested(self._thought, built_in.LISTEN, "{}")
        yield ThoughtFinished(self._thought)

    def _words(self, place: str, value: object, end: str) -> TextArrived:
        if not isinstance(value, str) or not 0 < len(value) <= MAX_WORDS:
            raise InvalidInput(place, f"must be 1 to {MAX_WORDS} characters", limit=MAX_WORDS)
        self._silent = False
        return TextArrived(self._thought, value + end, 0.0)


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise TypeError
    return value


def _object(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError
    return value


def _call_tool(value: object) -> tuple[str, dict[str, Any]]:
    known = _object(value)
    return _text(known["name"]), _object(known.get("arguments", {}))


def _hand_over(value: object) -> tuple[str, dict[str, Any]]:
    known = _object(value)
    values = _object(known.get("variables", {}))
    return built_in.HAND_OVER, {"target": _text(known["bot"]), "variables": values}


def _plain(name: str) -> Callable[[Any], tuple[str, dict[str, Any]]]:
    def read(value: object) -> tuple[str, dict[str, Any]]:
        if value is not True and value != {}:
            raise TypeError
        return name, {}

    return read


def _aimed(name: str, argument: str) -> Callable[[Any], tuple[str, dict[str, Any]]]:
    return lambda value: (name, {argument: _text(value)})


_TOOLS: dict[str, Callable[[Any], tuple[str, dict[str, Any]]]] = {
    "listen": _plain(built_in.LISTEN),
    "ask_digits": lambda value: (built_in.ASK_DIGITS, {} if value is True else _object(value)),
    "call_tool": _call_tool,
    "transfer": _aimed(built_in.TRANSFER, "target"),
    "hang_up": _plain(built_in.HANG_UP),
    "send_digits": _aimed(built_in.SEND_DIGITS, "digits"),
    "set": lambda value: (built_in.REMEMBER, _object(value)),
    "go_to": _aimed(built_in.GO_TO, "target"),
    "hand_over": _hand_over,
}
