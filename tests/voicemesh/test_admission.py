"""Who is admitted: the rule in virtual time, also under three times what a replica can do."""

from __future__ import annotations

import heapq
import random

import pytest
from hypothesis import given, strategies as st

from voicemesh.admission import BEHIND_SECONDS, LEAST_STREAMS, Admission, Limits
from voicemesh.errors import Refused, to_status
from voicemesh.server import LiveStreams

LIMITS = Limits(100, lag_seconds=0.02, memory_bytes=1000)
SAMPLE = 0.1


def lagging(seconds: float = 0.03) -> Admission:
    admission = Admission(LIMITS)
    for _ in range(20):
        admission.lagged(seconds)
    return admission


def test_a_place_is_for_everybody_and_the_rest_for_calls_that_live() -> None:
    admission = lagging()
    assert admission.refusal(LEAST_STREAMS, 0, new=True) == "LAGGING"
    assert admission.refusal(LEAST_STREAMS - 1, 0, new=True) == ""
    assert admission.refusal(99, 0, new=False) == ""
    assert admission.refusal(100, 0, new=False) == "FULL"
    assert admission.refusal(100, 0, new=True) == "FULL"


def test_lag_must_fall_to_half_before_calls_are_taken_again() -> None:
    admission = lagging()
    for late, refused in ((0.015, True), (0.009, False), (0.015, False), (0.02, True)):
        for _ in range(20):
            admission.lagged(late)
        assert (admission.refusal(50, 0, new=True) == "LAGGING") is refused


def test_a_single_late_turn_of_the_loop_refuses_nobody() -> None:
    admission = Admission(LIMITS)
    for late in (*[0.001] * 18, 0.5, 0.001):
        admission.lagged(late)
    assert admission.refusal(50, 0, new=True) == ""


def test_memory_and_what_is_behind() -> None:
    admission = Admission(LIMITS)
    admission.grew(1000)
    assert admission.refusal(1, 0, new=True) == "MEMORY"
    admission.grew(999)
    admission.turned_away(5.0)
    assert admission.refusal(0, 5.0 + BEHIND_SECONDS / 2, new=True) == "BEHIND_FULL"
    assert admission.refusal(0, 5.0 + BEHIND_SECONDS / 2, new=False) == ""
    assert admission.refusal(0, 5.0 + BEHIND_SECONDS, new=True) == ""


def test_a_refusal_says_why_and_when_to_come_back() -> None:
    live = LiveStreams(Limits(5))
    live.turned_away()
    with live.admit(), pytest.raises(Refused) as caught:
        live.check_new()
    assert caught.value.reason == "BEHIND_FULL"
    kinds = [detail.TypeName() for detail in to_status(caught.value).details]
    assert kinds == ["google.rpc.ErrorInfo", "google.rpc.RetryInfo"]
    with live.admit():  # one that goes on
        assert live.count == 1


@given(st.lists(st.floats(0, 1), max_size=100), st.integers(0, 200))
def test_without_limits_only_places_count(lags: list[float], streams: int) -> None:
    admission = Admission(Limits(100))
    for late in lags:
        admission.lagged(late)
    admission.grew(1 << 40)
    assert (admission.refusal(streams, 0, new=True) == "FULL") is (streams >= 100)


def test_three_times_the_load_for_a_minute_keeps_accepted_calls_in_time() -> None:
    """A loop that can carry 50 calls in time, and is late by what comes beyond that."""
    chance, admission, capacity, mean = random.Random(7), Admission(LIMITS), 50, 10.0  # noqa: S311
    ends: list[float] = []
    late: list[float] = []
    refused = taken = 0
    arrivals, now, next_sample = 3 * capacity / mean, 0.0, 0.0
    while now < 60:
        now += chance.expovariate(arrivals)
        while next_sample < now:
            while ends and ends[0] <= next_sample:
                heapq.heappop(ends)
            load = len(ends) / capacity
            late.append(0.002 + max(0.0, load - 0.95) * 0.4 + chance.random() * 0.002)
            admission.lagged(late[-1])
            next_sample += SAMPLE
        if admission.refusal(len(ends), now, new=True):
            refused += 1
        else:
            taken += 1
            heapq.heappush(ends, now + chance.expovariate(1 / mean))
    late.sort()
    assert refused > taken
    assert taken > 0.7 * 60 * capacity / mean, "shedding must not empty the replica"
    assert late[int(0.9 * len(late))] <= 0.035
    recovered = Admission(LIMITS)
    for _ in range(20):
        recovered.lagged(0.1)
    for _ in range(20):  # 2 s, of the 5 s that recovery may take
        recovered.lagged(0.003)
    assert recovered.refusal(50, 0, new=True) == ""
