"""What a plan costs: machines as reserved, traffic and engines as used."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from voicemesh.capacity import traffic

if TYPE_CHECKING:
    from voicemesh.capacity.plan import Plan, RegionPlan
    from voicemesh.capacity.prices import Conversation, Prices

_GIB = 1024**3


@dataclass(frozen=True)
class Bill:
    """Money per hour with all calls going on."""

    region: str
    machines: float
    traffic: float
    """What leaves the region to callers."""
    providers: float

    @property
    def total(self) -> float:
        """All of it."""
        return self.machines + self.traffic + self.providers


def bills(plan: Plan, prices: Prices) -> tuple[Bill, ...]:
    """Return the bill of each region; headroom costs machines, but neither traffic nor engines."""
    return tuple(_bill(region, plan.leg, prices) for region in plan.regions)


def _bill(region: RegionPlan, leg: str, prices: Prices) -> Bill:
    rates, talk = prices.rates(region.name), prices.conversation
    calls = region.calls.own
    sent = calls * traffic.leg(leg).to_caller(talk) * 3600 / _GIB
    return Bill(
        region.name,
        region.cores * rates.core_hour + region.memory_gib * rates.gib_hour,
        sent * rates.egress_gib,
        calls * of_engines(prices, talk),
    )


def of_engines(prices: Prices, talk: Conversation) -> float:
    """Return what the engines of one call cost in an hour."""
    turns = talk.turns_a_minute * 60
    of = prices.providers
    return (
        60 * talk.caller_speaks * of.stt_minute
        + turns * talk.tokens_in * of.llm_million_tokens_in / 1e6
        + turns * talk.tokens_out * of.llm_million_tokens_out / 1e6
        + turns * talk.characters * of.tts_million_characters / 1e6
    )
