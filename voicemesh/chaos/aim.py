"""Kills an orchestrator at the very instant at which it calls a tool."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from contextlib import suppress
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

from voicemesh.chaos.gaps import Struck
from voicemesh.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from voicemesh.chaos.mesh import Member

NAME = "kill orchestrator at tool"
_SERVICE = "orchestrator"
_MOST = 2
"""Kills for one intent: a call that kills whoever conducts it is taken for the culprit."""

_SPARED = 2
"""Orchestrators that are left: what is shown is the call of a tool, not the lack of orchestrators,
and with many calls there would soon be none."""


class Moment(Enum):
    """Where in a tool's call the kill strikes."""

    ASKED = "asked"
    """The tool has been asked and has done nothing yet."""
    DONE = "done"
    """It has done it and has not answered."""
    ANSWERED = "answered"
    """The answer is on its way."""


class Aim:
    """Chooses, for each intent, the moment of each kill. Safe for use by many threads."""

    def __init__(
        self, seed: int, members: Callable[[], Sequence[Member]], struck: list[Struck]
    ) -> None:
        self._seed = seed
        self._members = members
        self._struck = struck
        self._chosen: dict[str, list[Moment]] = {}
        self._dead: set[int] = set()
        self._one_at_a_time = threading.Lock()

    def reached(self, moment: Moment, key: str, port: int, own_port: int) -> None:
        """Kill whoever asks from `port`, if this is the moment for it."""
        left = self._chosen.setdefault(key, self._choose(len(self._chosen)))
        if left and left[0] is moment and self._kill(port, own_port):
            left.pop(0)

    def _choose(self, number: int) -> list[Moment]:
        dice = random.Random(f"{self._seed} {number}")  # noqa: S311 - a schedule, no secret
        return dice.choices(list(Moment), k=dice.randint(1, _MOST))

    def _kill(self, port: int, own_port: int) -> bool:
        with self._one_at_a_time, suppress(Unavailable, ProcessLookupError):
            able = [each for each in self._members() if self._serves(each)]
            socket = _socket(port, own_port)
            victim = next((each for each in able if socket and _holds(each.pid, socket)), None)
            if victim is not None and victim.pid and len(able) > _SPARED:
                now = time.monotonic()
                os.kill(victim.pid, signal.SIGKILL)
                self._dead.add(victim.pid)
                self._struck.append(Struck(NAME, victim.name, now, now, _SERVICE))
                return True
        return False

    def _serves(self, member: Member) -> bool:
        # The mesh learns of a death some milliseconds after it.
        return member.serving and member.service == _SERVICE and member.pid not in self._dead


def _socket(port: int, other_port: int) -> str:
    """Return the link that a process has to its loopback socket between two ports; "" if none.

    Columns of `/proc/net/tcp`: proc(5).
    """
    for line in _rows():
        fields = line.split()
        ends = [int(end.rpartition(":")[2], 16) for end in fields[1:3]]
        if ends == [port, other_port]:
            return f"socket:[{fields[9]}]"
    return ""


def _rows() -> Iterable[str]:
    return Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]


def _holds(pid: int | None, socket: str) -> bool:
    with suppress(OSError):
        for link in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):
                if os.readlink(link) == socket:
                    return True
    return False
