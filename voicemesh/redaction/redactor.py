"""Takes what is nobody's business out of words."""

from __future__ import annotations

import json
import re
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeAlias

from voicemesh.redaction.names import ALL, USUAL
from voicemesh.redaction.spoken import DIGITS, SIGNS, Written

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from voicemesh.redaction.names import Country, Kind

Find: TypeAlias = "Callable[[str, Sequence[Country]], Iterator[tuple[int, int]]]"

MAX_CHARACTERS = 20_000
"""Longer words are replaced as a whole: nobody looks through them in time."""
_SUSPECT = re.compile(
    rf"\d{{3}}|@|(?:\d\W{{0,2}}){{7}}|\b(?:{'|'.join({*DIGITS, *SIGNS})})\b", re.IGNORECASE
)


class Redactor:
    """Redacts words. Shared by all calls; holds nothing of them."""

    def __init__(self, kinds: Collection[Kind] = ALL, countries: Sequence[Country] = USUAL) -> None:
        """``countries``: whose national ids and phone numbers are known (small, ISO 3166)."""
        # The rules of all countries' numbers take a moment to load; a command needs none.
        table = import_module("voicemesh.redaction.kinds").KINDS
        self._kinds: dict[Kind, Find] = {kind: table[kind] for kind in table if kind in kinds}
        self._countries = countries

    def redact(self, text: str) -> str:
        """Return the words with ``[card]`` and the like in the places of what was found."""
        if not self._kinds or not _SUSPECT.search(text):
            return text
        if len(text) > MAX_CHARACTERS:
            return "[too long]"
        return self._replace(text)

    def redact_json(self, text: str) -> str:
        """Return a JSON text with every value in it redacted; what is no JSON, as words."""
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            return self.redact(text)
        redacted = self._redact_value(value)
        return text if redacted == value else json.dumps(redacted, ensure_ascii=False)

    def redact_fields(self, value: Any, names: Collection[str]) -> Any:  # noqa: ANN401 - JSON
        """Return a JSON value with the texts in fields of these names redacted, however deep."""
        match value:
            case list():
                return [self.redact_fields(each, names) for each in value]
            case dict():
                return {
                    name: self._field(name, each)
                    if isinstance(each, str) and name in names
                    else self.redact_fields(each, names)
                    for name, each in value.items()
                }
            case _:
                return value

    def _field(self, name: str, text: str) -> str:
        return self.redact_json(text) if name.endswith("_json") else self.redact(text)

    def _redact_value(self, value: Any) -> Any:  # noqa: ANN401 - whatever JSON has
        match value:
            case list():
                return [self._redact_value(each) for each in value]
            case dict():
                return {key: self._redact_value(each) for key, each in value.items()}
            case bool() | None:
                return value
            case _:
                redacted = self.redact(str(value))
                return value if redacted == str(value) else redacted

    def _replace(self, text: str) -> str:
        written = Written(text)
        taken: list[tuple[int, int, Kind]] = []
        for kind, find in self._kinds.items():
            for span in find(written.text, self._countries):
                start, end = written.place(*span)
                if all(end <= begun or start >= ended for begun, ended, _ in taken):
                    taken.append((start, end, kind))
        for start, end, kind in sorted(taken, reverse=True):
            text = f"{text[:start]}[{kind}]{text[end:]}"
        return text
