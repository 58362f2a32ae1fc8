from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from voicemesh.chaos.plan import ENVOYS, Kind, Target, plan
from voicemesh.errors import InvalidInput

UNPLANNED = {Kind.TOOL, Kind.PROVIDER}
kinds = st.lists(st.sampled_from(sorted(set(Kind) - UNPLANNED)), min_size=1, unique=True)
targets = st.lists(st.sampled_from(sorted(set(Target) - ENVOYS)), min_size=1, unique=True)


@given(st.integers(0, 10**6), kinds, targets)
def test_the_seed_alone_decides(seed: int, kinds: list[Kind], targets: list[Target]) -> None:
    faults = plan(seed, 60, 2, kinds, targets)
    assert faults == plan(seed, 60, 2, list(reversed(list(reversed(kinds)))), targets)
    assert len(faults) == 30
    assert [fault.at for fault in faults] == sorted(fault.at for fault in faults)
    assert all(0 <= fault.at <= 60 for fault in faults)
    assert {fault.kind for fault in faults} <= set(kinds)
    assert {fault.target for fault in faults} <= {*targets, None}


def test_another_seed_is_another_schedule() -> None:
    assert plan(1, 60, 2, list(Kind), list(Target)) != plan(2, 60, 2, list(Kind), list(Target))


def test_what_lasts_lasts_and_what_does_not_is_over_at_once() -> None:
    faults = plan(3, 600, 2, [Kind.KILL, Kind.HANG], [Target.STT])
    for fault in faults:
        assert (1.0 <= fault.seconds <= 4.0) if fault.kind is Kind.HANG else fault.seconds == 0


def test_a_deploy_has_no_target() -> None:
    assert all(fault.target is None for fault in plan(4, 60, 2, [Kind.DEPLOY], [Target.STT]))


def test_an_envoy_has_no_event_loop_to_block() -> None:
    faults = plan(5, 100, 2, [Kind.LOOP], [Target.EDGE, Target.MESH, Target.TTS])
    assert {fault.target for fault in faults} == {Target.TTS}
    with pytest.raises(InvalidInput, match="loop cannot strike"):
        plan(5, 100, 2, [Kind.LOOP], [Target.EDGE])


@pytest.mark.parametrize("kind", sorted(UNPLANNED))
def test_what_strikes_by_occasion_is_at_no_time_of_the_plans(kind: Kind) -> None:
    assert plan(6, 60, 2, [kind], list(Target)) == ()
    assert kind not in {each.kind for each in plan(6, 60, 2, list(Kind), list(Target))}
