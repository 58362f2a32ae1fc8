from __future__ import annotations

import asyncio

import pytest

from voicemesh.handover import APART_SECONDS, SHARE, one_by_one


async def asked(count: int, seconds: float) -> list[tuple[int, float, float]]:
    """Return each call with what was left of the drain, and when it was asked."""
    clock = asyncio.get_running_loop().time
    began = clock()
    return [(call, left, clock() - began) async for call, left in one_by_one(range(count), seconds)]


@pytest.mark.virtual_time
async def test_calls_are_asked_one_after_another_with_the_time_that_is_left() -> None:
    told = await asked(4, 10.0)
    assert [call for call, _, _ in told] == [0, 1, 2, 3]
    assert [at for _, _, at in told] == pytest.approx([n * APART_SECONDS for n in range(4)])
    assert [left for _, left, _ in told] == pytest.approx(
        [10 - n * APART_SECONDS for n in range(4)]
    )


@pytest.mark.virtual_time
@pytest.mark.parametrize("count", [0, 1, 500])
async def test_however_many_there_are_they_are_asked_in_time(count: int) -> None:
    told = await asked(count, 30.0)
    assert len(told) == count
    assert all(at <= 30.0 * SHARE for _, _, at in told)
