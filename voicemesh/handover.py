"""Calls that are asked to go elsewhere: one after another, so that nobody hears the others go."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

Call = TypeVar("Call")

APART_SECONDS = 0.05
"""Between two calls: to open one anew is work, and many at once would hold up the others' audio."""
ALL_SECONDS = 2.0
"""Within which all are asked, however many they are."""


async def one_by_one(calls: Sequence[Call], seconds: float) -> AsyncIterator[tuple[Call, float]]:
    """Yield each call when it is its turn, with what is left by then of `seconds`."""
    apart = min(APART_SECONDS, ALL_SECONDS / max(1, len(calls)))
    for number, call in enumerate(calls):
        if number:
            await asyncio.sleep(apart)
        yield call, max(0.0, seconds - number * apart)
