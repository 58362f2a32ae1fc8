"""``python -m orchestrator`` as a supervisor sees it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.orchestrator.session_client import SessionClient, opening
from voicemesh.api.session.v1 import session_pb2 as pb
from voicemesh.channel import open_channel

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ROOT = Path(__file__).parents[2]


@asynccontextmanager
async def process(**variables: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """Run an orchestrator; yield it with its address."""
    settings = {f"VOICEMESH_{name.upper()}": value for name, value in variables.items()}
    running = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "orchestrator",
        cwd=ROOT,
        env=os.environ | {"VOICEMESH_MESH": "127.0.0.1:1"} | settings,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield running, await until_line(running, "serving", "address")
    finally:
        if running.returncode is None:
            running.kill()
        # Read to the end, so that the pipe is closed before the loop is.
        await running.communicate()


async def until_line(running: asyncio.subprocess.Process, event: str, field: str) -> str:
    assert running.stderr
    async for line in running.stderr:
        told = json.loads(line)
        if told["event"] == event:
            return str(told[field])
    raise AssertionError(f"it never said {event!r}")


async def test_sigterm_hands_calls_over_and_ends() -> None:
    async with process() as (running, address), open_channel(address) as channel:
        client = SessionClient(channel)
        await client.open()
        running.send_signal(signal.SIGTERM)
        await client.until("go_away")
        await client.call.done_writing()
        assert (await client.until("bye")).bye.reason == pb.BYE_REASON_HANDED_OVER
        assert await running.wait() == 0


async def test_second_sigterm_ends_at_once() -> None:
    async with process() as (running, address), open_channel(address) as channel:
        client = SessionClient(channel)
        await client.open()
        running.send_signal(signal.SIGTERM)
        await client.until("go_away")
        running.send_signal(signal.SIGTERM)
        assert await running.wait() == 0


async def test_drain_ends_at_its_deadline() -> None:
    async with process(drain_seconds="0") as (running, address), open_channel(address) as channel:
        await SessionClient(channel).open()
        running.send_signal(signal.SIGTERM)
        assert await running.wait() == 0


async def test_a_hand_over_has_calls_opened_anew_and_turns_nobody_away() -> None:
    async with process(drain_seconds="7") as (running, address), open_channel(address) as channel:
        old = SessionClient(channel)
        await old.open()
        running.send_signal(signal.SIGUSR1)
        assert (await old.until("go_away")).go_away.deadline.seconds == 7
        new = SessionClient(channel)
        await new.open(opening(epoch=2))
        assert (await old.until("bye")).bye.reason == pb.BYE_REASON_SUPERSEDED
        await new.hang_up()
