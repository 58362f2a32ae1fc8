"""Calls that are asked to go elsewhere: one after another, so that nobody hears the others go."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

Call = TypeVar("Call")

APART_SECONDS = 0.15
"""Between two calls: to open one anew is work for every layer, and many at once would hold up the
others' audio and answers."""
SHARE = 1 / 3
"""Of the time there is, within which all are asked: then each has to wait for its pause."""


async def one_by_one(calls: Sequence[Call], seconds: float) -> AsyncIterator[tuple[Call, float]]:
    """Yield each call when it is its turn, with what is left by then of `seconds`."""
    apart = min(APART_SECONDS, seconds * SHARE / max(1, len(calls)))
    for number, call in enumerate(calls):
        if number:
            await asyncio.sleep(apart)
        yield call, max(0.0, seconds - number * apart)
