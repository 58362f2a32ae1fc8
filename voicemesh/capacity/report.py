"""A plan as people read it, and as programs do."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.table import Table
from rich.text import Text

from voicemesh.capacity.bill import bills

if TYPE_CHECKING:
    from rich.console import RenderableType

    from voicemesh.capacity.bill import Bill
    from voicemesh.capacity.plan import Plan, RegionPlan
    from voicemesh.capacity.prices import Prices
    from voicemesh.capacity.units import UnitCosts


def tables(plan: Plan, prices: Prices, units: UnitCosts, *, examples: bool) -> RenderableType:
    """Return everything about a plan."""
    money = bills(plan, prices)
    parts: list[RenderableType] = [
        _regions(plan, money, prices.currency),
        _processes(plan),
        _hops(plan),
    ]
    for lost, zones in plan.refused.items():
        told = ", ".join(f"{count:,.0f} calls of zone {zone}" for zone, count in zones.items())
        parts.append(
            Text(f"no other region may take {told} if {lost} is lost: refused", style="red")
        )
    origin = units.origin
    measured = ", ".join(map(str, origin.calls))
    parts.append(
        Text(
            f"unit costs: {origin.date}, {origin.machine}, {origin.cores} cores, "
            f"{measured} calls ({origin.leg})",
            style="dim",
        )
    )
    parts += [Text(note, style="yellow") for note in plan.notes]
    if examples:
        parts.append(
            Text("prices are examples: copy prices.yaml, edit it, use --prices", style="yellow")
        )
    return Group(*parts)


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    table.add_column(columns[0])
    for column in columns[1:]:
        table.add_column(column, justify="right")
    return table


def _regions(plan: Plan, money: tuple[Bill, ...], currency: str) -> Table:
    table = _table(
        f"{plan.calls:,.0f} calls at once ({plan.leg})",
        "region",
        "calls",
        "+ if one is lost",
        "processes",
        "cores",
        "GiB",
        "Mbit/s in",
        "Mbit/s out",
        "STT / LLM / TTS streams",
        f"{currency}/h machines",
        "traffic",
        "engines",
        "all",
    )
    for region, bill in zip(plan.regions, money, strict=True):
        table.add_row(*_cells(region), *_money(bill))
    table.add_section()
    table.add_row(*_sum(plan), *_all_money(money), style="bold")
    return table


def _cells(region: RegionPlan) -> list[str]:
    streams = region.streams
    return [
        region.name,
        f"{region.calls.own:,.0f}",
        f"{region.calls.spare:,.0f}",
        f"{region.processes:,}",
        f"{region.cores:,.1f}",
        f"{region.memory_gib:,.1f}",
        f"{region.from_callers:,.1f}",
        f"{region.to_callers:,.1f}",
        f"{streams.stt:,.0f} / {streams.llm:,.0f} / {streams.tts:,.0f}",
    ]


def _sum(plan: Plan) -> list[str]:
    regions = plan.regions
    return [
        "all",
        f"{sum(one.calls.own for one in regions):,.0f}",
        f"{sum(one.calls.spare for one in regions):,.0f}",
        f"{sum(one.processes for one in regions):,}",
        f"{sum(one.cores for one in regions):,.1f}",
        f"{sum(one.memory_gib for one in regions):,.1f}",
        f"{sum(one.from_callers for one in regions):,.1f}",
        f"{sum(one.to_callers for one in regions):,.1f}",
        "",
    ]


def _money(bill: Bill) -> list[str]:
    told = (bill.machines, bill.traffic, bill.providers, bill.total)
    return [f"{amount:,.2f}" for amount in told]


def _all_money(money: tuple[Bill, ...]) -> list[str]:
    columns = zip(
        *((one.machines, one.traffic, one.providers, one.total) for one in money), strict=True
    )
    return [f"{sum(column):,.2f}" for column in columns]


def _processes(plan: Plan) -> Table:
    kinds = list(dict.fromkeys(row.kind for one in plan.regions for row in one.rows))
    table = _table(
        "processes (of Envoys: worker threads), in brackets those in the topology",
        "region",
        *kinds,
    )
    for region in plan.regions:
        rows = {row.kind: row for row in region.rows}
        cells = []
        for kind in kinds:
            row = rows.get(kind)
            now = "" if row is None or row.now is None else f" ({row.now})"
            cells.append("" if row is None else f"{row.processes:,}{now}")
        table.add_row(region.name, *cells)
    return table


def _hops(plan: Plan) -> Table:
    names = list(plan.regions[0].hops)
    table = _table("Mbit/s on each hop, both ways, with headroom", "region", *names)
    for region in plan.regions:
        table.add_row(region.name, *(f"{region.hops[name]:,.1f}" for name in names))
    return table


def as_json(plan: Plan, prices: Prices, units: UnitCosts, *, examples: bool) -> dict[str, Any]:
    """Return everything about a plan as JSON values."""
    money = {bill.region: bill for bill in bills(plan, prices)}
    return {
        "calls": plan.calls,
        "leg": plan.leg,
        "regions": [
            asdict(region)
            | {
                "processes": region.processes,
                "cores": round(region.cores, 2),
                "memory_gib": round(region.memory_gib, 2),
                "money_per_hour": asdict(money[region.name])
                | {"total": round(money[region.name].total, 4)},
            }
            for region in plan.regions
        ],
        "refused_if_lost": plan.refused,
        "currency": prices.currency,
        "prices_are_examples": examples,
        "unit_costs": units.origin.model_dump(mode="json"),
        "notes": list(plan.notes),
    }
