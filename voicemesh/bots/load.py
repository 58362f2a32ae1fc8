"""Bot files: read, checked, and every problem told with file, line and field."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias, get_args

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from voicemesh.bots.models import Bot
from voicemesh.bots.rules import broken_rules
from voicemesh.errors import Misconfigured, NotFound

Place: TypeAlias = tuple[str | int, ...]
Lines: TypeAlias = dict[Place, int]

_MAX_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong in a bot file."""

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


class Bots:
    """The bots of a folder."""

    def __init__(self, bots: Mapping[str, Bot]) -> None:
        self._bots = dict(sorted(bots.items()))

    @classmethod
    def load(cls, folder: Path | str) -> Bots:
        """Read every ``*.yaml`` of the folder; raise Misconfigured with every problem."""
        bots, problems = _read_folder(Path(folder))
        if problems:
            raise Misconfigured(
                "\n".join(str(problem) for problem in problems),
                reason="BAD_BOT",
                file=problems[0].file,
                line=problems[0].line,
                field=problems[0].field,
            )
        return cls(bots)

    def get(self, name: str) -> Bot:
        """Return the bot of this name; raise NotFound, naming those there are."""
        try:
            return self._bots[name]
        except KeyError:
            known = ", ".join(self._bots) or "none"
            raise NotFound(
                f"no bot {name!r}; there are: {known}", reason="NO_BOT", bot=name, known=known
            ) from None

    def __iter__(self) -> Iterator[Bot]:
        return iter(self._bots.values())

    def __len__(self) -> int:
        return len(self._bots)

    def __contains__(self, name: object) -> bool:
        return name in self._bots


def check(folder: Path | str, environ: Mapping[str, str] = os.environ) -> list[Problem]:
    """Return everything wrong with the bot files of a folder, variables of tools included."""
    bots, problems = _read_folder(Path(folder))
    for bot in bots.values():
        for tool in bot.tools:
            try:
                tool.address(environ)
            except Misconfigured as error:
                problems.append(Problem(Path(folder) / f"{bot.name}.yaml", 1, "tools", str(error)))
    return problems


def _read_folder(folder: Path) -> tuple[dict[str, Bot], list[Problem]]:
    if not folder.is_dir():
        return {}, [Problem(folder, 1, "", "there is no such folder of bots")]
    bots: dict[str, Bot] = {}
    problems: list[Problem] = []
    for file in sorted(folder.glob("*.yaml")):
        found = read(file)
        if isinstance(found, list):
            problems += found
        elif found.name in bots:
            problems.append(Problem(file, 1, "name", f"another file has the bot {found.name!r}"))
        else:
            bots[found.name] = found
    if not bots and not problems:
        problems.append(Problem(folder, 1, "", "there is no bot file (*.yaml) in it"))
    return bots, problems


def read(file: Path) -> Bot | list[Problem]:
    """Read one file: a bot, or what is wrong with it."""
    try:
        data, lines, doubles = _parse(file)
    except OSError as error:
        return [Problem(file, 1, "", f"cannot be read: {error.strerror}")]
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        text = getattr(error, "problem", None) or "no UTF-8 text"
        return [Problem(file, mark.line + 1 if mark else 1, "", f"no valid YAML: {text}")]
    if not isinstance(data, dict):
        return [Problem(file, 1, "", "a bot file is a mapping, like `greeting: Hello.`")]
    problems = [_problem(file, lines, place, "this key is there twice") for place in doubles]
    try:
        bot = Bot.model_validate({"name": file.stem} | data)
    except ValidationError as error:
        return problems + [
            _problem(file, lines, tuple(each["loc"]), _explain(each)) for each in error.errors()
        ]
    problems += [_problem(file, lines, place, text) for place, text in broken_rules(bot)]
    return problems or bot


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


def _explain(error: ErrorDetails) -> str:
    kind, place = error["type"], error["loc"]
    if kind == "extra_forbidden":
        return _unknown_key(str(place[-1]), place[:-1])
    if kind == "missing":
        return "this key is missing"
    if kind == "string_type":
        return f"must be text: put {error['input']!r} in quotes"
    return error["msg"].removeprefix("Input ").replace("Value error, ", "")


def _unknown_key(key: str, place: Place) -> str:
    known = list(_model_at(place).model_fields)
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}"
    return f"unknown key; {hint}"


def _model_at(place: Place) -> type[BaseModel]:
    model: type[BaseModel] = Bot
    for part in place:
        if isinstance(part, str):
            model = _model_in(model.model_fields[part].annotation) or model
    return model


def _model_in(annotation: Any) -> type[BaseModel] | None:  # noqa: ANN401 - an annotation is anything
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _model_in(part))), None)
