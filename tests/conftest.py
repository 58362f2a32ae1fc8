"""Runs coroutine tests: on a real loop, or (``virtual_time``) on one whose clock jumps."""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING

import pytest
from hypothesis import Phase, settings

from tests.support.virtual_time import VirtualTimeLoop

if TYPE_CHECKING:
    from collections.abc import Iterator

DEADLINE_SECONDS = 120.0

# Tests give the same verdict each time; `pytest --hypothesis-profile=explore` looks for new cases.
settings.register_profile("same", derandomize=True, deadline=None)
settings.register_profile("explore", deadline=None)
# Enough to know that something fails; the smallest case is not looked for.
settings.register_profile(
    "hasty", derandomize=True, deadline=None, phases=(Phase.explicit, Phase.generate)
)
settings.load_profile("same")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--rewrite", action="store_true", help="write scenario files as they run now")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # Those that wait for real time first, so that the short ones fill what is left at the end.
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    """One loop for the tests of a module, where they share something that lives on it."""
    with asyncio.Runner() as shared:
        yield shared


def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    test = pyfuncitem.obj
    if not inspect.iscoroutinefunction(test):
        return None
    names = inspect.signature(test).parameters
    arguments = {name: pyfuncitem.funcargs[name] for name in names}
    virtual = pyfuncitem.get_closest_marker("virtual_time") is not None

    async def bounded() -> None:
        await asyncio.wait_for(test(**arguments), None if virtual else DEADLINE_SECONDS)

    if "runner" in pyfuncitem.fixturenames:
        pyfuncitem._request.getfixturevalue("runner").run(bounded())
        return True
    factory = VirtualTimeLoop if virtual else asyncio.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(bounded())
    return True
