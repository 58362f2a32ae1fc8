"""What one region has: processes, places, and openings that wait for a processor."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from voicemesh.admission import LAG_SAMPLES, Admission, Limits
from voicemesh.capacity.units import queue

if TYPE_CHECKING:
    from collections.abc import Mapping

    from voicemesh.capacity.units import UnitCosts

AT_GATEWAYS = ("edge", "gateway", "sip")
"""Kinds of processes that work for calls that came in here; all others work for their brains."""
BRAIN = "orchestrator"
BOUNDLESS = 1 << 60
OPENERS = ("gateway", "orchestrator")
"""Kinds of processes that the work of an opening falls on, half on each."""

LAG_INTERVAL = 0.1
"""Seconds between two looks at an event loop's lag."""


@dataclass(frozen=True)
class Batch:
    """Openings that are alike."""

    home: str
    """Region that these calls belong to."""
    zone: str
    count: int
    born: float
    """When the callers began to wait."""
    delay: float = 0.0
    """Waits of theirs that no queue of ours explains."""
    gateway: str = ""
    """Region whose gateways hold these calls already; empty if they want one, too."""
    resumed: bool = False
    """Whether the calls were going on before."""
    tries: int = 0
    """How often all regions have refused it."""
    at: int = 0
    """Which region of the fence is asked."""


@dataclass
class Pool:
    """The replicas of one service.

    Streams lie evenly on them, as they do where Envoy takes the less busy of two and a refused
    opening is offered to another: so one replica's admission stands for all.
    """

    processes: int
    limits: Limits
    """What each takes on."""
    each: float = 1.0
    """Streams that a call holds on average."""
    admission: Admission = field(init=False)

    def __post_init__(self) -> None:
        self.admission = Admission(self.limits)

    def room(self, calls: int, now: float, *, new: bool) -> int:
        """Return how many more calls it admits beside some."""
        used = calls * self.each
        if not self.processes or self.admission.refusal(int(used / self.processes), now, new=new):
            return 0
        return int((self.processes * self.limits.streams - used) / self.each)

    def lagged(self, seconds: float, step: float) -> None:
        """Take note of the event loop's lag during one step."""
        for _ in range(min(max(round(step / LAG_INTERVAL), 1), LAG_SAMPLES)):
            self.admission.lagged(seconds)


@dataclass
class RegionState:
    """One region."""

    name: str
    processes: Mapping[str, int]
    """By kind, Envoys included."""
    pools: Mapping[str, Pool]
    """By kind, for those that refuse."""
    units: UnitCosts
    set_up_seconds: float
    """Processor time of one opening."""
    waiting: deque[Batch] = field(default_factory=deque)
    healthy: float = 1.0
    """Share of its replicas that is there."""
    opened: int = 0
    """Openings served in the last step."""

    def lose(self, share: float) -> None:
        """Lose a share of the brains' replicas; all of them take the gateways with them."""
        self.healthy = 1 - share

        def left(kind: str, count: int) -> int:
            return count if kind in AT_GATEWAYS and self.healthy else int(count * self.healthy)

        self.processes = {kind: left(kind, count) for kind, count in self.processes.items()}
        self.pools = {
            kind: replace(pool, processes=left(kind, pool.processes))
            for kind, pool in self.pools.items()
        }

    def gateway_room(self, calls: int, now: float, *, new: bool) -> int:
        """Return how many more calls its gateways take."""
        free = [
            pool.room(calls, now, new=new)
            for kind, pool in self.pools.items()
            if kind in AT_GATEWAYS
        ]
        return max(min(free, default=BOUNDLESS), 0)

    def brain_room(self, calls: int, now: float, *, new: bool) -> int:
        """Return how many more calls its orchestrators take.

        Full engines are noticed as they are by a real orchestrator: by being turned away.
        """
        free = {
            kind: pool.room(calls, now, new=new)
            for kind, pool in self.pools.items()
            if kind not in AT_GATEWAYS
        }
        brains = self.pools.get(BRAIN)
        if brains and any(not places for kind, places in free.items() if kind != BRAIN):
            brains.admission.turned_away(now)
        return max(min(free.values(), default=BOUNDLESS), 0)

    def feel(self, gateway_calls: int, brain_calls: int, step: float) -> None:
        """Have replicas notice how late their event loops are."""
        for kind, rho in self.loads(gateway_calls, brain_calls, step).items():
            lag, pool = self.units.kinds[kind].lag, self.pools.get(kind)
            if lag is not None and pool is not None:
                pool.lagged(lag.at(queue(rho)) / 1000, step)

    def budget(self, gateway_calls: int, brain_calls: int, step: float) -> float:
        """Return how many openings its processors manage in a step."""
        if not self.set_up_seconds:
            return float("inf")
        each = self.set_up_seconds / len(OPENERS)
        free = [
            self.processes[kind] * step - self.cores(kind, gateway_calls, brain_calls) * step
            for kind in OPENERS
            if kind in self.processes
        ]
        return max(min(free, default=0.0), 0.0) / each

    def cores(self, kind: str, gateway_calls: int, brain_calls: int) -> float:
        """Return the cores that a kind of process uses for the calls that go on."""
        unit, count = self.units.kinds[kind], self.processes[kind]
        calls = gateway_calls if kind in AT_GATEWAYS else brain_calls
        return count * unit.idle_cores + calls * unit.call_cores

    def loads(self, gateway_calls: int, brain_calls: int, step: float) -> dict[str, float]:
        """Return how busy processes are, as a share of a core, by kind."""
        opening = self.opened * self.set_up_seconds / len(OPENERS) / step
        found = {}
        for kind, count in self.processes.items():
            if count:
                more = opening if kind in OPENERS else 0.0
                used = self.cores(kind, gateway_calls, brain_calls) + more
                found[kind] = min(used / count, 1.0)
        return found

    def crowding(self, loads: Mapping[str, float]) -> float:
        """Return how crowded event loops are, as unit costs count it."""
        return sum(map(queue, loads.values()))
