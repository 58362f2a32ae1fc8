"""A whole topology, and what follows from it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field, PrivateAttr, model_validator

from mesh.topology import nearness
from mesh.topology.access import Access
from mesh.topology.fields import Environment, LogLevel, Part, Slug
from mesh.topology.region import Region
from mesh.topology.tenants import Tenant
from mesh.topology.trust import Trust


class Tuning(Part):
    """How fast trouble is noticed; every duration in milliseconds unless named otherwise."""

    health_interval_ms: Annotated[int, Field(strict=True, ge=50)] = 500
    """Time between two health checks of one replica."""
    health_timeout_ms: Annotated[int, Field(strict=True, ge=50)] = 300
    """Time a replica has to answer one; two misses take it out."""
    keepalive_ms: Annotated[int, Field(strict=True, ge=100)] = 200
    """Interval and timeout of HTTP/2 pings: what ends the live streams of a hung replica."""
    slow_start_seconds: Annotated[int, Field(strict=True, ge=0)] = 0
    """Window in which a new replica's share grows from 10 % to its full part; 0 is at once."""

    @model_validator(mode="after")
    def _answers_before_the_next(self) -> Tuning:
        if self.health_timeout_ms >= self.health_interval_ms:
            raise ValueError("health_timeout_ms must be smaller than health_interval_ms")
        return self


class Topology(Part):
    """A whole mesh."""

    name: Slug
    regions: tuple[Region, ...] = Field(min_length=1)
    tenants: dict[Slug, Tenant] = Field(default_factory=dict)
    """Whose calls are answered, by name."""
    callers: Slug | None = None
    """Zone of callers whom neither a token nor a number tells apart. Absent, they are refused,
    unless there is but one zone."""
    drain_seconds: Annotated[float, Field(ge=0, le=3600)] = 30.0
    """How long live calls may go on after a process was told to stop."""
    log_level: LogLevel = "info"
    environment: Environment = Field(default_factory=dict)
    """Variables for every process."""
    tuning: Tuning = Tuning()
    trust: Trust = Trust()
    """How processes know each other."""
    access: Access = Access()
    """How callers get in."""
    chaos: Annotated[bool, Field(strict=True)] = False
    """Whether every replica stands behind a relay, so that its connections can be cut."""

    _path: Path = PrivateAttr(default=Path("topology"))

    @property
    def path(self) -> Path:
        """File it was read from, for messages that say what to change."""
        return self._path

    @property
    def zones(self) -> tuple[str, ...]:
        """Every residency zone, in the order of the file."""
        return tuple(dict.fromkeys(zone for region in self.regions for zone in region.zones))

    @property
    def residency_of_strangers(self) -> str | None:
        """Zone of a caller of whom nothing is known; None: refuse them."""
        return self.callers or (self.zones[0] if len(self.zones) == 1 else None)

    @property
    def numbers(self) -> dict[str, str]:
        """Tenant by number."""
        return {number: name for name, tenant in self.tenants.items() for number in tenant.numbers}

    @property
    def fronted(self) -> bool:
        """Whether regions take streams from each other."""
        return len(self.regions) > 1

    def region(self, name: str) -> Region | None:
        """Return a region by name."""
        return next((one for one in self.regions if one.name == name), None)

    def neighbours(self, region: Region) -> tuple[Region, ...]:
        """Return the regions that one may overflow to, the first choice first."""
        others = tuple(one for one in self.regions if one.name != region.name)
        if region.neighbours == "nearest":
            return nearness.ordered(region, others)
        named = {one.name: one for one in others}
        return tuple(named[name] for name in region.neighbours if name in named)

    def fence(self, region: Region, zone: str) -> tuple[Region, ...]:
        """Return the regions that a zone's streams of a region may be in, itself first.

        Empty where the region does not serve the zone: its streams must not even begin there.
        """
        if zone not in region.zones:
            return ()
        return (region, *(one for one in self.neighbours(region) if zone in one.zones))
