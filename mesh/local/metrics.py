"""What a process's status shows of its own numbers, read from its Prometheus endpoint."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx
from prometheus_client.parser import text_string_to_metric_families

from mesh.local import engines

if TYPE_CHECKING:
    from collections.abc import Iterable

    from prometheus_client.samples import Sample

_SECONDS = 0.5


@dataclass(frozen=True)
class Load:
    """How busy a process is; None where it did not say."""

    calls: int | None = None
    """Live streams."""
    lag_p95_ms: float | None = None
    """Event loop lag, 95th percentile, milliseconds."""
    engines: tuple[engines.EngineStatus, ...] = ()
    """How engines and providers do."""


async def read(client: httpx.AsyncClient, port: int) -> Load:
    """Scrape a process on this machine."""
    try:
        answer = await client.get(f"http://127.0.0.1:{port}/metrics", timeout=_SECONDS)
        return parse(answer.text)
    except (httpx.HTTPError, ValueError):
        return Load()


def parse(text: str) -> Load:
    """Find calls, loop lag and engines in Prometheus text."""
    samples: dict[str, list[Sample]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            samples.setdefault(sample.name, []).append(sample)
    calls = samples.get("voicemesh_calls")
    lag = _lag(samples)
    return Load(
        calls=round(sum(one.value for one in calls)) if calls else None,
        lag_p95_ms=None if lag is None else round(1000 * lag, 3),
        engines=engines.found(samples),
    )


def _lag(samples: dict[str, list[Sample]]) -> float | None:
    for name in ("voicemesh_loop_lag_p95_seconds", "voicemesh_loop_lag_seconds"):
        if gauge := samples.get(name):
            return max(one.value for one in gauge)
    return _percentile(samples.get("voicemesh_loop_lag_seconds_bucket", ()))


def _percentile(buckets: Iterable[Sample], share: float = 0.95) -> float | None:
    """Return the upper bound of the bucket in which the share falls."""
    bounds = sorted((float(one.labels["le"]), one.value) for one in buckets)
    if not bounds or not bounds[-1][1]:
        return None
    due = share * bounds[-1][1]
    bound = next(bound for bound, count in bounds if count >= due)
    return bound if bound != float("inf") else None
