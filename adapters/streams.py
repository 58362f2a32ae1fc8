"""What the servicers share: tasks that live and die together, first messages, foreign failures."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeVar

import grpc.aio

from voicemesh import telemetry
from voicemesh.errors import Context, DeadlineMissed, OutOfOrder, VoicemeshError, abort

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
    from typing import Any

T = TypeVar("T")

FIRST_MESSAGE_SECONDS = 10.0
IDLE_SECONDS = 120.0
RENEWAL_SECONDS = 1.0

_log = telemetry.get_logger("adapters")


async def together(*works: Coroutine[object, object, None]) -> None:
    """Run all until they are done; when one fails, stop the others and raise its error."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def closing(pieces: AsyncIterator[T]) -> AsyncIterator[AsyncIterator[T]]:
    """Close the generator behind the block, however it ends; not some time later."""
    try:
        yield pieces
    finally:
        if isinstance(pieces, AsyncGenerator):
            await pieces.aclose()


@asynccontextmanager
async def answering_errors(context: Context) -> AsyncIterator[None]:
    """End the RPC with the status of whatever goes wrong in the block."""
    try:
        yield
    except VoicemeshError as error:
        await abort(context, error)
    except (asyncio.CancelledError, grpc.aio.BaseError):
        raise
    except Exception as error:
        _log.exception("engine failed")
        await abort(context, VoicemeshError(f"engine failed: {error}", reason="ENGINE_FAILED"))


async def first_message(context: Context) -> object:
    """Return the stream's first message; raise if none comes."""
    seconds = FIRST_MESSAGE_SECONDS
    try:
        async with asyncio.timeout(seconds):
            message: object = await context.read()
    except TimeoutError:
        raise DeadlineMissed(f"no message for {seconds:g} s", seconds=seconds) from None
    if message is grpc.aio.EOF:
        raise OutOfOrder("config", "must be the first message")
    return message


async def take_all(
    context: Context, take: Callable[[Any], Awaitable[None] | None], seconds: float = IDLE_SECONDS
) -> None:
    """Have every message taken, up to the end of the stream; raise if none comes for so long.

    What `take` returns is waited for. A timer for each message would cost more than most of them,
    so there is one, and it is put off once a second.
    """
    clock = asyncio.get_running_loop().time
    patience = asyncio.timeout(seconds + RENEWAL_SECONDS)
    try:
        async with patience:
            renewed = clock()
            while (message := await context.read()) is not grpc.aio.EOF:
                waits = take(message)
                if waits is not None:
                    await waits
                if (now := clock()) - renewed >= RENEWAL_SECONDS:
                    renewed = now
                    patience.reschedule(now + seconds + RENEWAL_SECONDS)
    except TimeoutError:
        if not patience.expired():
            raise
        raise DeadlineMissed(f"no message for {seconds:g} s", seconds=seconds) from None
