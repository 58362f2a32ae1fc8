"""The examples hold the demo's conversation: a serverless function, and a brain in Node."""

from __future__ import annotations

import asyncio
import datetime
import os
import sys
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from demo import story
from demo.booking import BookingService
from tests.clients.from_node import install, missing
from tests.orchestrator.brains.endpoint import SECRET
from tests.orchestrator.test_session import serving, session

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ROOT = Path(__file__).parents[3]
EXAMPLES = ROOT / "examples"
SAID = (
    (story.QUESTION, "nine until noon"),
    (story.BOOKING, "name may I put down"),
    (story.NAME, "booked for Tuesday"),
    (story.LONG_QUESTION, "ten minutes early"),
    (story.INTERRUPTION, "parking spaces behind the house"),
    (story.CORRECTION, "booked for Wednesday"),
    (story.GOODBYE, "Goodbye"),
)


@asynccontextmanager
async def running(*command: str | Path) -> AsyncIterator[str]:
    """Run a brain; yield the address that it says."""
    process = await asyncio.create_subprocess_exec(
        *map(str, command),
        stdout=asyncio.subprocess.PIPE,
        env=os.environ | {"DESK_SECRET": SECRET},
    )
    assert process.stdout
    try:
        yield (await asyncio.wait_for(process.stdout.readline(), 60)).decode().strip()
    finally:
        process.terminate()
        await process.wait()


@asynccontextmanager
async def brain(name: str) -> AsyncIterator[tuple[str, str]]:
    """Yield the variable that a bot's file has the brain's address in, and the address."""
    if name == "desk-lambda":
        async with running(sys.executable, EXAMPLES / "lambda" / "serve.py", "--port", "0") as url:
            yield "DESK_URL", url
        return
    if missing():
        pytest.skip("node and npm are not installed (Debian packages nodejs, npm)")
    await install(EXAMPLES / "node")
    async with running("node", EXAMPLES / "node" / "brain.mjs", "0") as target:
        yield "DESK_TARGET", target


@pytest.mark.parametrize("bot", ["desk-lambda", "desk-node"])
async def test_an_example_holds_the_demo_conversation(
    bot: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DESK_SECRET", SECRET)
    with BookingService() as booking:
        monkeypatch.setenv("VOICEMESH_BOOKING_URL", booking.url)
        async with brain(bot) as (variable, address):
            monkeypatch.setenv(variable, address)
            await hold(bot)
        [appointment] = booking.appointments()
    assert (appointment["time"], appointment["name"]) == ("15:00", "Anna Miller")
    assert f"{datetime.date.fromisoformat(appointment['date']):%A}" == "Wednesday"
    assert booking.effects == 2


async def hold(bot: str) -> None:
    async with (
        serving(EXAMPLES / "bots", models="scripted", allowed_hosts=("127.0.0.1",)) as (_, channel),
        session(channel, bot=bot) as client,
    ):
        await client.until_heard("How can I help you")
        await client.until_answered()
        for words, answer in SAID:
            client.audio.clear()
            await client.say(words)
            await client.until_heard(answer)
            await client.until_answered()
        kinds = [e.action_ordered.kind for e in client.journal if e.HasField("action_ordered")]
        assert (
            kinds == ["hang_up"] or (await client.until_entry("action_ordered")).kind == "hang_up"
        )
