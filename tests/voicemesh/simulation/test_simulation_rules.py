"""The rules that the simulation shares with the code, and stories that make no sense."""

from __future__ import annotations

from contextlib import ExitStack

import pytest
from hypothesis import given, strategies as st

from mesh.envoy.endpoints import OVERPROVISIONING
from mesh.envoy.routes import retries
from mesh.rehearsal import rules
from voicemesh.admission import Limits
from voicemesh.client.lines import OPEN_BACKOFF_SECONDS
from voicemesh.errors import InvalidInput, Refused
from voicemesh.reopening import ATTEMPTS_AT_ONCE, FULL_ATTEMPTS, LAST_BACKOFF_SECONDS, backoff
from voicemesh.server import LiveStreams
from voicemesh.simulation.region import Pool
from voicemesh.simulation.rules import Rules
from voicemesh.simulation.story import Story


def test_numbers_are_those_of_the_code() -> None:
    found = rules()
    assert found.envoy_retries == retries()["num_retries"]
    assert found.overprovisioning == OVERPROVISIONING / 100
    assert found.caller_backoff_seconds == OPEN_BACKOFF_SECONDS
    assert found.session_attempts == FULL_ATTEMPTS


def test_envoys_priority_formula() -> None:
    found = Rules(overprovisioning=1.4)
    assert found.local_share(1.0) == 1.0
    assert found.local_share(0.5) == pytest.approx(0.7)  # Envoy's own example
    assert Rules(overprovisioning=2.0).local_share(0.5) == 1.0
    assert found.local_share(0.0) == 0.0


def test_a_refusal_takes_envoys_back_offs() -> None:
    # Bases 1, 3, 7, and ten at most; half of each on average.
    assert Rules().refusal_seconds() == pytest.approx((0.01 + 0.03 + 0.07 + 0.1) / 2)
    assert Rules(envoy_retries=0).refusal_seconds() == 0


@given(st.integers(1, 12), st.integers(1, 40))
def test_room_is_what_the_service_itself_admits(limit: int, streams: int) -> None:
    live = LiveStreams(limit)
    with ExitStack() as held:
        admitted = 0
        for _ in range(streams):
            try:
                held.enter_context(live.admit())
            except Refused:
                break
            admitted += 1
        assert Pool(1, Limits(limit)).room(admitted, 0.0, new=True) == limit - admitted


@given(st.integers(0, 50), st.integers(0, 10_000), st.integers(1, 400), st.floats(0.1, 1))
def test_room_never_lets_in_too_many(replicas: int, calls: int, limit: int, each: float) -> None:
    free = Pool(replicas, Limits(limit), each).room(calls, 0.0, new=True)
    if free > 0:
        assert (calls + free) * each <= replicas * limit + 1e-6


def test_late_replicas_take_calls_that_go_on_but_no_new_ones() -> None:
    pool = Pool(2, Limits(400, lag_seconds=0.05))
    assert pool.room(100, 0.0, new=True) == 700
    pool.lagged(0.08, 1.0)
    assert pool.room(100, 1.0, new=True) == 0
    assert pool.room(100, 1.0, new=False) == 700
    for _ in range(3):
        pool.lagged(0.02, 1.0)
    assert pool.room(100, 4.0, new=True) == 700


def test_reopening_backs_off_and_is_bounded() -> None:
    assert all(backoff(attempt, 0.5) == 0 for attempt in range(1, ATTEMPTS_AT_ONCE + 1))
    waits = [backoff(attempt, 1.0) for attempt in range(ATTEMPTS_AT_ONCE + 1, 30)]
    assert waits == sorted(waits)
    assert waits[-1] == LAST_BACKOFF_SECONDS
    assert backoff(ATTEMPTS_AT_ONCE + 1, 0.0) == pytest.approx(waits[0] / 2)


@pytest.mark.parametrize(
    "wrong", [{"calls": 0}, {"step": 0}, {"lost_share": 1.1}, {"step": 0.01, "seconds": 86_400}]
)
def test_a_story_that_makes_no_sense_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(InvalidInput, match=next(iter(wrong))):
        Story(**wrong)  # type: ignore[arg-type]
