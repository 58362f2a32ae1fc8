"""What rounds of a comparison add up to, and the peer's process; Pipecat itself is not needed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from bench.peers import peer
from bench.peers.__main__ import wanted
from bench.peers.figures import Comparison, Sample
from bench.peers.peer import running
from bench.peers.run import CALLS, GOALS, OPTIONS, Match
from voicemesh.bench.machine import usage
from voicemesh.commands.bench import PROVIDERS, Delays
from voicemesh.errors import InvalidInput, Misconfigured, Unavailable

PYTHON = Path(sys.executable)
COSTS = st.lists(st.floats(0.5, 100), min_size=1, max_size=9)


def sample(cpu_ms: float = 5.0, late_ms: float = 1.0, *noise: str) -> Sample:
    return Sample(cpu_ms, 800.0, 40, late_ms, 0.0, noise)


def comparison(peer_ms: list[float], ours_ms: list[float], goal: float = 4.5) -> Comparison:
    theirs = tuple(sample(cost) for cost in peer_ms)
    return Comparison("energy", 20, theirs, tuple(sample(cost) for cost in ours_ms), goal)


def test_the_ratio_is_taken_round_by_round() -> None:
    # The second round ran on a machine twice as slow: no matter.
    found = comparison([30.0, 60.0, 33.0], [6.0, 12.0, 6.0])
    assert (found.ratio.median, found.ratio.least, found.ratio.most) == (5.0, 5.0, 5.5)
    assert found.met
    assert not found.doubts()


@given(COSTS, st.floats(0.1, 20))
def test_a_peer_that_costs_so_many_times_more_has_that_ratio(
    ours: list[float], times: float
) -> None:
    ratio = comparison([times * cost for cost in ours], ours).ratio
    assert ratio.least == pytest.approx(times)
    assert ratio.median == pytest.approx(times)
    assert ratio.most == pytest.approx(times)


def test_a_goal_that_is_missed_is_not_met() -> None:
    assert not comparison([26.0], [6.0]).met


def test_late_frames_make_a_comparison_doubtful() -> None:
    late = (sample(30.0, 25.0), sample(30.0, 25.0), sample(30.0))
    found = Comparison("silero", 40, late, (sample(),) * 3, 7.0)
    [doubt] = found.doubts()
    assert "did not sustain 40 calls in 2 of 3 rounds" in doubt


def test_a_system_that_never_answered_sustained_nothing() -> None:
    nan = float("nan")
    silent = Sample(1.0, nan, 0, nan, 0.0)
    assert not silent.sustained
    assert silent.as_json()["turn_p50_ms"] is None


def test_noise_is_told() -> None:
    noisy = sample(5.0, 1.0, "the host took 9% of the processors away")
    found = Comparison("energy", 20, (sample(30.0),), (noisy,), 4.5)
    assert "1 of 1 rounds of voicemesh were noisy" in found.doubts()[0]
    assert found.as_json()["doubts"] == found.doubts()


def test_calls_are_chosen_per_setting() -> None:
    assert wanted("energy=10, defaults=3") == {"energy": 10, "defaults": 3}
    for wrong in ("energy", "energy=0", "energy=501", "webrtc=3", "", "energy=x"):
        with pytest.raises(InvalidInput, match="--calls"):
            wanted(wrong)


def test_both_sides_are_told_the_same_delays(tmp_path: Path) -> None:
    match = Match(python=tmp_path, delays=Delays.PROVIDERS)
    assert match.settings() == PROVIDERS
    assert set(OPTIONS) == set(PROVIDERS)
    assert set(CALLS) == set(GOALS)
    assert match.count() == 5 * 7


async def test_a_peers_process_is_measured_and_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bot = tmp_path / "bot.py"
    bot.write_text("import time\nprint('READY', flush=True)\nwhile True: time.sleep(1)\n")
    monkeypatch.setattr(peer, "BOT", bot)
    async with running(PYTHON, "energy", []) as there:
        members = await there.members()
        [process] = members.members
        assert usage(process.pid) is not None
        assert members.edge_target == f"ipv4:{there.address}"
    assert usage(process.pid) is None


async def test_a_peer_that_does_not_start_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bot = tmp_path / "bot.py"
    bot.write_text("raise SystemExit('no such model')\n")
    monkeypatch.setattr(peer, "BOT", bot)
    with pytest.raises(Unavailable, match="no such model"):
        async with running(PYTHON, "energy", []):
            pass
    with pytest.raises(Misconfigured, match="make bench-peers"):
        async with running(tmp_path / "python", "energy", []):
            pass
