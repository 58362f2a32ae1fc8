"""How engines and providers do, by what processes count: read from their Prometheus text."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from prometheus_client.samples import Sample

_WORKED = frozenset({"worked", "OK"})
_NO_OUTCOME = frozenset({"lost", "hedged"})
"""What says nothing of whether an engine works."""


class EngineStatus(BaseModel):
    """One engine of a bot's list, or the provider behind one."""

    model_config = ConfigDict(frozen=True)

    sense: str
    """stt, llm or tts."""
    name: str
    kind: str
    """``engine``: as orchestrators see it; ``provider``: as adapters do."""
    worked: int
    """Attempts that had a result."""
    failed: int
    """Attempts that had none: refused, broken off, empty, silent past a deadline."""
    out: int
    """Processes that leave it out where there is another (its circuit is open)."""
    denied: int
    """Processes whose credentials it refuses."""


def found(samples: Mapping[str, Sequence[Sample]]) -> tuple[EngineStatus, ...]:
    """Return what one process says."""
    return together(
        [
            *_outcomes(samples.get("voicemesh_engine_attempts_total", ()), "engine"),
            *_outcomes(samples.get("voicemesh_provider_outcomes_total", ()), "provider"),
            *(
                _status(one, "engine", out=one.value)
                for one in samples.get("voicemesh_engine_broken", ())
            ),
            *(
                _status(one, "provider", denied=one.value)
                for one in samples.get("voicemesh_provider_denies", ())
            ),
        ]
    )


def together(statuses: Iterable[EngineStatus]) -> tuple[EngineStatus, ...]:
    """Return the sums over processes, in the order of senses."""
    sums: dict[tuple[str, str, str], Counter[str]] = {}
    for one in statuses:
        counts = one.model_dump(include={"worked", "failed", "out", "denied"})
        sums.setdefault((one.sense, one.kind, one.name), Counter()).update(counts)
    return tuple(
        EngineStatus(sense=sense, kind=kind, name=name, **counts)
        for (sense, kind, name), counts in sorted(sums.items())
    )


def _outcomes(samples: Iterable[Sample], kind: str) -> Iterable[EngineStatus]:
    for one in samples:
        outcome = one.labels["outcome"]
        if outcome not in _NO_OUTCOME:
            name = "worked" if outcome in _WORKED else "failed"
            yield _status(one, kind, **{name: one.value})


def _status(sample: Sample, kind: str, **counts: float) -> EngineStatus:
    known = {"worked": 0, "failed": 0, "out": 0, "denied": 0}
    whole = known | {name: round(value) for name, value in counts.items()}
    labels = sample.labels
    return EngineStatus(sense=labels["sense"], kind=kind, name=labels[kind], **whole)
