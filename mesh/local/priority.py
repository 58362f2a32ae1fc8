"""Has a process start behind those that hold calls, and run beside them once it serves.

To start one takes a second or more of a processor, all at once, and calls of the others would be
late for that long. Only where this process may undo it: making a process slower is free to anyone,
making it faster again is not.
"""

from __future__ import annotations

import asyncio
import os
import resource
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

BEHIND = 10
"""Steps of niceness: about a tenth of the share of a process that holds calls."""
LONGEST_SECONDS = 5.0
"""So long at most: where there is nothing left for it, it has to come up all the same."""

_CAP_SYS_NICE = 1 << 23
_NICEST = 20


@cache
def may_change() -> bool:
    """Whether this process may give others its own priority again."""
    own = os.getpriority(os.PRIO_PROCESS, 0)
    limit, _ = resource.getrlimit(resource.RLIMIT_NICE)
    return limit == resource.RLIM_INFINITY or limit >= _NICEST - own or _is_allowed_all()


@contextmanager
def behind(pid: int, *, wanted: bool = True) -> Iterator[None]:
    """Have a process that has just begun run behind others while the block runs, if `wanted`."""
    if not (wanted and may_change()):
        yield
        return
    # Before it has threads: they inherit it.
    _put(pid, BEHIND)
    enough = asyncio.get_running_loop().call_later(LONGEST_SECONDS, _put_beside, pid)
    try:
        yield
    finally:
        enough.cancel()
        _put_beside(pid)


def _put_beside(pid: int) -> None:
    # Twice: a thread that was not changed yet may start another meanwhile.
    for _ in range(2):
        with suppress(FileNotFoundError):  # it ended
            for thread in os.listdir(f"/proc/{pid}/task"):
                _put(int(thread), 0)


def _put(thread: int, steps: int) -> None:
    with suppress(ProcessLookupError):
        own = os.getpriority(os.PRIO_PROCESS, 0)
        os.setpriority(os.PRIO_PROCESS, thread, own + steps)


def _is_allowed_all() -> bool:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    held = next((line.split()[1] for line in lines if line.startswith("CapEff:")), "0")
    return bool(int(held, 16) & _CAP_SYS_NICE)
