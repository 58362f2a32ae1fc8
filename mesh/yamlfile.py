"""YAML that remembers where everything stood, so that a mistake is reported with its line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

from voicemesh.errors import Misconfigured

if TYPE_CHECKING:
    from pathlib import Path

Place = tuple[int | str, ...]
"""Keys and indices from the root of a document to one node."""


class Document:
    """One YAML document: its data, and the line of each node."""

    def __init__(self, path: Path, text: str) -> None:
        self.path = path
        self._lines: dict[Place, int] = {(): 1}
        loader = yaml.SafeLoader(text)
        try:
            root = loader.get_single_node()
            if root is not None:
                self._walk(root, ())
            self.data: Any = None if root is None else loader.construct_document(root)
        except yaml.MarkedYAMLError as error:
            line = error.problem_mark.line + 1 if error.problem_mark else 1
            raise self.error((), f"{error.problem}; correct the YAML", line) from error
        finally:
            loader.dispose()

    def line(self, place: Place) -> int:
        """Return the line of the nearest node at or above a place."""
        while place not in self._lines:
            place = place[:-1]
        return self._lines[place]

    def error(self, place: Place, problem: str, line: int | None = None) -> Misconfigured:
        """Describe a problem by file, line and field."""
        field = spell(place)
        at = line or self.line(place)
        where = f"{self.path}:{at}: {field}: " if field else f"{self.path}:{at}: "
        return Misconfigured(where + problem, file=self.path, line=at, field=field)

    def _walk(self, node: yaml.Node, place: Place) -> None:
        self._lines.setdefault(place, node.start_mark.line + 1)
        if isinstance(node, yaml.SequenceNode):
            for index, item in enumerate(node.value):
                self._walk(item, (*place, index))
        elif isinstance(node, yaml.MappingNode):
            self._walk_mapping(node, place)

    def _walk_mapping(self, node: yaml.MappingNode, place: Place) -> None:
        for key, value in node.value:
            below = (*place, str(key.value))
            line = key.start_mark.line + 1
            if below in self._lines:  # yaml would silently keep the last one
                raise self.error(below, "is given twice; keep one of them", line)
            self._lines[below] = line
            self._walk(value, below)


def spell(place: Place) -> str:
    """Write a place as ``regions[0].services.stt``."""
    text = ""
    for part in place:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.lstrip(".")
