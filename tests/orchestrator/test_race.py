"""Preference, deadlines, hedges and circuits, in virtual time."""

from __future__ import annotations

import heapq
import itertools
import math
import random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings, strategies as st

from orchestrator.commands import Note, Outcome
from orchestrator.course import Course
from orchestrator.ledger import Ledger
from orchestrator.race import GIVE_UP_SECONDS, Race
from orchestrator.standing import (
    COOL_SECONDS,
    ENOUGH,
    MOST_COOL_SECONDS,
    MOST_HEDGES,
    WINDOW,
    Budget,
    Circuit,
    Latency,
    Standing,
    Standings,
)
from voicemesh.bots import LanguageChoice
from voicemesh.journal import Memory

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

TIMER = "words"
DEADLINE = 3.0


class Track:
    """A race, the door that it opens, and its clock."""

    def __init__(
        self,
        names: Sequence[str] = ("one", "two"),
        *,
        percent: float = 0,
        deadline: float = DEADLINE,
        between: float | None = None,
    ) -> None:
        entries = [
            LanguageChoice(name=name, deadline_seconds=deadline, between_seconds=between)
            for name in names
        ]
        self.ledger = Ledger(Memory(), 0.0)
        self.standings = Standings()
        self.budget = Budget(percent)
        course = Course("llm", entries, self.standings, self.budget)
        self.race: Race[LanguageChoice, int] = Race(course, self.ledger, TIMER, self)
        self.opened: list[str] = []
        self.live: dict[int, str] = {}

    def open(self, entry: LanguageChoice) -> int:
        key = len(self.opened)
        self.opened.append(entry.name)
        self.live[key] = entry.name
        return key

    def close(self, key: int) -> None:
        del self.live[key]

    def begin(self) -> None:
        self.race.begin()
        self.race.wait()

    def fail(self, *, lasting: bool = False) -> bool:
        """Have whoever is at it fail; tell whether it goes on, pauses passed over."""
        going_on = self.race.failed(self.race.runners()[0], "broke", lasting=lasting)
        if going_on and self.race.pausing:
            self.until_due()
        return going_on

    def finish(self) -> None:
        """Have the winner end by itself."""
        for key in self.race.runners() if self.race.won else ():
            del self.live[key]
        self.race.finish()

    def until_due(self) -> bool:
        """Let time pass until something is due, and do it."""
        due = self.ledger.next_deadline
        assert due is not None
        self.ledger.now = max(self.ledger.now, due)
        assert self.ledger.take_due() == TIMER
        return self.race.tick()

    def notes(self) -> list[tuple[str, Outcome]]:
        found = [command for command in self.ledger.take() if isinstance(command, Note)]
        return [(note.engine, note.outcome) for note in found]


# Order and pauses.


def test_each_engine_is_tried_at_once_the_first_twice() -> None:
    track = Track()
    track.begin()
    while track.fail(lasting=True):
        pass
    assert track.opened == ["one", "two", "one"]
    assert not track.live


def test_failures_that_pass_are_waited_for() -> None:
    track, began = Track(), []
    track.begin()
    while track.ledger.now < GIVE_UP_SECONDS:
        began.append(round(track.ledger.now, 3))
        assert track.fail()
    assert began[:7] == [0, 0, 0, 0.05, 0.15, 0.35, 0.75]
    assert not track.race.failed(track.race.runners()[0], "broke")


def test_one_failure_that_passes_is_hope_enough() -> None:
    track = Track()
    track.begin()
    assert [track.fail(lasting=number != 1) for number in range(3)] == [True] * 3
    assert track.ledger.now == pytest.approx(0.05)


def test_nobody_waits_so_nothing_is_the_last() -> None:
    track = Track()
    track.race.begin()
    for _ in range(100):
        assert track.fail()


def test_silence_past_the_deadline_hands_on() -> None:
    track = Track(between=1.0)
    track.begin()
    assert track.until_due()
    assert (track.ledger.now, track.live) == (DEADLINE, {1: "two"})
    assert track.race.result(1)
    track.until_due()
    # Further results have a deadline of their own.
    assert (track.ledger.now, track.opened) == (DEADLINE + 1, ["one", "two", "one"])


