"""The plan's arithmetic, for any world."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from math import ceil

import pytest
from hypothesis import given, settings, strategies as st

from voicemesh.capacity import prices
from voicemesh.capacity.bill import bills, of_engines
from voicemesh.capacity.plan import Plan, Sizing, carried, plan, streams
from voicemesh.capacity.units import Origin, Unit, UnitCosts
from voicemesh.capacity.world import Demand, Place, World, demand, headroom, refused, taken_over
from voicemesh.errors import InvalidInput

KINDS = ("edge", "mesh", "gateway", "orchestrator", "stt", "llm", "tts")
COSTS = UnitCosts(
    origin=Origin(date=dt.date(2026, 11, 22), machine="m", cores=2, leg="twilio", calls=(20, 80)),
    kinds={
        kind: Unit(processes=1, idle_cores=0.01, call_cores=0.001, idle_mib=100, call_kib=64)
        for kind in KINDS
    },
    latencies={},
)
SERVICES = KINDS[2:]
PRICES = prices.load()
TALK = PRICES.conversation
ZONES = ("eu", "us", "any")


def place(name: str, *fences: tuple[str, ...]) -> Place:
    return Place(name, {fence[0]: fence[1:] for fence in fences}, SERVICES)


THREE = World(
    (
        place("west", ("eu", "west", "central"), ("any", "west", "central", "east")),
        place("central", ("eu", "central", "west"), ("any", "central", "west", "east")),
        place("east", ("us", "east"), ("any", "east", "west", "central")),
    )
)
ALONE = World((place("west", ("any", "west")),))


@st.composite
def worlds(draw: st.DrawFn) -> World:
    names = [f"r{number}" for number in range(draw(st.integers(1, 6)))]
    some_zones = st.lists(st.sampled_from(ZONES), min_size=1, max_size=3, unique=True)
    serving = {name: draw(some_zones) for name in names}

    def made_of(name: str) -> Place:
        order = [name, *draw(st.permutations([one for one in names if one != name]))]
        fences = {
            zone: tuple(one for one in order if zone in serving[one]) for zone in serving[name]
        }
        return Place(name, fences, SERVICES)

    return World(tuple(map(made_of, names)))


@st.composite
def demands(draw: st.DrawFn) -> tuple[World, Demand]:
    world = draw(worlds())
    keys = [(one.name, zone) for one in world.places for zone in one.fences]
    weights = [draw(st.integers(0, 5)) for _ in keys]
    weights[0] += not any(weights)
    total = sum(weights)
    return world, Demand({key: one / total for key, one in zip(keys, weights, strict=True)})


Where = tuple[World, Demand]


def made(where: Where, calls: float, sizing: Sizing | None = None) -> Plan:
    return plan(*where, calls, COSTS, TALK, sizing=sizing)


@given(demands(), st.floats(1, 1e6), st.floats(1, 1e6))
@settings(max_examples=60)
def test_more_calls_never_need_less(where: Where, calls: float, more: float) -> None:
    few, many = made(where, calls), made(where, calls + more)
    for one, other in zip(few.regions, many.regions, strict=True):
        assert one.cores <= other.cores + 1e-9
        assert one.memory_gib <= other.memory_gib + 1e-9
        assert all(a.processes <= b.processes for a, b in zip(one.rows, other.rows, strict=True))
    money = [sum(bill.total for bill in bills(one, PRICES)) for one in (few, many)]
    assert money[0] <= money[1] + 1e-9


@given(demands(), st.floats(1, 1e6))
@settings(max_examples=60)
def test_no_lost_region_asks_more_than_was_planned(where: Where, calls: float) -> None:
    world, shares = where
    wanted = shares.calls(calls)
    ready = headroom(world, wanted)
    for lost in world.names:
        extra = taken_over(world, wanted, lost)
        assert extra[lost] == 0
        for name in world.names:
            assert ready[name].own + extra[name] <= ready[name].calls + 1e-6
        # Nobody is forgotten: whoever is lost is taken over, or refused.
        moved = sum(extra.values()) + sum(refused(world, wanted, lost).values())
        assert moved == pytest.approx(ready[lost].own)


@given(demands(), st.floats(1, 1e5))
@settings(max_examples=60)
def test_nothing_is_fuller_than_asked_for(where: Where, calls: float) -> None:
    sizing = Sizing(utilisation=0.5, admitted=200)
    for region in made(where, calls, sizing).regions:
        for row in region.rows:
            if row.processes:
                each = region.calls.calls / (row.processes - sizing.spares)
                unit = COSTS.kinds[row.kind]
                assert unit.idle_cores + each * unit.call_cores <= sizing.utilisation + 1e-9
                assert row.kind in {"edge", "mesh"} or each <= sizing.admitted


@given(demands(), st.floats(1, 1e5), st.floats(0.1, 0.9), st.floats(0.1, 0.9))
@settings(max_examples=40)
def test_fuller_processes_are_fewer(
    where: Where, calls: float, share: float, another: float
) -> None:
    counts = [
        sum(region.processes for region in made(where, calls, Sizing(utilisation=one)).regions)
        for one in sorted((share, another))
    ]
    assert counts[0] >= counts[1]


def test_a_fence_is_never_crossed() -> None:
    half = demand(THREE, "west=1,east=1")
    assert taken_over(THREE, half.calls(1000), "west") == {"west": 0, "central": 500, "east": 0}
    assert plan(THREE, half, 1000, COSTS, TALK).refused == {"east": {"us": 500}}


def test_callers_who_do_not_mind_go_further() -> None:
    wanted = demand(THREE, "east/any=1").calls(100)
    assert taken_over(THREE, wanted, "east") == {"west": 100, "central": 0, "east": 0}
    assert headroom(THREE, wanted)["west"].calls == 100
    assert headroom(THREE, wanted, survive=False)["west"].calls == 0


def test_a_plan_by_hand() -> None:
    [region] = plan(ALONE, demand(ALONE), 1000, COSTS, TALK).regions
    gateway = next(row for row in region.rows if row.kind == "gateway")
    # A process has room for (0.6 - 0.01) / 0.001 calls, but admits 400.
    assert gateway.processes == ceil(1000 / 400) + 1
    assert gateway.cores == pytest.approx((4 * 0.01 + 1000 * 0.001) / 0.6)
    assert gateway.memory_gib == pytest.approx((4 * 100 + 1000 * 64 / 1024) / 1024)
    assert region.processes == sum(row.processes for row in region.rows)


def test_money_by_hand() -> None:
    whole = plan(ALONE, demand(ALONE), 1000, COSTS, TALK, leg="sip")
    rates = prices.Rates(core_hour=1, gib_hour=0, egress_gib=2)
    [bill] = bills(whole, PRICES.model_copy(update={"default": rates}))
    assert bill.machines == pytest.approx(whole.regions[0].cores)
    # G.711 over RTP never pauses: 200 bytes, 50 times a second.
    assert bill.traffic == pytest.approx(1000 * 50 * 200 * 3600 / 1024**3 * 2)
    assert bill.providers == pytest.approx(1000 * of_engines(PRICES, TALK))
    assert bill.total == pytest.approx(bill.machines + bill.traffic + bill.providers)


def test_a_region_may_be_dearer() -> None:
    dear = PRICES.model_copy(update={"regions": {"west": prices.Rise(core_hour=9)}})
    assert dear.rates("west").core_hour == 9
    assert dear.rates("west").gib_hour == PRICES.default.gib_hour
    assert dear.rates("east") == PRICES.default


def test_streams_of_providers_follow_the_talk() -> None:
    found = streams(100, TALK)
    assert found.stt == pytest.approx(100 * TALK.caller_speaks)
    assert found.tts == pytest.approx(100 * TALK.bot_speaks)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("north=1", "no region 'north'"),
        ("west/us=1", "does not serve 'us'"),
        ("west=-1", "a number from 0"),
        ("west=x", "a number from 0"),
        ("west", "a number from 0"),
        ("west=inf", "a number from 0"),
        ("west=0", "there is no call"),
    ],
)
def test_shares_that_make_no_sense_are_explained(text: str, why: str) -> None:
    with pytest.raises(InvalidInput, match=why):
        demand(THREE, text)


def test_shares_add_up() -> None:
    found = demand(THREE, "west=3, west/any=1,east=4")
    assert sum(found.shares.values()) == pytest.approx(1)
    assert found.of("west") == pytest.approx(0.5)
    assert demand(THREE).of("central") == pytest.approx(1 / 3)


def test_what_cannot_be_planned_is_explained() -> None:
    unknown = World((replace(ALONE.places[0], services=("gateway", "sip")),))
    with pytest.raises(InvalidInput, match="nothing was measured about 'sip'"):
        plan(unknown, demand(unknown), 10, COSTS, TALK)
    with pytest.raises(InvalidInput, match="--calls"):
        plan(THREE, demand(THREE), 0, COSTS, TALK)
    with pytest.raises(InvalidInput, match="--leg"):
        plan(THREE, demand(THREE), 10, COSTS, TALK, leg="fax")
    heavy = Unit(processes=1, idle_cores=0.0, call_cores=0.7)
    with pytest.raises(InvalidInput, match="not enough for one call of 'gateway'"):
        carried("gateway", heavy, Sizing())
    with pytest.raises(InvalidInput, match="--utilisation"):
        Sizing(utilisation=0.95)
    with pytest.raises(InvalidInput, match="--max-calls"):
        Sizing(admitted=0)
