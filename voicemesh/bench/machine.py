"""What processes and the machine have used, from /proc."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from voicemesh.errors import Misconfigured

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Usage:
    """What one process has used so far."""

    cpu_seconds: float
    """User and system time of all its threads."""
    memory_bytes: int
    """Resident memory."""


@dataclass(frozen=True, slots=True)
class Machine:
    """What all processors together have done so far."""

    busy_seconds: float
    """Time in which one ran anything, interrupts included."""
    stolen_seconds: float
    """Time in which one could have run, but its host let another machine run."""


def parse_stat(text: str) -> float:
    """Return user plus system seconds from /proc/PID/stat."""
    fields = text.rpartition(")")[2].split()  # its second field, a name, may hold spaces
    return (int(fields[11]) + int(fields[12])) / _TICKS


def parse_machine(text: str) -> Machine:
    """Return the first line of /proc/stat."""
    user, nice, system, _, _, irq, soft, stolen = map(int, text.split(maxsplit=9)[1:9])
    return Machine((user + nice + system + irq + soft) / _TICKS, stolen / _TICKS)


def usage(pid: int) -> Usage | None:
    """Return what a process has used; None where it is gone."""
    folder = _PROC / str(pid)
    try:
        seconds = parse_stat((folder / "stat").read_text(encoding="ascii", errors="replace"))
        pages = int((folder / "statm").read_text(encoding="ascii").split()[1])
    except (OSError, IndexError):
        return None
    return Usage(seconds, pages * _PAGE)


def machine() -> Machine:
    """Return what this machine has done."""
    return parse_machine((_PROC / "stat").read_text(encoding="ascii"))


def halves(cores: Iterable[int]) -> tuple[set[int], set[int]]:
    """Return the cores for the mesh, and the last one (of eight or more: two) for its load."""
    ordered = sorted(cores)
    if len(ordered) < 2:
        raise Misconfigured("--pin needs two processor cores", reason="TOO_FEW_CORES")
    own = 2 if len(ordered) >= 8 else 1
    return set(ordered[:-own]), set(ordered[-own:])


def pin(pids: Iterable[int], cores: Collection[int]) -> None:
    """Let processes, with all their threads, run on these cores only."""
    for pid in pids:
        with suppress(OSError):  # it is gone
            threads = [int(task.name) for task in (_PROC / str(pid) / "task").iterdir()]
            for thread in threads:
                with suppress(ProcessLookupError):
                    os.sched_setaffinity(thread, cores)