def test_next_thing_begins_with_the_engine_that_works() -> None:
    track = Track(("one", "two", "three"))
    track.begin()
    track.fail()
    assert track.race.result(1)
    track.race.renew()
    track.fail()
    assert track.opened == ["one", "two", "three"]


def test_an_engine_that_found_nothing_is_doubted_once() -> None:
    track = Track()
    track.begin()
    assert track.race.unsatisfied(0, to_blame=False)
    assert not track.race.unsatisfied(1, to_blame=False)
    assert track.race.result(1)
    assert track.standings.of("llm", "one").circuit is Circuit.CLOSED


# Circuits.


def hung_first() -> Track:
    """Return a track whose first engine was silent."""
    track = Track()
    track.begin()
    track.until_due()
    track.race.result(1)
    track.finish()
    return track


def test_a_hung_first_engine_is_not_tried_first_again() -> None:
    track = hung_first()
    track.begin()
    assert track.opened == ["one", "two", "two"]


def test_it_is_probed_beside_another_and_used_again() -> None:
    track = hung_first()
    track.ledger.now += COOL_SECONDS
    track.begin()
    assert list(track.live.values()) == ["two", "one"]
    assert track.race.choice.name == "two"
    assert track.race.result(2)
    # The answer is there, but whether the first one works is not known yet.
    track.finish()
    assert list(track.live.values()) == ["one"]
    assert not track.race.result(3)
    assert not track.live
    track.begin()
    assert track.opened[-1] == "one"


def test_a_probe_that_is_faster_wins() -> None:
    track = hung_first()
    track.ledger.now += COOL_SECONDS
    track.begin()
    assert track.race.result(3)
    assert track.race.choice.name == "one"
    assert list(track.live.values()) == ["one"]


def test_a_probe_takes_over_when_the_other_fails() -> None:
    track = hung_first()
    track.ledger.now += COOL_SECONDS
    track.begin()
    assert track.fail()
    assert track.opened[2:] == ["two", "one"]
    assert track.race.leads(3)


def test_a_probe_that_hangs_costs_nobody_anything() -> None:
    track = hung_first()
    track.ledger.now += COOL_SECONDS
    track.begin()
    track.race.result(2)
    track.finish()
    track.until_due()
    assert track.notes()[-1] == ("one", Outcome.MISSED)
    assert not track.live
    # Twice as long until the next.
    track.ledger.now += 1.9 * COOL_SECONDS
    track.begin()
    assert list(track.live.values()) == ["two"]


def test_where_all_are_out_of_use_the_list_counts() -> None:
    track = hung_first()
    track.standings.of("llm", "two").failed(9.0, began=9.0, missed=True)
    track.begin()
    assert track.opened[-1] == "one"


def test_what_dies_together_is_one_failure() -> None:
    standing = Standing()
    for _ in range(30):
        standing.failed(10.0, began=9.0, missed=False)
    assert [standing.circuit] == [Circuit.CLOSED]
    standing.failed(11.0, began=10.5, missed=False)
    assert [standing.circuit] == [Circuit.OPEN]


def test_probes_become_rare_and_never_stop() -> None:
    standing, now, probes = Standing(), 0.0, []
    standing.failed(now, began=now, missed=True)
    while now < 600:
        now += 1
        if standing.probe(now):
            probes.append(now)
            assert not standing.probe(now)
            standing.failed(now, began=now, missed=True)
    pauses = [b - a for a, b in itertools.pairwise(probes)]
    assert pauses[:3] == [10, 20, 40]
    assert pauses[-1] == MOST_COOL_SECONDS


# Hedges.


def test_the_slow_one_in_twenty_is_told() -> None:
    latency = Latency()
    for number in range(ENOUGH - 1):
        latency.add(float(number))
    assert latency.slow() is None
    for number in range(WINDOW + 7):
        latency.add(number % 100 / 100)
    assert latency.slow() == pytest.approx(0.95, abs=0.02)


@given(st.lists(st.booleans(), max_size=400), st.floats(0, 100))
def test_a_budget_is_never_exceeded(wishes: list[bool], percent: float) -> None:
    budget, hedges = Budget(percent), 0
    for asked, wish in enumerate(wishes, 1):
        budget.asked()
        hedges += wish and budget.spend()
        assert hedges <= percent / 100 * asked + 1e-6


