"""What must be true between the parts of a topology."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from difflib import get_close_matches
from typing import TYPE_CHECKING, TypeAlias

from mesh.yamlfile import Place

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mesh.topology.model import Topology

Problem: TypeAlias = tuple[Place, str]


def broken(topology: Topology) -> list[Problem]:
    """Return where a topology contradicts itself, and what to do about it."""
    return [found for rule in RULES for found in rule(topology)]


def names_differ(topology: Topology) -> Iterator[Problem]:
    """No two regions have one name."""
    seen: set[str] = set()
    for index, region in enumerate(topology.regions):
        if region.name in seen:
            yield (
                ("regions", index, "name"),
                f"there is another region {region.name!r}; rename one of them",
            )
        seen.add(region.name)


def addresses_differ(topology: Topology) -> Iterator[Problem]:
    """No two regions on one host share a port."""
    holders: dict[tuple[str, int], str] = {}
    for index, region in enumerate(topology.regions):
        for door, port in region.listening():
            who = f"{region.name}'s {door}"
            if port and holders.setdefault((region.host, port), who) != who:
                yield (
                    ("regions", index),
                    f"{who} would listen on {region.host}:{port} as {holders[region.host, port]} "
                    "does; give them different ports or hosts",
                )
                break  # its others follow by the same step


def neighbours_exist(topology: Topology) -> Iterator[Problem]:
    """Neighbours and latencies name other regions of the file, each once."""
    names = [region.name for region in topology.regions]
    for index, region in enumerate(topology.regions):
        listed = region.neighbours if region.neighbours != "nearest" else ()
        for number, name in enumerate(listed):
            place = ("regions", index, "neighbours", number)
            if name == region.name:
                yield place, f"{name!r} is the region itself; remove it"
            elif name not in names:
                yield place, f"there is no region {name!r}; {_known(name, names)}"
            elif name in listed[:number]:
                yield place, f"{name!r} is given twice; keep one of them"
        for name in region.latency_ms:
            if name not in names:
                yield (
                    ("regions", index, "latency_ms", name),
                    f"there is no region {name!r}; {_known(name, names)}",
                )


def tenants_have_a_place(topology: Topology) -> Iterator[Problem]:
    """There is a region for every tenant's zone, and its home is one."""
    for name, tenant in topology.tenants.items():
        serving = [one.name for one in topology.regions if tenant.residency in one.zones]
        if not serving:
            yield (
                ("tenants", name, "residency"),
                f"no region serves the zone {tenant.residency!r}; "
                + _known(tenant.residency, topology.zones),
            )
        elif tenant.home and tenant.home not in serving:
            yield (
                ("tenants", name, "home"),
                f"{tenant.home!r} does not serve the zone {tenant.residency!r}; "
                + _known(tenant.home, serving),
            )


def strangers_have_a_place(topology: Topology) -> Iterator[Problem]:
    """There is a region for callers of whom nothing is known."""
    if topology.callers and topology.callers not in topology.zones:
        yield (
            ("callers",),
            f"no region serves the zone {topology.callers!r}; "
            + _known(topology.callers, topology.zones),
        )


def numbers_have_one_owner(topology: Topology) -> Iterator[Problem]:
    """No number is two tenants'."""
    owners: dict[str, str] = {}
    for name, tenant in topology.tenants.items():
        for index, number in enumerate(tenant.numbers):
            if number in owners:
                yield (
                    ("tenants", name, "numbers", index),
                    f"{number} is {owners[number]}'s already; give it to one tenant only",
                )
            owners[number] = name


def zones_differ(topology: Topology) -> Iterator[Problem]:
    """No region names a zone twice."""
    for index, region in enumerate(topology.regions):
        for number, zone in enumerate(region.zones):
            if zone in region.zones[:number]:
                yield (
                    ("regions", index, "zones", number),
                    f"{zone!r} is given twice; keep one of them",
                )


RULES: tuple[Callable[[Topology], Iterable[Problem]], ...] = (
    names_differ,
    addresses_differ,
    neighbours_exist,
    zones_differ,
    tenants_have_a_place,
    strangers_have_a_place,
    numbers_have_one_owner,
)


def _known(name: str, names: Iterable[str]) -> str:
    known = list(dict.fromkeys(names))
    close = get_close_matches(name, known, n=1)
    return f"did you mean {close[0]!r}?" if close else f"use one of {', '.join(known)}"
