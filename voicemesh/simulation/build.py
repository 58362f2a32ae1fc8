"""The regions of a simulation, as a plan has them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voicemesh.simulation.region import Pool, RegionState

if TYPE_CHECKING:
    from collections.abc import Mapping

    from voicemesh.admission import Limits
    from voicemesh.capacity.plan import Plan
    from voicemesh.capacity.prices import Conversation
    from voicemesh.capacity.units import UnitCosts


def states(
    plan: Plan, units: UnitCosts, talk: Conversation, limits: Limits, opening_ms: float
) -> dict[str, RegionState]:
    """Return every region of a plan with its processes; each replica takes on so much."""
    return {
        region.name: RegionState(
            region.name,
            {row.kind: row.processes for row in region.rows},
            {
                row.kind: Pool(row.processes, limits, each)
                for row in region.rows
                if (each := _held(talk).get(row.kind))
            },
            units,
            opening_ms / 1000,
        )
        for region in plan.regions
    }


def _held(talk: Conversation) -> Mapping[str, float]:
    """Return how many streams of each service a call holds on average."""
    return {
        "gateway": 1.0,
        "orchestrator": 1.0,
        "stt": talk.caller_speaks,
        "llm": min(talk.turns_a_minute / 60, 1.0),
        "tts": talk.bot_speaks,
    }
