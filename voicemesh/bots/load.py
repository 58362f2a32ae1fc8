"""Bot files: read, checked, and every problem told with file, line and field."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from voicemesh.bots import document
from voicemesh.bots.document import Place, Problem
from voicemesh.bots.models import Bot
from voicemesh.bots.rules import broken_rules
from voicemesh.errors import Misconfigured, NotFound


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
        file = Path(folder) / f"{bot.name}.yaml"
        problems += (Problem(file, 1, field, why) for field, why in _lacking(bot, environ))
    return problems


def _lacking(bot: Bot, environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Give field and problem of what the bot takes from its surroundings, and is not there."""
    asked: list[tuple[str, Callable[[Mapping[str, str]], object]]] = [
        *(("tools", tool.address) for tool in bot.tools),
        *(("mcp", server.address) for server in bot.mcp),
        *(("mcp", server.token_value) for server in bot.mcp),
    ]
    if remote := bot.brain.remote:
        asked += [("brain", remote.address), ("brain", remote.secret_value)]
    for field, ask in asked:
        try:
            ask(environ)
        except Misconfigured as error:
            yield field, str(error)


def _read_folder(folder: Path) -> tuple[dict[str, Bot], list[Problem]]:
    if not folder.is_dir():
        return {}, [Problem(folder, 1, "", "there is no such folder of bots")]
    bots: dict[str, Bot] = {}
    files: dict[str, Path] = {}
    problems: list[Problem] = []
    for file in sorted(folder.glob("*.yaml")):
        found = read(file)
        if isinstance(found, list):
            problems += found
        elif found.name in bots:
            problems.append(Problem(file, 1, "name", f"another file has the bot {found.name!r}"))
        else:
            bots[found.name] = found
            files[found.name] = file
    for name, bot in bots.items():
        if not problems and bot.colleagues:
            problems += _strangers(files[name], bots)
    if not bots and not problems:
        problems.append(Problem(folder, 1, "", "there is no bot file (*.yaml) in it"))
    return bots, problems


def _strangers(file: Path, bots: Mapping[str, Bot]) -> list[Problem]:
    """Return where a file hands over to a bot that there is not."""

    def rules(bot: Bot) -> Iterator[tuple[Place, str]]:
        for place, name in bot.colleagues:
            if name not in bots:
                yield place, f"there is no bot {name!r}; there are: {', '.join(bots)}"

    found = document.read(file, Bot, {"name": file.stem}, rules, "")
    return found if isinstance(found, list) else []


def read(file: Path) -> Bot | list[Problem]:
    """Read one file: a bot, or what is wrong with it."""
    hint = "a bot file is a mapping, like `greeting: Hello.`"
    return document.read(file, Bot, {"name": file.stem}, broken_rules, hint)
