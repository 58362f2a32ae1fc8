"""Unit costs: what a process costs before its first call, and what each call adds.

Fitted by least squares to what `voicemesh bench` measured at several loads:

    cores of all processes of a kind  =  processes x idle cores  +  calls x cores per call
    memory likewise
    a latency                         =  base + slope x crowding

Crowding is the mean number of events that wait in an event loop, added up over the kinds of
processes that an event passes: rho^2 / (2 (1 - rho)) each, where rho is the share of a core that is
used (the queue of M/D/1, by Pollaczek and Khinchine).
"""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from voicemesh.capacity.runs import TOTAL
from voicemesh.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from voicemesh.capacity.runs import Run, Times

MEASURED = Path(__file__).with_name("units.json")
"""What was measured last for this version."""
ENVOYS = ("edge", "mesh")
_FULLEST = 0.98
"""Utilisation beyond which a queue's length says nothing any more."""

_NotLess = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Latency(_Part):
    """A percentile of a time, milliseconds, by how crowded event loops are."""

    base_ms: _NotLess
    slope_ms: _NotLess

    def at(self, crowding: float) -> float:
        """Return it, milliseconds."""
        return self.base_ms + self.slope_ms * crowding


class Unit(_Part):
    """One kind of process."""

    processes: Annotated[int, Field(ge=1)]
    """How many there were in the mesh that was measured."""
    idle_cores: _NotLess
    """Each, with no call."""
    call_cores: _NotLess
    """All together, for each call."""
    idle_mib: _NotLess = 0.0
    call_kib: _NotLess = 0.0
    lag: Latency | None = None
    """p95 of the event loop's lag by the queue before it; None where none was measured."""

    def cores(self, calls: float, processes: int | None = None) -> float:
        """Return the cores that some calls take."""
        return (processes or self.processes) * self.idle_cores + calls * self.call_cores


class Origin(_Part):
    """Where unit costs come from."""

    date: date
    machine: str
    cores: Annotated[int, Field(ge=1)]
    leg: str
    """How callers came."""
    calls: tuple[int, ...]
    """The loads that were measured."""
    noise: tuple[str, ...] = ()
    """What else the machine did; empty if it was quiet."""


class UnitCosts(_Part):
    """Everything that was fitted."""

    origin: Origin
    kinds: dict[str, Unit]
    """By kind of process: services and the two Envoys, `edge` and `mesh`."""
    latencies: dict[str, Latency]
    """By name: turn_p50, turn_p95, set_up_p50, set_up_p99."""
    opening_ms: _NotLess | None = None
    """Processor milliseconds of one call's set-up, all processes; None: not measured."""

    def crowding(self, calls: float) -> float:
        """Return how crowded the event loops of the mesh that was measured are with some calls."""
        rhos = (unit.cores(calls) / unit.processes for unit in self.kinds.values())
        return sum(map(queue, rhos))


def queue(rho: float) -> float:
    """Return how many events wait on average in an event loop that is busy for a share `rho`."""
    rho = min(max(rho, 0.0), _FULLEST)
    return rho * rho / (2 * (1 - rho))


