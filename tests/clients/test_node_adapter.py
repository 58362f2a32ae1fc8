"""An adapter in another language, from protos/ alone, keeps what they promise."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from tests.clients.from_node import NODE, install, missing
from voicemesh.conform.run import Wish, checks, judge

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(missing(), reason="node and npm are not installed"),
]


@asynccontextmanager
async def adapter() -> AsyncIterator[tuple[str, asyncio.subprocess.Process]]:
    await install()
    process = await asyncio.create_subprocess_exec(
        "node", "adapter.mjs", cwd=NODE, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout
    try:
        async with asyncio.timeout(60):
            port = int(await process.stdout.readline())
        yield f"127.0.0.1:{port}", process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def test_an_adapter_from_node_is_conformant() -> None:
    async with adapter() as (address, process):
        wish = Wish("tts", address, "beeps", seconds=30.0, pid=process.pid)
        found = [finding async for finding in judge(wish)]
        async with asyncio.timeout(30):
            assert await process.wait() == 0
    broken = [f"{one.topic}: {one.about}: {one.problem}" for one in found if not one.holds]
    assert not broken, "\n".join(broken)
    assert len(found) == len(checks("tts", process.pid))
