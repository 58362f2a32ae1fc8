"""YAML files that people write: read, checked against a model, every problem told with its line."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, get_args

import yaml
from pydantic import BaseModel, ValidationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pydantic_core import ErrorDetails

Place: TypeAlias = tuple[str | int, ...]
Lines: TypeAlias = dict[Place, int]
Model = TypeVar("Model", bound=BaseModel)

_MAX_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong in a file."""

    file: Path
    """File that it is in."""
    line: int
    """Line that it is on, from 1."""
    field: str
    """Field, like ``knowledge.facts[2].answer``; empty for the file as such."""
    message: str
    """What is wrong and what would be right."""

    def __str__(self) -> str:
        field = f"{self.field}: " if self.field else ""
        return f"{self.file}:{self.line}: {field}{self.message}"


def read(
    file: Path,
    model: type[Model],
    defaults: dict[str, Any],
    rules: Callable[[Model], Iterable[tuple[Place, str]]],
    mapping: str,
) -> Model | list[Problem]:
    """Read one file: what it says, or what is wrong with it.

    ``defaults`` are values of top-level keys that it need not have; ``rules`` finds what is wrong
    beyond the form; ``mapping`` says what a file that is no mapping should be.
    """
    try:
        data, lines, doubles = _parse(file)
    except OSError as error:
        return [Problem(file, 1, "", f"cannot be read: {error.strerror}")]
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        text = getattr(error, "problem", None) or "no UTF-8 text"
        return [Problem(file, mark.line + 1 if mark else 1, "", f"no valid YAML: {text}")]
    if not isinstance(data, dict):
        return [Problem(file, 1, "", mapping)]
    problems = [_problem(file, lines, place, "this key is there twice") for place in doubles]
    try:
        found = model.model_validate(defaults | data)
    except ValidationError as error:
        return problems + [
            _problem(file, lines, tuple(each["loc"]), _explain(model, each))
            for each in error.errors()
        ]
    problems += [_problem(file, lines, place, text) for place, text in rules(found)]
    return problems or found


def _parse(file: Path) -> tuple[object, Lines, list[Place]]:
    """Return the file's data, the line of each place in it, and the places of double keys."""
    if file.stat().st_size > _MAX_BYTES:
        raise yaml.YAMLError(f"larger than {_MAX_BYTES} bytes")
    loader = yaml.SafeLoader(file.read_text("utf-8"))
    try:
        node = loader.get_single_node()
        lines: Lines = {}
        doubles: list[Place] = []
        if node is not None:
            _walk(node, (), lines, doubles)
        return (None if node is None else loader.construct_document(node)), lines, doubles
    finally:
        loader.dispose()


def _walk(node: yaml.Node, place: Place, lines: Lines, doubles: list[Place]) -> None:
    lines.setdefault(place, node.start_mark.line + 1)
    if len(place) > 32:
        raise yaml.YAMLError("nested too deeply")
    if isinstance(node, yaml.SequenceNode):
        for index, child in enumerate(node.value):
            _walk(child, (*place, index), lines, doubles)
    elif isinstance(node, yaml.MappingNode):
        for key, child in node.value:
            inner = (*place, str(key.value))
            if inner in lines:
                doubles.append(inner)
            lines[inner] = key.start_mark.line + 1
            _walk(child, inner, lines, doubles)


def _problem(file: Path, lines: Lines, place: Place, message: str) -> Problem:
    known = next(place[:size] for size in range(len(place), -1, -1) if place[:size] in lines)
    field = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place)
    return Problem(file, lines[known], field.lstrip("."), message)


def _explain(model: type[BaseModel], error: ErrorDetails) -> str:
    kind, place = error["type"], error["loc"]
    if kind == "extra_forbidden":
        return _unknown_key(model, str(place[-1]), place[:-1])
    if kind == "missing":
        return "this key is missing"
    if kind == "string_type":
        return f"must be text: put {error['input']!r} in quotes"
    return error["msg"].removeprefix("Input ").replace("Value error, ", "")


def _unknown_key(model: type[BaseModel], key: str, place: Place) -> str:
    known = list(_model_at(model, place).model_fields)
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}"
    return f"unknown key; {hint}"


def _model_at(model: type[BaseModel], place: Place) -> type[BaseModel]:
    for part in place:
        if isinstance(part, str):
            model = _model_in(model.model_fields[part].annotation) or model
    return model


def _model_in(annotation: Any) -> type[BaseModel] | None:  # noqa: ANN401 - an annotation is anything
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _model_in(part))), None)
