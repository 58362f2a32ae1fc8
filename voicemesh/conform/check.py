"""A check of the table, and what became of it."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import grpc.aio

from voicemesh.conform.talk import Broken

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Sequence

    from voicemesh.conform.talk import Subject

LONGEST_SECONDS = 120.0
"""No check may take longer."""


@dataclass(frozen=True)
class Check:
    """One thing that the contract promises."""

    topic: str
    """Of order, offsets, cancellation, half-close, deadlines, back-pressure, bad input,
    concurrency, go-away."""
    about: str
    """What is promised, for whoever implements it."""
    run: Callable[[Subject], Coroutine[Any, Any, None]]


@dataclass(frozen=True)
class Finding:
    """What became of a check."""

    topic: str
    about: str
    problem: str
    """Empty: it holds."""
    seconds: float

    @property
    def holds(self) -> bool:
        """Whether the implementation keeps it."""
        return not self.problem


async def findings(subject: Subject, checks: Sequence[Check]) -> AsyncIterator[Finding]:
    """Run the checks one after the other."""
    for check in checks:
        began = time.monotonic()
        problem = await _problem(subject, check)
        yield Finding(check.topic, check.about, problem, round(time.monotonic() - began, 3))


async def _problem(subject: Subject, check: Check) -> str:
    try:
        async with asyncio.timeout(LONGEST_SECONDS):
            await check.run(subject)
    except Broken as broken:
        return str(broken)
    except TimeoutError:
        return f"takes more than {LONGEST_SECONDS:g} s"
    except grpc.aio.AioRpcError as error:
        return f"ends with {error.code().name}: {error.details()}"
    return ""
