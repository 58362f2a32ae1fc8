from __future__ import annotations

import io
import json
import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, strategies as st
from rich.console import Console

from voicemesh.bench import machine
from voicemesh.bench.clip import FRAME_SAMPLES, recorded
from voicemesh.bench.crew import jobs
from voicemesh.bench.figures import Cost, Outcome, Spread, Surroundings, shortcomings
from voicemesh.bench.report import curve, picture, step_line, summary
from voicemesh.bench.run import Load
from voicemesh.bench.search import LEAST_GAP, PRECISION, Search
from voicemesh.bench.tally import Tally
from voicemesh.bench.worker import Job
from voicemesh.errors import Misconfigured

if TYPE_CHECKING:
    from pathlib import Path


def outcome(
    calls: int = 10,
    turn: float = 0.5,
    late: float = 0.001,
    failed: int = 0,
    around: Surroundings | None = None,
) -> Outcome:
    tally = Tally()
    tally.placed, tally.session_seconds = calls, calls * 10.0
    for _ in range(20):
        tally.turn(turn, 1.0)
        tally.frame(late, 1.0)
        tally.tick(0.0005, 1.0)
    for _ in range(failed):
        tally.failed("NO_ANSWER")
    costs = (
        Cost("gateway-0", 0.5, 1024 * 100 * calls, 1.5, 120 * 1024**2),
        Cost("edge", 0.1, 0),
    )
    own = (Cost("load generator 0", 0.3, 0),)
    return Outcome(calls, 10.0, tally, costs, own, around or Surroundings(10.0, 2, 0.0, 0.0))


def test_percentiles_of_nothing_and_of_something() -> None:
    assert Spread.of([]).as_json()["p50_ms"] is None
    spread = Spread.of([number / 1000 for number in range(1, 101)])
    assert (spread.count, spread.longest) == (100, 0.1)
    assert spread.p50 == pytest.approx(0.0505)
    assert spread.p99 == pytest.approx(0.09901)


def test_costs_are_for_each_second_of_a_call() -> None:
    told = outcome().as_json()
    assert told["cpu_ms_per_session_second"] == {"gateway-0": 5.0, "edge": 1.0, "total": 6.0}
    assert told["not_in_total"]["load generator 0"] == 3.0
    assert told["memory_kib_per_call"]["gateway-0"] == 100
    assert told["idle_memory_mib"]["gateway-0"] == 120
    assert told["loop_lag_p95_ms"] == {"gateway-0": 1.5}
    assert json.loads(json.dumps(told)) == told


@given(st.lists(st.lists(st.floats(0, 1, width=32), max_size=5), max_size=4))
def test_a_tally_crosses_processes(parts: list[list[float]]) -> None:
    tallies = []
    for part in parts:
        tally = Tally()
        for value in part:
            tally.turn(value, 0.0)
            tally.set_up(value)
            tally.failed("X")
        tally.placed = len(part)
        tally.live(1.5, 0.0)
        tallies.append(tally)
    whole = Tally.joined(json.loads(json.dumps(tally.to_json())) for tally in tallies)
    flat = [value for part in parts for value in part]
    assert list(whole.turns) == list(whole.setups) == flat
    assert whole.placed == whole.failures.total() == len(flat)
    assert whole.session_seconds == 1.5 * len(parts)


@pytest.mark.parametrize(
    ("around", "word"),
    [
        (Surroundings(10.0, 2, 0.5, 0.0), None),
        (Surroundings(10.0, 2, 1.5, 0.0), "15% of a core"),
        (Surroundings(10.0, 2, 0.0, 1.0), "5% of the processors"),
    ],
)
def test_a_noisy_machine_is_named(around: Surroundings, word: str | None) -> None:
    noise = outcome(around=around).noise()
    assert len(noise) == (word is not None)
    assert word is None or word in noise[0]


def test_a_late_load_generator_is_noise() -> None:
    late = outcome().tally
    for _ in range(20):
        late.tick(0.03, 1.0)
    found = Outcome(10, 10.0, late, (), (), Surroundings(10.0, 2, 0.0, 0.0)).noise()
    assert found == ["the load generator's clock was 30.0 ms late (p99)"]


