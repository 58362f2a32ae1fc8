"""What `voicemesh bench --json` wrote, as far as capacity is concerned."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from voicemesh.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

TOTAL = "total"
_Amounts = dict[str, Annotated[float, Field(allow_inf_nan=False)]]


class Times(BaseModel):
    """Percentiles, milliseconds; None where nothing was measured."""

    model_config = ConfigDict(extra="ignore", frozen=True)
    count: int = 0
    p50_ms: float | None = None
    p95_ms: float | None = None
    p99_ms: float | None = None


class Run(BaseModel):
    """One measurement of a whole mesh under one load."""

    model_config = ConfigDict(extra="ignore", frozen=True)
    calls: int = Field(ge=1)
    seconds: float = Field(gt=0)
    session_seconds: float = 0.0
    """Time that all calls together lasted meanwhile."""
    leg: str = "grpc"
    failed: int = Field(default=0, ge=0)
    cpu_ms_per_session_second: _Amounts = Field(default_factory=dict)
    """By process."""
    memory_kib_per_call: _Amounts = Field(default_factory=dict)
    """By process: growth since before the first call."""
    idle_memory_mib: _Amounts = Field(default_factory=dict)
    """By process: resident before the first call."""
    loop_lag_p95_ms: _Amounts = Field(default_factory=dict)
    """By process, of those that have an event loop."""
    turn: Times = Times()
    set_up: Times = Times()
    noise: tuple[str, ...] = ()

    def cores(self) -> Mapping[str, list[float]]:
        """Return the processor cores that each process used, by kind."""
        return _by_kind(self.cpu_ms_per_session_second, self.calls / 1000)

    def growth_kib(self) -> Mapping[str, list[float]]:
        """Return how much each process grew, KiB, by kind."""
        return _by_kind(self.memory_kib_per_call, self.calls)

    def idle_mib(self) -> Mapping[str, list[float]]:
        """Return the memory of each process before the first call, MiB, by kind."""
        return _by_kind(self.idle_memory_mib, 1)

    def lags(self) -> Mapping[str, list[float]]:
        """Return the lag of each event loop, milliseconds, by kind."""
        return _by_kind(self.loop_lag_p95_ms, 1)


def read(paths: Iterable[Path]) -> list[Run]:
    """Return every run in some files, in the order of their calls.

    A file holds one run, a list of runs, or the steps of `--find-max`. Raise InvalidInput naming
    the file and what is wrong with it.
    """
    found: list[Run] = []
    for path in paths:
        try:
            told = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise InvalidInput(
                str(path), f"cannot be read ({error}): give what `voicemesh bench --json` printed"
            ) from error
        found += [_run(path, one) for one in _runs(told)]
    return sorted(found, key=lambda run: run.calls)


def _runs(told: object) -> list[object]:
    if isinstance(told, dict) and "steps" in told:
        leg = {"leg": told.get("leg", "grpc")}
        return [leg | step for step in told["steps"]]
    return told if isinstance(told, list) else [told]


def _run(path: Path, told: object) -> Run:
    try:
        run = Run.model_validate(told)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "it"
        raise InvalidInput(
            str(path),
            f"{where}: {first['msg'].lower()}: give what `voicemesh bench --json` printed",
        ) from error
    if len(run.cpu_ms_per_session_second) < 2:
        raise InvalidInput(
            str(path),
            "says nothing about processes: measure a mesh on the same machine, as "
            "`voicemesh bench --local --json` does",
        )
    return run


def _by_kind(amounts: Mapping[str, float], times: float) -> Mapping[str, list[float]]:
    """Group processes by what they are: `mesh-1` is a `mesh`."""
    found: dict[str, list[float]] = defaultdict(list)
    for name, amount in amounts.items():
        if name != TOTAL:
            found[name.rpartition("-")[0] or name].append(amount * times)
    return found
