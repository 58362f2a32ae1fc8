"""Small worlds for simulations."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from voicemesh.admission import Limits
from voicemesh.capacity.units import Latency, Origin, Unit, UnitCosts
from voicemesh.capacity.world import Place, World, demand
from voicemesh.simulation.model import Simulation
from voicemesh.simulation.region import Pool, RegionState
from voicemesh.simulation.rules import Rules

if TYPE_CHECKING:
    from voicemesh.simulation.story import Story

COSTS = UnitCosts(
    origin=Origin(date=dt.date(2026, 11, 22), machine="m", cores=2, leg="twilio", calls=(20, 80)),
    kinds={
        kind: Unit(
            processes=1,
            idle_cores=0.0,
            call_cores=0.001,
            lag=Latency(base_ms=1, slope_ms=10),
        )
        for kind in ("gateway", "orchestrator")
    },
    latencies={
        "turn_p50": Latency(base_ms=800, slope_ms=10),
        "set_up_p50": Latency(base_ms=5, slope_ms=1),
        "set_up_p99": Latency(base_ms=20, slope_ms=5),
    },
)
SERVICES = ("gateway", "orchestrator")
IMPATIENT = Rules(caller_backoff_seconds=(), resume_backoff_seconds=())
"""Callers who never try twice, as queueing theory has them."""

ALONE = World((Place("west", {"any": ("west",)}, SERVICES),))
THREE = World(
    (
        Place("west", {"eu": ("west", "central"), "any": ("west", "central", "east")}, SERVICES),
        Place(
            "central",
            {"eu": ("central", "west"), "any": ("central", "west", "east")},
            SERVICES,
            away_ms={"west": 25},
        ),
        Place("east", {"us": ("east",), "any": ("east", "west", "central")}, SERVICES),
    )
)


def stage(  # noqa: PLR0913, PLR0917 - a story has many sides
    world: World,
    story: Story,
    rules: Rules | None = None,
    replicas: int = 10,
    limit: int = 400,
    set_up_seconds: float = 0.0,
    lag_seconds: float = 0.0,
    shares: str = "",
) -> Simulation:
    """Return a simulation in which every region has as many replicas of each service."""
    regions = {
        name: RegionState(
            name,
            dict.fromkeys(SERVICES, replicas),
            {kind: Pool(replicas, Limits(limit, lag_seconds)) for kind in SERVICES},
            COSTS,
            set_up_seconds,
        )
        for name in world.names
    }
    return Simulation(world, demand(world, shares), story, rules or Rules(), regions)