def load(path: Path = MEASURED) -> UnitCosts:
    """Read unit costs; raise InvalidInput naming file, field and what to do."""
    try:
        return UnitCosts.model_validate_json(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidInput(str(path), f"cannot be read ({error})") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise InvalidInput(
            str(path), f"{where}: {first['msg'].lower()}: write it with `voicemesh units --write`"
        ) from error


def fit(runs: Sequence[Run], origin: Origin) -> UnitCosts:
    """Return the unit costs that explain some runs best; raise InvalidInput where they differ."""
    if len({run.calls for run in runs}) < 2:
        raise InvalidInput(
            "runs", "measure at two different numbers of calls at least, three are better"
        )
    kinds = {kind: len(found) for kind, found in runs[0].cores().items()}
    for run in runs[1:]:
        if {kind: len(found) for kind, found in run.cores().items()} != kinds:
            raise InvalidInput("runs", "come from meshes of different processes")
    units = {kind: _unit(kind, count, runs) for kind, count in kinds.items()}
    bare = UnitCosts(origin=origin, kinds=units, latencies={})
    return bare.model_copy(update={"latencies": _latencies(bare, runs)})


def _unit(kind: str, processes: int, runs: Sequence[Run]) -> Unit:
    calls = [float(run.calls) for run in runs]
    idle, each = line(calls, [sum(run.cores()[kind]) for run in runs])
    _, growth = line(calls, [sum(run.growth_kib().get(kind, [0.0])) for run in runs])
    lag = _lag(kind, runs, Unit(processes=processes, idle_cores=idle / processes, call_cores=each))
    resident = [mib for run in runs for mib in run.idle_mib().get(kind, [])]
    return Unit(
        processes=processes,
        idle_cores=round(idle / processes, 7),
        call_cores=each,
        idle_mib=round(float(np.mean(resident)), 1) if resident else 0.0,
        call_kib=growth,
        lag=lag,
    )


def _lag(kind: str, runs: Sequence[Run], unit: Unit) -> Latency | None:
    known = [run for run in runs if kind in run.lags()]
    if not known:
        return None
    queues = [queue(unit.cores(run.calls) / unit.processes) for run in known]
    base, slope = line(queues, [float(np.mean(run.lags()[kind])) for run in known])
    return Latency(base_ms=base, slope_ms=slope)


def opening_ms(units: UnitCosts, run: Run) -> float:
    """Return what setting up one call costs: what a run from its start on took beyond the rest.

    Raise InvalidInput where the run set no call up, or told too little.
    """
    if not run.set_up.count or not run.session_seconds:
        raise InvalidInput("--openings", "give what `voicemesh bench --from-start --json` printed")
    used = run.session_seconds * sum(
        cost for name, cost in run.cpu_ms_per_session_second.items() if name != TOTAL
    )
    known = sum(
        unit.processes * unit.idle_cores * run.seconds + unit.call_cores * run.session_seconds
        for unit in units.kinds.values()
    )
    return round(max(used - 1000 * known, 0.0) / run.set_up.count, 3)


_LATENCIES: Mapping[str, Callable[[Run], float | None]] = {
    "turn_p50": lambda run: _told(run.turn, "p50_ms"),
    "turn_p95": lambda run: _told(run.turn, "p95_ms"),
    "set_up_p50": lambda run: _told(run.set_up, "p50_ms"),
    "set_up_p99": lambda run: _told(run.set_up, "p99_ms"),
}


def measured(run: Run, name: str) -> float | None:
    """Return a latency as a run measured it."""
    return _LATENCIES[name](run)


def _told(times: Times, name: str) -> float | None:
    value: float | None = getattr(times, name)
    return value


def _latencies(units: UnitCosts, runs: Sequence[Run]) -> dict[str, Latency]:
    found = {}
    for name in _LATENCIES:
        known = [(run, value) for run in runs if (value := measured(run, name)) is not None]
        if known:
            crowding = [units.crowding(run.calls) for run, _ in known]
            base, slope = line(crowding, [value for _, value in known])
            found[name] = Latency(base_ms=base, slope_ms=slope)
    return found


def line(at: Sequence[float], values: Sequence[float]) -> tuple[float, float]:
    """Return base and slope of the closest line whose base and slope are not negative."""
    x, y = np.asarray(at, np.float64), np.asarray(values, np.float64)
    spread = float(((x - x.mean()) ** 2).sum())
    slope = float(((x - x.mean()) * (y - y.mean())).sum()) / spread if spread else 0.0
    base = float(y.mean()) - slope * float(x.mean())
    if slope < 0:
        slope, base = 0.0, float(y.mean())
    elif base < 0:
        base, slope = 0.0, float((x * y).sum() / (x * x).sum())
    return round(max(base, 0.0), 7), round(max(slope, 0.0), 7)
