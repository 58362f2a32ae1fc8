"""The simulation against what is known of queues, and against its own promises."""

from __future__ import annotations

import pytest
from hypothesis import given, settings, strategies as st

from tests.voicemesh.simulation.stage import ALONE, IMPATIENT, THREE, stage
from voicemesh.simulation.story import Story


def erlang_b(offered: float, places: int) -> float:
    """Return the share of calls that M/M/c/c refuses (Erlang's first formula, by recursion)."""
    share = 1.0
    for place in range(1, places + 1):
        share = offered * share / (place + offered * share)
    return share


def steady(calls: float, **changes: float) -> Story:
    told = {"ramp": 0.0, "call_seconds": 10.0, "step": 0.05, "sample": 100.0} | changes
    return Story(calls=calls, seed=7, **told)  # type: ignore[arg-type]


@pytest.mark.parametrize(("offered", "places"), [(45.0, 50), (50.0, 50), (80.0, 50)])
def test_blocking_is_erlangs(offered: float, places: int) -> None:
    story = steady(offered, seconds=2500.0, step=0.1)
    result = stage(ALONE, story, IMPATIENT, replicas=1, limit=places).run()
    late = [point for point in result.points if point.seconds > 500]
    refused = sum(point.refused for point in late)
    blocking = refused / (refused + sum(point.accepted for point in late))
    assert blocking == pytest.approx(erlang_b(offered, places), rel=0.1)
    assert max(point.calls for point in result.points) <= places


def test_littles_law_holds() -> None:
    story = steady(300.0, seconds=2000.0, sample=5.0, step=0.1)
    result = stage(ALONE, story).run()
    late = [point for point in result.points if point.seconds > 200]
    calls = sum(point.calls for point in late) / len(late)
    rate = sum(point.accepted for point in late) / (late[-1].seconds - 200)
    assert calls == pytest.approx(rate * story.call_seconds, rel=0.02)
    assert calls == pytest.approx(300, rel=0.03)


def test_a_ramp_reaches_its_peak() -> None:
    story = Story(calls=3000, ramp=600, seconds=900, call_seconds=60, sample=60)
    result = stage(ALONE, story).run()
    for point in result.points:
        assert point.calls == pytest.approx(story.wanted(point.seconds), abs=220)
    assert result.total("refused") == 0


def test_same_seed_same_run() -> None:
    runs = [
        stage(
            THREE, Story(calls=2000, ramp=60, seconds=120, lost="west", lost_at=60, seed=seed)
        ).run()
        for seed in (3, 3, 4)
    ]
    assert runs[0].as_json() == runs[1].as_json()
    assert runs[0].as_json() != runs[2].as_json()


STORIES = st.builds(
    Story,
    calls=st.integers(1, 20_000),
    ramp=st.integers(0, 60),
    seconds=st.just(120.0),
    call_seconds=st.integers(5, 300),
    lost=st.sampled_from(["", "west", "central", "east"]),
    lost_at=st.integers(10, 100),
    lost_share=st.sampled_from([0.3, 0.5, 1.0]),
    sample=st.just(10.0),
    seed=st.integers(0, 10),
)


@given(STORIES, st.integers(1, 8), st.sampled_from([0.0, 0.002, 0.02]))
@settings(max_examples=25, deadline=None)
def test_nobody_appears_or_vanishes(story: Story, replicas: int, set_up_seconds: float) -> None:
    simulation = stage(
        THREE, story, replicas=replicas, set_up_seconds=set_up_seconds, shares="west=2,west/any=1"
    )
    result = simulation.run()
    for name, count in simulation._at_gateway.items():
        assert count == sum(n for (at, _, _), n in simulation._live.items() if at == name)
        assert 0 <= count <= replicas * 400
    for (gateway, brain, zone), count in simulation._live.items():
        assert count >= 0
        if count:
            # No call is outside its residency fence.
            assert brain in THREE["west"].fences[zone]
            assert gateway in THREE["west"].fences[zone]
    if story.lost and story.lost_share == 1:
        assert simulation._at_gateway[story.lost] == 0
        assert simulation._at_brain[story.lost] == 0
    assert result.total("accepted") <= result.total("offered")


