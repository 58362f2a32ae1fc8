"""From calls to processes, cores, memory, traffic and streams: for each region, and in all."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import ceil
from typing import TYPE_CHECKING

from voicemesh.capacity import traffic
from voicemesh.capacity.units import ENVOYS
from voicemesh.capacity.world import headroom, refused
from voicemesh.errors import InvalidInput
from voicemesh.settings import ServiceSettings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from voicemesh.capacity.prices import Conversation
    from voicemesh.capacity.units import Unit, UnitCosts
    from voicemesh.capacity.world import Demand, Headroom, Place, World

ADMITTED: int = ServiceSettings.model_fields["max_calls"].default
"""Streams that a replica admits where nothing else is set; the next one is refused."""
ADMITTED_BY_ENVOY = 10_000
"""Calls planned for one Envoy thread; half of its circuit breaker."""
MOST_CALLS = 100_000_000


@dataclass(frozen=True)
class Sizing:
    """How full things may be."""

    utilisation: float = 0.6
    """Share of a core that a process uses at most when everything is as planned, 0.1 to 0.9."""
    admitted: int = ADMITTED
    """Calls that one replica admits (VOICEMESH_MAX_CALLS)."""
    spares: int = 1
    """Processes of each kind in a region that may be gone at any time."""
    survive: bool = True
    """Whether one region may be lost."""

    def __post_init__(self) -> None:
        if not 0.1 <= self.utilisation <= 0.9:
            raise InvalidInput("--utilisation", f"is {self.utilisation:g}, not from 0.1 to 0.9")
        if not 1 <= self.admitted <= 20_000:
            raise InvalidInput("--max-calls", f"is {self.admitted}, not from 1 to 20000")


@dataclass(frozen=True)
class Row:
    """One kind of process in one region."""

    kind: str
    processes: int
    """With spares and headroom. Of an Envoy: worker threads."""
    cores: float
    """To reserve, so that none is fuller than planned."""
    memory_gib: float
    now: int | None = None
    """Processes that the topology has by now."""


@dataclass(frozen=True)
class Streams:
    """Streams to providers that are open at once, on average."""

    stt: float
    llm: float
    tts: float


@dataclass(frozen=True)
class RegionPlan:
    """What one region needs."""

    name: str
    calls: Headroom
    rows: tuple[Row, ...]
    from_callers: float
    """Megabits a second, at the planned calls, headroom included."""
    to_callers: float
    hops: Mapping[str, float]
    """Megabits a second on each hop inside, likewise."""
    streams: Streams
    """Likewise."""

    @property
    def processes(self) -> int:
        """All processes."""
        return sum(row.processes for row in self.rows)

    @property
    def cores(self) -> float:
        """All cores to reserve."""
        return sum(row.cores for row in self.rows)

    @property
    def memory_gib(self) -> float:
        """All memory."""
        return sum(row.memory_gib for row in self.rows)


@dataclass(frozen=True)
class Plan:
    """What a world needs."""

    calls: float
    leg: str
    regions: tuple[RegionPlan, ...]
    refused: Mapping[str, Mapping[str, float]]
    """By region that is lost: calls by zone that nobody else may take."""
    notes: tuple[str, ...] = field(default=())


def plan(  # noqa: PLR0913, PLR0917 - each is a table of its own
    world: World,
    demand: Demand,
    calls: float,
    units: UnitCosts,
    talk: Conversation,
    leg: str = "twilio",
    sizing: Sizing | None = None,
) -> Plan:
    """Return what a world needs for so many calls at once.

    Raise InvalidInput where a unit cost is missing, or one call is more than a process can carry.
    """
    if not 1 <= calls <= MOST_CALLS:
        raise InvalidInput("--calls", f"is {calls:g}, not from 1 to {MOST_CALLS}")
    sizing = sizing or Sizing()
    wanted = demand.calls(calls)
    ready = headroom(world, wanted, survive=sizing.survive)
    regions = tuple(
        _region(place, ready[place.name], units, talk, leg, sizing) for place in world.places
    )
    lost = {name: refused(world, wanted, name) for name in world.names} if sizing.survive else {}
    return Plan(
        calls, leg, regions, {name: zones for name, zones in lost.items() if zones}, _notes(units)
    )


def _notes(units: UnitCosts) -> tuple[str, ...]:
    origin = units.origin
    if not origin.noise:
        return ()
    return (f"unit costs were measured on a busy machine: {origin.noise[0]}",)


def _region(
    place: Place,
    calls: Headroom,
    units: UnitCosts,
    talk: Conversation,
    leg: str,
    sizing: Sizing,
) -> RegionPlan:
    count = calls.calls
    line = traffic.leg(leg)
    return RegionPlan(
        place.name,
        calls,
        tuple(
            _row(kind, count, _unit(units, kind), sizing, place.replicas.get(kind))
            for kind in (*ENVOYS, *place.services)
        ),
        _megabits(count * line.up),
        _megabits(count * line.to_caller(talk)),
        {name: _megabits(count * each) for name, each in traffic.hops(talk).items()},
        streams(count, talk),
    )


def _unit(units: UnitCosts, kind: str) -> Unit:
    if kind not in units.kinds:
        known = ", ".join(units.kinds)
        raise InvalidInput(
            "--units",
            f"nothing was measured about {kind!r}, only about {known}: measure a mesh that has it "
            "(`voicemesh bench --json`), or leave it out of the topology",
        )
    return units.kinds[kind]


def carried(kind: str, unit: Unit, sizing: Sizing) -> int:
    """Return how many calls one process carries; raise InvalidInput if not even one."""
    room = sizing.utilisation - unit.idle_cores
    limit = ADMITTED_BY_ENVOY if kind in ENVOYS else sizing.admitted
    count = min(limit, int(room / unit.call_cores)) if unit.call_cores else limit
    if room <= 0 or count < 1:
        raise InvalidInput(
            "--utilisation",
            f"{sizing.utilisation:g} of a core is not enough for one call of {kind!r}: allow more",
        )
    return count


def _row(kind: str, calls: float, unit: Unit, sizing: Sizing, now: int | None) -> Row:
    if not calls:
        return Row(kind, 0, 0.0, 0.0, now)
    processes = ceil(calls / carried(kind, unit, sizing)) + sizing.spares
    return Row(
        kind,
        processes,
        unit.cores(calls, processes) / sizing.utilisation,
        (processes * unit.idle_mib + calls * unit.call_kib / 1024) / 1024,
        now,
    )


def streams(calls: float, talk: Conversation) -> Streams:
    """Return the provider streams of some calls.

    A recogniser is asked while the caller speaks, a voice while the bot does (it is faster than
    real time, so fewer will do), a model for about a second each turn.
    """
    return Streams(
        calls * talk.caller_speaks,
        calls * min(talk.turns_a_minute / 60, 1.0),
        calls * talk.bot_speaks,
    )


def _megabits(bytes_a_second: float) -> float:
    return bytes_a_second * 8 / 1e6
