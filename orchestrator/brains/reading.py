"""Reads actions out of an HTTP answer as it comes: JSON, NDJSON or server-sent events. No I/O."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Protocol

from voicemesh.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_ANSWER_BYTES = 256 * 1024
"""Longest answer to one turn."""
MAX_LINE_BYTES = 64 * 1024
"""Longest line of one that is streamed."""
DONE = "[DONE]"
"""What some servers end server-sent events with."""


class Reader(Protocol):
    """Feed bytes, take actions."""

    def feed(self, data: bytes) -> Iterator[object]:
        """Give the actions that are complete now; raise InvalidInput where the form is wrong."""
        ...

    def finish(self) -> Iterator[object]:
        """Give what is left, at the end of the answer."""
        ...


def reader(content_type: str) -> Reader:
    """Return the reader for a content type. Raise InvalidInput, naming those that there are."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind not in _READERS:
        known = ", ".join(_READERS)
        raise InvalidInput("content-type", f"is {kind or 'missing'!r}, must be one of {known}")
    return _READERS[kind]()


class _Whole:
    """One JSON document: a list of actions, or ``{"actions": [...]}``, or one action."""

    def __init__(self) -> None:
        self._data = b""

    def feed(self, data: bytes) -> Iterator[object]:
        self._data += data
        _check("answer", len(self._data), MAX_ANSWER_BYTES)
        yield from ()

    def finish(self) -> Iterator[object]:
        document = _parsed("answer", self._data)
        if isinstance(document, dict) and set(document) == {"actions"}:
            document = document["actions"]
        yield from document if isinstance(document, list) else [document]


class _Lines:
    """One action a line."""

    def __init__(self) -> None:
        self._rest = b""
        self._size = 0
        self._count = 0

    def feed(self, data: bytes) -> Iterator[object]:
        self._size += len(data)
        _check("answer", self._size, MAX_ANSWER_BYTES)
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            yield from self._line(line)
        _check(f"line {self._count + 1}", len(self._rest), MAX_LINE_BYTES)

    def finish(self) -> Iterator[object]:
        rest, self._rest = self._rest, b""
        yield from self._line(rest)

    def _line(self, line: bytes) -> Iterator[object]:
        self._count += 1
        _check(f"line {self._count}", len(line), MAX_LINE_BYTES)
        if line.strip():
            yield _parsed(f"line {self._count}", line)


class _Events(_Lines):
    """One action an event (WHATWG HTML, 9.2.6): its ``data`` lines, ended by an empty one."""

    def __init__(self) -> None:
        super().__init__()
        self._event: list[bytes] = []
        self._event_size = 0

    def finish(self) -> Iterator[object]:
        yield from super().finish()
        yield from self._line(b"")

    def _line(self, line: bytes) -> Iterator[object]:
        self._count += 1
        line = line.removesuffix(b"\r")
        name, _, value = line.partition(b":")
        if name == b"data":
            self._event.append(value.removeprefix(b" "))
            self._event_size += len(line)
            _check(f"line {self._count}", self._event_size, MAX_LINE_BYTES)
        elif not line and self._event:
            data, self._event, self._event_size = b"\n".join(self._event), [], 0
            if data.strip() != DONE.encode():
                yield _parsed(f"line {self._count}", data)


def _parsed(place: str, data: bytes) -> object:
    try:
        parsed: object = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(place, f"is no JSON: {str(error)[:80]}") from error
    return parsed


def _check(place: str, size: int, limit: int) -> None:
    if size > limit:
        raise InvalidInput(place, f"has more than {limit} bytes", reason="TOO_LONG", limit=limit)


_READERS: dict[str, type[_Whole | _Lines]] = {
    "application/json": _Whole,
    "application/x-ndjson": _Lines,
    "application/jsonl": _Lines,
    "text/event-stream": _Events,
}