def test_the_lost_regions_calls_go_on_inside_their_fence() -> None:
    story = Story(
        calls=3000, ramp=60, seconds=180, call_seconds=60, lost="west", lost_at=90, sample=10
    )
    result = stage(THREE, story, shares="west=1").run()
    before = next(point for point in result.at(90) if point.region == "west")
    after = {point.region: point for point in result.at(180)}
    assert before.calls > 2500
    assert result.total("resumed") == pytest.approx(before.calls, rel=0.05)
    assert after["central"].calls == pytest.approx(3000, rel=0.1)
    assert after["east"].calls == 0
    assert result.total("lost") == 0


def test_who_has_nowhere_to_go_is_lost_and_the_next_is_refused() -> None:
    story = Story(
        calls=1000, ramp=10, seconds=90, call_seconds=60, lost="east", lost_at=40, sample=10
    )
    result = stage(THREE, story, shares="east=1").run()
    assert result.total("lost") > 800
    assert result.total("refused") > 300
    assert sum(point.calls for point in result.at(90)) == 0


def test_half_the_replicas_lost_leaks_nothing() -> None:
    # Overprovisioning of 200 %: two replicas' half is taken for a whole region.
    story = Story(
        calls=1000,
        ramp=10,
        seconds=120,
        call_seconds=60,
        lost="west",
        lost_at=60,
        lost_share=0.5,
        sample=10,
    )
    result = stage(THREE, story, shares="west=1").run()
    assert sum(point.brains for point in result.points if point.region != "west") == 0
    assert result.total("resumed") > 300
    smaller = stage(
        THREE,
        Story(
            calls=1000,
            ramp=10,
            seconds=120,
            call_seconds=60,
            lost="west",
            lost_at=60,
            lost_share=0.75,
            sample=10,
        ),
        shares="west=1",
    ).run()
    assert sum(point.brains for point in smaller.points if point.region == "central") > 0


def test_a_full_region_passes_calls_on() -> None:
    story = Story(calls=1500, ramp=60, seconds=120, call_seconds=60, sample=10)
    result = stage(THREE, story, replicas=2, limit=400, shares="west=1").run()
    last = {point.region: point for point in result.at(120)}
    assert last["west"].calls > 750
    assert 500 < last["central"].calls <= 800
    assert result.total("overflowed") > 400
    assert last["central"].set_up_p50_ms is not None


def test_openings_wait_for_a_processor() -> None:
    # 100 openings a second of 20 ms each want 2 cores; there is one of each service.
    quick, slow = (
        stage(
            ALONE,
            steady(300, seconds=20, step=0.1, sample=10, call_seconds=3),
            replicas=1,
            set_up_seconds=seconds,
        ).run()
        for seconds in (0.0, 0.04)
    )
    assert quick.points[-1].waiting == 0
    assert slow.points[-1].waiting > 0
    assert (slow.points[-1].set_up_p50_ms or 0) > 10 * (quick.points[-1].set_up_p50_ms or 0)
    assert slow.points[-1].utilisation > 0.9


def test_late_replicas_pass_new_calls_on() -> None:
    # Openings keep the only processes of west busy; its replicas notice, and refuse.
    story = Story(calls=3000, ramp=0, seconds=60, call_seconds=30, sample=10)
    patient, wary = (
        stage(
            THREE,
            story,
            replicas=2,
            limit=2000,
            set_up_seconds=0.03,
            lag_seconds=lag,
            shares="west=1",
        ).run()
        for lag in (0.0, 0.05)
    )
    assert patient.total("overflowed") == 0
    assert wary.total("overflowed") > 0
    assert sum(point.calls for point in wary.points if point.region == "central") > 0


def test_progress_is_told() -> None:
    told: list[float] = []
    stage(ALONE, Story(calls=10, ramp=1, seconds=120, sample=30)).run(told.append)
    assert told == [0.25, 0.5, 0.75, 1.0]
