"""Unit costs: fitted to runs that some costs would give, they are those costs."""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, strategies as st

from voicemesh.capacity import runs, units
from voicemesh.capacity.runs import Run
from voicemesh.capacity.units import Latency, Origin, Unit, UnitCosts, fit, line, opening_ms, queue
from voicemesh.errors import InvalidInput

if TYPE_CHECKING:
    from pathlib import Path

ORIGIN = Origin(date=dt.date(2026, 11, 22), machine="m", cores=2, leg="twilio", calls=(20, 80))
COSTS = {
    "gateway": Unit(processes=1, idle_cores=0.02, call_cores=0.003, idle_mib=120, call_kib=100),
    "orchestrator": Unit(processes=2, idle_cores=0.01, call_cores=0.001, idle_mib=80, call_kib=50),
    "edge": Unit(processes=2, idle_cores=0.005, call_cores=0.0005, idle_mib=60, call_kib=20),
}
TRUE = UnitCosts(
    origin=ORIGIN, kinds=COSTS, latencies={"turn_p50": Latency(base_ms=800, slope_ms=30)}
)


def told(calls: int, costs: UnitCosts = TRUE) -> dict[str, Any]:
    """Return what the benchmark prints of a mesh with these costs."""
    cpu, memory, idle = {}, {}, {}
    for kind, unit in costs.kinds.items():
        for number in range(unit.processes):
            name = f"{kind}-{number}"
            cpu[name] = 1000 * unit.cores(calls) / unit.processes / calls
            memory[name] = unit.call_kib / unit.processes
            idle[name] = unit.idle_mib
    return {
        "calls": calls,
        "seconds": 30,
        "leg": "twilio",
        "cpu_ms_per_session_second": cpu | {"total": sum(cpu.values())},
        "memory_kib_per_call": memory | {"total": sum(memory.values())},
        "idle_memory_mib": idle,
        "turn": {"p50_ms": costs.latencies["turn_p50"].at(costs.crowding(calls)), "p95_ms": None},
        "set_up": {},
        "noise": [],
    }


def run(calls: int) -> Run:
    return Run.model_validate(told(calls))


def test_costs_are_found_again() -> None:
    found = fit([run(20), run(80), run(150)], ORIGIN)
    for kind, unit in COSTS.items():
        told_of = found.kinds[kind].model_dump(exclude={"lag"})
        assert told_of == pytest.approx(unit.model_dump(exclude={"lag"}), abs=1e-9)
    turn = found.latencies["turn_p50"]
    assert (turn.base_ms, turn.slope_ms) == pytest.approx((800, 30))
    assert "turn_p95" not in found.latencies


def test_what_a_set_up_costs_is_what_is_left() -> None:
    # 60 calls placed evenly in 6 s and held for 10 s more, each set-up 12 ms.
    lived = 60 * (3 + 10)
    used = 1000 * sum(
        unit.processes * unit.idle_cores * 16 + unit.call_cores * lived for unit in COSTS.values()
    )
    cpu = {"gateway-0": (used + 60 * 12) / lived, "edge-0": 0.0, "total": 1.0}
    found = Run.model_validate(
        told(60)
        | {"seconds": 16, "session_seconds": lived, "set_up": {"count": 60}}
        | {"cpu_ms_per_session_second": cpu}
    )
    assert opening_ms(TRUE, found) == pytest.approx(12, abs=0.01)
    with pytest.raises(InvalidInput, match="--from-start"):
        opening_ms(TRUE, run(60))


def test_lag_follows_the_queue() -> None:
    def late(calls: int) -> Run:
        rho = COSTS["gateway"].cores(calls)
        return Run.model_validate(
            told(calls) | {"loop_lag_p95_ms": {"gateway-0": 2 + 40 * queue(rho)}}
        )

    found = fit([late(20), late(80), late(150)], ORIGIN).kinds
    lag = found["gateway"].lag
    assert lag is not None
    assert (lag.base_ms, lag.slope_ms) == pytest.approx((2, 40), abs=1e-3)
    assert found["orchestrator"].lag is None


def test_one_load_is_not_enough() -> None:
    with pytest.raises(InvalidInput, match="two different numbers"):
        fit([run(20), run(20)], ORIGIN)


def test_runs_of_different_meshes_are_not_mixed() -> None:
    other = told(80)
    del other["cpu_ms_per_session_second"]["orchestrator-1"]
    with pytest.raises(InvalidInput, match="different processes"):
        fit([run(20), Run.model_validate(other)], ORIGIN)


@given(
    st.lists(
        st.tuples(st.floats(1, 1000), st.floats(-1e3, 1e3)),
        min_size=2,
        max_size=8,
        unique_by=lambda pair: pair[0],
    )
)
def test_no_cost_is_negative(pairs: list[tuple[float, float]]) -> None:
    base, slope = line([x for x, _ in pairs], [y for _, y in pairs])
    assert base >= 0
    assert slope >= 0


@given(st.floats(0, 10), st.floats(0, 10))
def test_what_lies_on_a_line_is_that_line(base: float, slope: float) -> None:
    at = [10.0, 50.0, 200.0]
    assert line(at, [base + slope * x for x in at]) == pytest.approx((base, slope), abs=1e-6)


def test_a_queue_grows_with_load_and_never_ends() -> None:
    waits = [queue(rho / 100) for rho in range(150)]
    assert waits[0] == 0
    assert waits == sorted(waits)
    assert queue(0.5) == pytest.approx(0.25)  # M/D/1
    assert queue(2.0) < 100


def test_files_of_every_form_are_read(tmp_path: Path) -> None:
    one, several, search = (tmp_path / f"{name}.json" for name in "abc")
    one.write_text(json.dumps(told(80)))
    several.write_text(json.dumps([told(20), told(150)]))
    search.write_text(json.dumps({"leg": "grpc", "steps": [told(2) | {"shortcomings": []}]}))
    assert [each.calls for each in runs.read([one, several, search])] == [2, 20, 80, 150]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "cannot be read"),
        ("{}", "calls: field required"),
        ('{"calls": 0, "seconds": 3}', "calls: input should be greater"),
        ('{"calls": 3, "seconds": 3}', "says nothing about processes"),
        ('["text"]', "it: input should be"),
    ],
)
def test_a_file_that_is_no_benchmark_says_so(tmp_path: Path, text: str, why: str) -> None:
    path = tmp_path / "bench.json"
    path.write_text(text)
    with pytest.raises(InvalidInput, match=why):
        runs.read([path])


def test_unit_costs_survive_their_file(tmp_path: Path) -> None:
    path = tmp_path / "units.json"
    path.write_text(TRUE.model_dump_json())
    assert units.load(path) == TRUE
    path.write_text(TRUE.model_dump_json().replace('"call_cores":0.003', '"call_cores":-1'))
    with pytest.raises(InvalidInput, match=r"gateway\.call_cores"):
        units.load(path)
    with pytest.raises(InvalidInput, match="cannot be read"):
        units.load(tmp_path / "none.json")


def test_the_packaged_unit_costs_are_whole() -> None:
    packaged = units.load()
    assert {"edge", "mesh", "gateway", "orchestrator", "stt", "llm", "tts"} <= set(packaged.kinds)
    assert len(packaged.origin.calls) >= 2
    assert sum(unit.call_cores for unit in packaged.kinds.values()) > 0
