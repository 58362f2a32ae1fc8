"""Chat-completion chunks: server-sent events taken apart, tool calls put together. No I/O."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

from adapters.language import Finished, FinishReason, Piece, TextPiece, ToolCall
from adapters.providers import faults
from adapters.providers.faults import broken
from voicemesh.errors import VoicemeshError

DONE = "[DONE]"
MAX_EVENT = 256 * 1024
"""Bytes of one event."""
MAX_CALLS = 64
"""Tool calls in one reply."""
_REASONS = {"length": FinishReason.LENGTH, "tool_calls": FinishReason.TOOL_CALLS}


class LineSplitter:
    """Cuts bytes into the data of server-sent events."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, part: bytes) -> Iterator[str]:
        """Return the data of every line that is complete now."""
        *lines, self._rest = (self._rest + part).split(b"\n")
        for line in lines:
            if line.startswith(b"data:"):
                yield line[5:].strip().decode("utf-8", "replace")
        if len(self._rest) > MAX_EVENT:
            raise broken(f"an event of more than {MAX_EVENT} bytes")


async def events(parts: AsyncIterator[bytes]) -> AsyncIterator[dict[str, Any] | None]:
    """Give the events of a response; None for its mark of the end."""
    splitter = LineSplitter()
    async for part in parts:
        for data in splitter.feed(part):
            yield None if data == DONE else parsed(data)
    for data in splitter.feed(b"\n"):
        yield None if data == DONE else parsed(data)


def parsed(data: str) -> dict[str, Any]:
    """Return an event; raise Unavailable if it is none, or tells of an error."""
    try:
        event = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise broken("an event that is no JSON") from error
    if not isinstance(event, dict):
        raise broken("an event that is no object")
    if complaint := event.get("error"):
        raise _failure(complaint)
    return event


def _failure(complaint: object) -> VoicemeshError:
    """Return the error for a failure that a provider tells of after it began."""
    told = complaint if isinstance(complaint, dict) else {"message": complaint}
    text = str(told.get("message", told))
    code = told.get("code") or told.get("type") or ""
    if isinstance(code, int) and 400 <= code < 600:
        return faults.refusal(code, text)
    return faults.complaint(text, code=code)


@dataclass
class _Call:
    id: str = ""
    name: str = ""
    arguments: str = ""


class Assembly:
    """Puts one reply together from its chunks."""

    def __init__(self, turn: int) -> None:
        self.done = False
        """Whether the reply is complete."""
        self._turn = turn
        self._reason = ""
        self._calls: dict[int, _Call] = {}

    def take(self, event: dict[str, Any] | None) -> Iterator[Piece]:
        """Return what a chunk adds to the reply."""
        if event is None:
            self.done = True
            return
        try:
            choice = next(iter(event.get("choices") or []), None)
            if choice is None:
                return  # usage and the like
            delta = choice.get("delta") or {}
            text = delta.get("content") or ""
            for part in delta.get("tool_calls") or []:
                self._add(part)
            self._reason = choice.get("finish_reason") or self._reason
        except (AttributeError, TypeError, ValueError) as error:
            raise broken("a chunk of another form") from error
        if not isinstance(text, str):
            raise broken("a chunk whose content is no text")
        if text:
            yield TextPiece(text)

    def _add(self, part: dict[str, Any]) -> None:
        """Add to a tool call: its name comes first, its arguments in pieces."""
        index = int(part.get("index", len(self._calls)))
        call = self._calls.setdefault(index, _Call())
        function = part.get("function") or {}
        call.id = call.id or part.get("id") or ""
        call.name += function.get("name") or ""
        call.arguments += function.get("arguments") or ""
        if len(self._calls) > MAX_CALLS or len(call.arguments) > MAX_EVENT:
            raise broken("more tool calls than can be meant")

    def finish(self) -> Iterator[Piece]:
        """Return what is due at the end; raise Unavailable if the reply broke off."""
        if not self.done and not self._reason:
            raise broken("a reply that broke off")
        for place, (_, call) in enumerate(sorted(self._calls.items())):
            yield self._whole(place, call)
        reason = FinishReason.TOOL_CALLS if self._calls else _REASONS.get(self._reason)
        yield Finished(reason or FinishReason.STOP)

    def _whole(self, place: int, call: _Call) -> ToolCall:
        arguments = call.arguments.strip() or "{}"
        try:
            sound = isinstance(json.loads(arguments), dict)
        except (ValueError, RecursionError):
            sound = False
        if not sound or not call.name:
            raise broken("a tool call that cannot be read")
        # Some servers give no ids, or the same ones every turn.
        return ToolCall(call.id or f"call-{self._turn}-{place}", call.name, arguments)
