"""Who answers whose calls: regions, fences, and what each region takes when another is lost."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from voicemesh.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Place:
    """One region."""

    name: str
    fences: Mapping[str, tuple[str, ...]]
    """By residency zone: the regions that its calls may be in, in order, this one first."""
    services: tuple[str, ...]
    """What runs there, by name."""
    replicas: Mapping[str, int] = field(default_factory=dict)
    """How many processes there are by now, by service and Envoy."""
    away_ms: Mapping[str, float] = field(default_factory=dict)
    """Round trip to other regions, where it is known."""


@dataclass(frozen=True)
class World:
    """Every region."""

    places: tuple[Place, ...]

    def __post_init__(self) -> None:
        if not self.places:
            raise InvalidInput("regions", "there is none")

    def __getitem__(self, name: str) -> Place:
        return next(place for place in self.places if place.name == name)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all regions."""
        return tuple(place.name for place in self.places)

    def next_after(self, home: str, zone: str, lost: str) -> str | None:
        """Return where a call goes when a region is lost; None: nowhere, it is refused."""
        return next((name for name in self[home].fences[zone] if name != lost), None)


@dataclass(frozen=True)
class Demand:
    """Where calls come from: the share of each region and residency zone; they add up to 1."""

    shares: Mapping[tuple[str, str], float]

    def of(self, place: str) -> float:
        """Return a region's share of all calls."""
        return sum(share for (name, _), share in self.shares.items() if name == place)

    def calls(self, total: float) -> dict[tuple[str, str], float]:
        """Return how many calls are from where."""
        return {key: share * total for key, share in self.shares.items()}


def demand(world: World, text: str = "") -> Demand:
    """Return where calls come from: all regions alike, or as told.

    Such as ``eu-west=3,us-east=1,us-east/any=1``: weights by region, or region and residency zone
    (its first one where none is named). Raise InvalidInput if that makes no sense here.
    """
    weights: dict[tuple[str, str], float] = defaultdict(float)
    for part in text.split(",") if text else world.names:
        where, _, weight = part.strip().partition("=")
        name, _, zone = where.partition("/")
        if name not in world.names:
            raise InvalidInput(
                "--shares", f"there is no region {name!r}, only {', '.join(world.names)}"
            )
        fences = world[name].fences
        zone = zone or next(iter(fences))
        if zone not in fences:
            raise InvalidInput("--shares", f"{name} does not serve {zone!r}, only {_list(fences)}")
        weights[name, zone] += _weight(where, weight if text else "1")
    total = sum(weights.values())
    if total <= 0:
        raise InvalidInput("--shares", "there is no call: give one region more than 0")
    return Demand({key: weight / total for key, weight in weights.items()})


def _list(fences: Mapping[str, object]) -> str:
    return ", ".join(fences)


def _weight(where: str, text: str) -> float:
    try:
        weight = float(text)
    except ValueError:
        weight = -1.0
    if not 0 <= weight < 1e12:
        raise InvalidInput("--shares", f"{where}={text}: give a number from 0, such as {where}=2")
    return weight


@dataclass(frozen=True)
class Headroom:
    """What a region has to be ready for."""

    own: float
    """Calls that come in here on a good day."""
    spare: float
    """The most that it takes over when one other region is lost."""

    @property
    def calls(self) -> float:
        """Calls to be ready for."""
        return self.own + self.spare


def taken_over(world: World, calls: Mapping[tuple[str, str], float], lost: str) -> dict[str, float]:
    """Return the calls that each region takes over when one is lost."""
    found = dict.fromkeys(world.names, 0.0)
    for (home, zone), count in calls.items():
        target = world.next_after(home, zone, lost) if home == lost else None
        if target is not None:
            found[target] += count
    return found


def refused(world: World, calls: Mapping[tuple[str, str], float], lost: str) -> dict[str, float]:
    """Return the calls by zone that no other region may take when one is lost."""
    found: dict[str, float] = defaultdict(float)
    for (home, zone), count in calls.items():
        if home == lost and count and world.next_after(home, zone, lost) is None:
            found[zone] += count
    return dict(found)


def headroom(
    world: World, calls: Mapping[tuple[str, str], float], *, survive: bool = True
) -> dict[str, Headroom]:
    """Return what each region has to be ready for; not `survive`: on good days only."""
    own = dict.fromkeys(world.names, 0.0)
    for (home, _), count in calls.items():
        own[home] += count
    spare = dict.fromkeys(world.names, 0.0)
    for lost in world.names if survive else ():
        for name, count in taken_over(world, calls, lost).items():
            spare[name] = max(spare[name], count)
    return {name: Headroom(own[name], spare[name]) for name in world.names}