@pytest.mark.parametrize(
    ("tried", "words"),
    [
        (outcome(turn=0.62), []),
        (outcome(turn=0.63), ["p95 turn 630 ms"]),
        (outcome(late=0.021), ["p99 frame lateness 21 ms"]),
        (outcome(calls=200, failed=1), ["0.5% of the calls failed"]),
        (outcome(calls=201, failed=1), []),
    ],
)
def test_what_is_sustained(tried: Outcome, words: list[str]) -> None:
    found = shortcomings(tried, outcome())
    assert len(found) == len(words)
    assert all(word in told for word, told in zip(words, found, strict=True))


def test_no_answer_at_all_is_not_sustained() -> None:
    silent = Outcome(10, 10.0, Tally(), (), (), Surroundings(10.0, 2, 0.0, 0.0))
    assert len(shortcomings(silent, outcome())) == 2


@given(st.integers(0, 3000), st.integers(1, 2000))
def test_the_search_finds_the_knee(knee: int, most: int) -> None:
    search, tries = Search(most=most), 0
    while (calls := search.next()) is not None:
        assert 1 <= calls <= most
        search.note(calls, sustained=calls <= knee)
        tries += 1
        assert tries < 30
    best = min(knee, most)
    assert search.sustained <= best
    assert best - search.sustained <= max(LEAST_GAP, PRECISION * (best + 1)) + 1


def test_calls_are_shared_out_and_jobs_cross_processes() -> None:
    load = Load(target="here", calls=250)
    assert load.processes() == 3
    wanted = jobs(load.target, load.bot, load.calls, load.processes(), load.manner())
    assert sorted(number for job in wanted for number in job.numbers) == list(range(250))
    assert Job.from_json(json.loads(json.dumps(wanted[0].to_json()))) == wanted[0]
    assert len(jobs("here", "echo", 2, 5, load.manner())) == 2


def test_the_plan_begins_when_every_caller_has_spoken() -> None:
    plan = Load(target="here", calls=100, seconds=30).plan(1000.0)
    assert plan.ramp == 5.0
    assert plan.begin - plan.start == pytest.approx(9.0)
    assert plan.end - plan.begin == 30


def test_the_clip_is_whole_frames_of_speech() -> None:
    clip = recorded()
    assert 2 <= clip.seconds <= 3
    assert {len(frame) for frame in clip.frames} == {FRAME_SAMPLES}
    assert len(set(clip.frames[0])) > 10
    assert len(set(clip.frames[-1])) > 10


def test_proc_is_understood() -> None:
    ticks = os.sysconf("SC_CLK_TCK")
    line = f"1 (a) b) S {' '.join('0' * 10)} {3 * ticks} {2 * ticks} 0 0"
    assert machine.parse_stat(line) == 5
    stat = f"cpu  {ticks} 0 {ticks} 999 999 0 0 {2 * ticks} 0 0\ncpu0 1 2 3\n"
    assert machine.parse_machine(stat) == machine.Machine(2.0, 2.0)
    mine = machine.usage(os.getpid())
    assert mine is not None
    assert mine.memory_bytes > 1024**2
    assert machine.usage(2**22 + 1) is None


def test_cores_are_divided() -> None:
    assert machine.halves([1, 0]) == ({0}, {1})
    assert machine.halves(range(8)) == (set(range(6)), {6, 7})
    with pytest.raises(Misconfigured, match="two"):
        machine.halves([3])


def test_reports_are_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    steps = [outcome(2), outcome(10), outcome(20, turn=0.7, failed=1)]
    console = Console(file=io.StringIO(), width=120)
    console.print(summary(steps[2]))
    console.print(step_line(steps[2], ["too slow"]))
    console.print(curve(steps))
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    for word in ("gateway-0", "3.00", "1 of 20 calls failed: 1 NO_ANSWER", "too slow", "█" * 30):
        assert word in text
    picture(steps, tmp_path / "curve.png")
    assert (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG")
