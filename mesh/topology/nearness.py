"""Which region is near which: by measurement, or by the way around the globe."""

from __future__ import annotations

from math import asin, cos, inf, radians, sin, sqrt
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mesh.topology.region import Region

_EARTH_KM = 6371.0
_KM_PER_MS = 67.0
"""Kilometres of distance per millisecond of round trip: light in glass does 200 km a millisecond,
there and back is half of that, and cables are about half as long again as the straight way."""
SHORTEST_MS = 1.0
"""Round trip between two regions of which nothing else is known."""


def kilometres(one: tuple[float, float], other: tuple[float, float]) -> float:
    """Return the great-circle distance of two places in degrees (haversine formula)."""
    latitude, longitude, far_latitude, far_longitude = map(radians, (*one, *other))
    across = sin((far_latitude - latitude) / 2) ** 2
    along = sin((far_longitude - longitude) / 2) ** 2
    share = across + cos(latitude) * cos(far_latitude) * along
    return 2 * _EARTH_KM * asin(sqrt(min(1.0, share)))


def round_trip_ms(region: Region, other: Region) -> float | None:
    """Return the round trip between two regions, measured or estimated; None: nobody knows."""
    measured = region.latency_ms.get(other.name) or other.latency_ms.get(region.name)
    if measured:
        return measured
    if region.coordinates is None or other.coordinates is None:
        return None
    return max(SHORTEST_MS, kilometres(region.coordinates, other.coordinates) / _KM_PER_MS)


def ordered(region: Region, others: Iterable[Region]) -> tuple[Region, ...]:
    """Return other regions, the nearest first; those of unknown distance last, as in the file."""

    def away(other: Region) -> float:
        known = round_trip_ms(region, other)
        return inf if known is None else known

    return tuple(sorted(others, key=away))
