"""What the mesh, the load generator and everything else used while something was measured."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from voicemesh.bench import machine
from voicemesh.bench.figures import Cost, Surroundings

if TYPE_CHECKING:
    from collections.abc import Iterable

    from voicemesh.bench.mesh import Members

UNKNOWN = "the mesh is not on this machine: what its processes used is unknown"


@dataclass(frozen=True)
class _Reading:
    usage: dict[int, machine.Usage]
    machine: machine.Machine

    @classmethod
    def of(cls, pids: Iterable[int]) -> _Reading:
        found = {pid: used for pid in pids if (used := machine.usage(pid)) is not None}
        return cls(found, machine.machine())


class Watch:
    """Reads when it is made (nothing runs yet), at `begin` and at `end`."""

    def __init__(self, members: Members | None, generators: Iterable[int]) -> None:
        self._members = members
        self._own = {pid: f"load generator {number}" for number, pid in enumerate(generators)}
        self._own[os.getpid()] = "this command"
        if members is not None:
            self._own[members.supervisor_pid] = "supervisor"
        self._idle = self._first = self._middle = self._last = self._read()

    def begin(self) -> None:
        """Read at the begin of the measurement."""
        self._first = self._read()

    def halfway(self) -> None:
        """Read in the middle: what grows from here on does not stop growing."""
        self._middle = self._read()

    def end(self) -> None:
        """Read at its end."""
        self._last = self._read()

    def costs(self, after: Members | None) -> tuple[Cost, ...]:
        """Return what each process of the mesh used; event loop lag is as told `after`."""
        lags = {one.pid: one.loop_lag_p95_ms for one in after.members} if after else {}
        return tuple(
            self._cost(one.pid, one.name, lags.get(one.pid))
            for one in (self._members.members if self._members else ())
            if one.pid in self._last.usage
        )

    def own_costs(self) -> tuple[Cost, ...]:
        """Return what each process used that is no part of the mesh but works for us."""
        return tuple(
            self._cost(pid, name) for pid, name in self._own.items() if pid in self._last.usage
        )

    def surroundings(self, seconds: float, after: Members | None) -> Surroundings:
        """Return what else happened."""
        first, last = self._first, self._last
        known = sum(
            used.cpu_seconds - first.usage[pid].cpu_seconds for pid, used in _both(first, last)
        )
        busy = last.machine.busy_seconds - first.machine.busy_seconds
        stolen = last.machine.stolen_seconds - first.machine.stolen_seconds
        foreign = max(busy - known, 0.0)
        return Surroundings(seconds, os.cpu_count() or 1, foreign, stolen, self._notes(after))

    def _read(self) -> _Reading:
        members = self._members.members if self._members else ()
        return _Reading.of([*self._own, *(member.pid for member in members)])

    def _cost(self, pid: int, name: str, lag: float | None = None) -> Cost:
        last, first, idle = self._last.usage[pid], self._first.usage[pid], self._idle.usage[pid]
        seconds = last.cpu_seconds - first.cpu_seconds
        growth = last.memory_bytes - idle.memory_bytes
        middle = self._middle.usage.get(pid, first)
        drift = last.memory_bytes - middle.memory_bytes
        return Cost(name, seconds, growth, lag, idle.memory_bytes, drift)

    def _notes(self, after: Members | None) -> tuple[str, ...]:
        if self._members is None:
            return (UNKNOWN,)
        now = {member.pid for member in after.members} if after else set()
        return tuple(
            f"{member.name} ended while it was being measured"
            for member in self._members.members
            if member.pid not in now
        )


def _both(first: _Reading, last: _Reading) -> Iterable[tuple[int, machine.Usage]]:
    return ((pid, used) for pid, used in last.usage.items() if pid in first.usage)