def test_a_good_time_saves_up_no_more_than_a_few_hedges() -> None:
    budget = Budget(10)
    for _ in range(10_000):
        budget.asked()
    assert sum(budget.spend() for _ in range(100)) == MOST_HEDGES


def first_tokens(percent: float, count: int, seed: int) -> tuple[list[float], int]:
    """Return how long each of many answers took to its first token, and how many were hedged.

    Both engines answer after a time that is log-normal: half a second in the middle, one in a
    hundred more than five.
    """
    chance = random.Random(seed)  # noqa: S311 - no secret
    track = Track(percent=percent, deadline=60.0)
    found, hedges = [], 0
    for _ in range(count):
        began = track.ledger.now
        track.begin()
        due: list[tuple[float, int]] = []
        known = 0
        while not track.race.won:
            for key in range(known, len(track.opened)):
                took = chance.lognormvariate(math.log(0.5), 1.0)
                heapq.heappush(due, (track.ledger.now + took, key))
            known = len(track.opened)
            timer = track.ledger.next_deadline
            if timer is not None and timer < due[0][0]:
                track.until_due()
                continue
            track.ledger.now, key = heapq.heappop(due)
            if key in track.live:
                track.race.result(key)
        found.append(track.ledger.now - began)
        track.finish()
        hedges += sum(outcome is Outcome.HEDGED for _, outcome in track.notes())
        track.opened.clear()
    return found, hedges


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[int(share * len(values))]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_hedging_cuts_the_tail_within_its_budget(seed: int) -> None:
    count = 4000
    alone, none = first_tokens(0, count, seed)
    hedged, hedges = first_tokens(10, count, seed)
    assert none == 0
    assert 0 < hedges <= count / 10
    assert percentile(hedged, 0.99) <= 0.7 * percentile(alone, 0.99)
    assert percentile(hedged, 0.5) <= 1.05 * percentile(alone, 0.5)


# Whatever happens.


def _due(track: Track, _: int) -> None:
    if track.ledger.next_deadline is not None and not track.until_due():
        track.race.stop()


def _failed(track: Track, key: int, *, lasting: bool = False) -> None:
    if not track.race.failed(key, "broke", lasting=lasting):
        track.race.stop()


def _result(track: Track, key: int) -> None:
    assert track.race.result(key) == track.race.leads(key)


HAPPENINGS: dict[str, Callable[[Track, int], None]] = {
    "begin": lambda track, _: track.race.begin(),
    "wait": lambda track, _: track.race.wait(),
    "result": _result,
    "fail": _failed,
    "lasting": lambda track, key: _failed(track, key, lasting=True),
    "due": _due,
    "settle": lambda track, _: track.race.settle(),
    "finish": lambda track, _: track.finish(),
}
STEPS = st.lists(st.tuples(st.sampled_from(sorted(HAPPENINGS)), st.integers(0, 3)), max_size=60)
NAMES = ["one", "two", "three"]


@settings(max_examples=300, deadline=None)
@given(STEPS, st.integers(1, 3), st.sampled_from([0.0, 100.0]))
def test_nobody_is_opened_twice_forgotten_or_waited_for_in_vain(
    steps: list[tuple[str, int]], count: int, percent: float
) -> None:
    track = Track(NAMES[:count], percent=percent)
    for name, _ in itertools.product(NAMES, range(ENOUGH)):
        track.standings.of("llm", name).latency.add(0.5)
    track.race.begin()
    for step, number in steps:
        keys = list(track.live)
        HAPPENINGS[step](track, keys[number % len(keys)] if keys else -1)
        check(track, waits=step == "wait")


def check(track: Track, *, waits: bool) -> None:
    race, at_it = track.race, track.race.runners()
    assert all(race.has(live) for live in track.live), "forgotten"
    assert set(at_it) <= set(track.live), "closed, and still at it"
    assert not race.won or len(at_it) == 1, "two winners"
    assert len(at_it) <= 3, "more than one, its hedge and a probe"
    assert not (waits and at_it) or track.ledger.has_deadline(TIMER), "waited for in vain"
