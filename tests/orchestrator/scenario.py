"""Scenario files: a header (YAML), what is done, and what happened then, parted by ``----``.

Header: ``story``, ``bot`` (as in a bot file), ``answers`` (what the caller says: pieces of the
answer, a call of a tool being a mapping), ``results`` of tools, ``tool_seconds``, ``deaf`` where
words may be lost. What can be done::

    open                  open a session on a new replica
    quiet                 go on until nothing has happened for a second
    wait 0.5              let time pass
    caller WORDS          the caller speaks, until the end of it is noticed
    begins WORDS          the caller begins to speak
    stops                 go on until the caller has stopped
    coughs 0.4            the caller makes a noise for so long
    plays 0.8             go on until so much more of the bot was heard
    presses 12#           the caller presses keys, one every 0.2 s
    hold on               the call is put on hold, or taken back: ``hold off``
    command KEY say WORDS (or hang_up, or transfer TARGET) from an application
    fault stt hang 2      the next stream does that after two results; ``fine`` is none
    drain                 the replica is asked to go
    crash 0.5             the replica dies; another is opened after so long
    hangs up              the caller hangs up, and the orchestrator says goodbye
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml

from orchestrator import events
from tests.orchestrator.driver import World, answers
from tests.orchestrator.model_senses import Call, Fault
from voicemesh.bots import Bot

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.orchestrator.model_senses import Line

PARTING = "\n----\n"


@dataclass
class Scenario:
    header: str
    steps: str
    trace: str

    @classmethod
    def read(cls, path: Path) -> Scenario:
        parts = path.read_text().split(PARTING)
        return cls(parts[0], parts[1], parts[2] if len(parts) > 2 else "")

    def write(self, path: Path, trace: str) -> None:
        path.write_text(PARTING.join((self.header, self.steps.rstrip("\n"), trace)))

    def run(self) -> World:
        header = yaml.safe_load(self.header)
        bot = Bot.model_validate({"name": "desk"} | header.get("bot", {}))
        lines = {said: _line(pieces) for said, pieces in header.get("answers", {}).items()}
        world = World(bot, answers(lines))
        world.tools.seconds = header.get("tool_seconds", world.tools.seconds)
        world.gateway.deaf = header.get("deaf", False)
        for tool, result in header.get("results", {}).items():
            world.tools.results[tool] = result
        for step in self.steps.splitlines():
            if step.strip():
                verb, _, rest = step.partition(" ")
                _STEPS[verb](world, rest.strip())
        world.check()
        return world


def _line(pieces: Any) -> Line:  # noqa: ANN401 - as YAML has it
    if isinstance(pieces, str):
        return [pieces]
    return [
        piece if isinstance(piece, str) else Call(piece["call"], piece.get("with", {}))
        for piece in pieces
    ]


def _presses(world: World, keys: str) -> None:
    for key in keys:
        world.gateway.caller_presses(key)
        world.clock.run(0.2)


def _command(world: World, rest: str) -> None:
    key, kind, *argument = rest.split(" ", 2)
    world.gateway.application_asks(key, kind, *argument)


def _fault(world: World, rest: str) -> None:
    sense, kind, *after = rest.split()
    fault = None if kind == "fine" else Fault(kind, int(after[0]) if after else 0)
    getattr(world.faults, sense).append(fault)


def _drain(world: World, _: str) -> None:
    assert world.replica
    world.replica.handle(events.DrainAsked(30.0))


_STEPS: dict[str, Callable[[World, str], object]] = {
    "open": lambda world, _: world.open(),
    "quiet": lambda world, _: world.until_quiet(),
    "wait": lambda world, rest: world.clock.run(float(rest)),
    "caller": lambda world, rest: world.caller_says(rest),
    "begins": lambda world, rest: world.gateway.caller_begins(rest),
    "stops": lambda world, _: world.until(lambda: not world.gateway.speaking),
    "coughs": lambda world, rest: world.gateway.caller_coughs(float(rest)),
    "plays": lambda world, rest: world.bot_plays(float(rest)),
    "presses": _presses,
    "hold": lambda world, rest: world.gateway.hold(rest == "on"),
    "command": _command,
    "fault": _fault,
    "drain": _drain,
    "crash": lambda world, rest: world.crash(float(rest)),
    "hangs": lambda world, _: world.finish(),
}
