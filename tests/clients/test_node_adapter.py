"""An adapter and a brain in another language, from protos/ alone, keep what they promise."""

from __future__ import annotations

import asyncio
import os
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.clients.from_node import NODE, install, missing
from voicemesh.conform.run import Wish, checks, judge

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

EXAMPLE = Path(__file__).parents[2] / "examples" / "node"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(missing(), reason="node and npm are not installed"),
]


@asynccontextmanager
async def started(
    *command: str, folder: Path = NODE, **environ: str
) -> AsyncIterator[tuple[str, asyncio.subprocess.Process]]:
    await install(folder)
    process = await asyncio.create_subprocess_exec(
        "node", *command, cwd=folder, stdout=asyncio.subprocess.PIPE, env=os.environ | environ
    )
    assert process.stdout
    try:
        async with asyncio.timeout(60):
            address = (await process.stdout.readline()).decode().strip()
        yield f"127.0.0.1:{address.rpartition(':')[2]}", process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def test_an_adapter_from_node_is_conformant() -> None:
    async with started("adapter.mjs") as (address, process):
        wish = Wish("tts", address, "beeps", seconds=30.0, pid=process.pid)
        found = [finding async for finding in judge(wish)]
        async with asyncio.timeout(30):
            assert await process.wait() == 0
    broken = [f"{one.topic}: {one.about}: {one.problem}" for one in found if not one.holds]
    assert not broken, "\n".join(broken)
    assert len(found) == len(checks("tts", process.pid))


async def test_the_example_of_a_brain_is_conformant() -> None:
    secret = "sesame"  # noqa: S105 - nobody's
    brain = started("brain.mjs", "0", folder=EXAMPLE, DESK_SECRET=secret)
    async with brain as (address, _):
        wish = Wish("bot", address, "desk-node", seconds=30.0, secret=secret)
        found = [finding async for finding in judge(wish)]
    broken = [f"{one.topic}: {one.about}: {one.problem}" for one in found if not one.holds]
    assert not broken, "\n".join(broken)
    assert len(found) == len(checks("bot"))
