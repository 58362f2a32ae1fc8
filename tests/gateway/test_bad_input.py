"""What callers must not do: each gets a status that says so, and the process lives."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

import grpc.aio
import pytest

from tests.gateway.caller import LINEAR8, Caller, Hall, Request, hall
from tests.gateway.raw import HEADERS, RST_STREAM, raw_call
from voicemesh.api.audio.v1 import audio_pb2
from voicemesh.api.call.v1 import call_pb2

if TYPE_CHECKING:
    from pathlib import Path

    Stream = grpc.aio.StreamStreamCall[Request, call_pb2.ConverseResponse]

PATH = "/voicemesh.api.call.v1.CallService/Converse"
INVALID = grpc.StatusCode.INVALID_ARGUMENT
LINEAR16 = audio_pb2.ENCODING_LINEAR16
LOUD, QUIET = b"\x00\x80" * 2000, b"\xff" * 4000
"""Half a second each, as mu-law."""


def a_format(encoding: int, rate: int) -> audio_pb2.AudioFormat:
    return audio_pb2.AudioFormat(encoding=encoding, sample_rate_hertz=rate)  # type: ignore[arg-type]


def start(**fields: object) -> Request:
    filled = {"bot": "desk", "caller_format": LINEAR8} | fields
    return Request(start=call_pb2.Start(**filled))  # type: ignore[arg-type]


def audio(offset: int, data: bytes) -> Request:
    return Request(audio=audio_pb2.AudioChunk(offset=offset, data=data))


async def push(stream: Stream, message: Request) -> None:
    """Send even where the other side has ended the stream.

    The public `write` overwrites the status that ended it if the two cross.
    """
    with suppress(grpc.aio.InternalError, asyncio.InvalidStateError):
        call = stream._cython_call  # type: ignore[attr-defined]
        await call.send_serialized_message(message.SerializeToString())


async def still_lives(here: Hall) -> None:
    """Hold a good call, and see that nothing of the bad ones is left."""
    caller = Caller(here)
    await caller.start()
    await caller.hang_up()
    await caller.end()
    await here.gateway.live.wait_empty()


BEFORE_THE_CALL = {
    "audio before start": (audio(0, b"\0\0"), "start: must be the first message", None),
    "hang up before start": (Request(hang_up=call_pb2.HangUp()), "start: must be", None),
    "empty message": (Request(), "message: is empty", INVALID),
    "no format": (start(caller_format=None), "start.caller_format.encoding", INVALID),
    "unknown encoding": (start(caller_format=a_format(9, 8000)), "encoding: is 9", INVALID),
    "rate": (
        start(caller_format=a_format(LINEAR16, 11025)),
        "sample_rate_hertz: is 11025",
        INVALID,
    ),
    "wide mu-law": (start(bot_format=a_format(2, 16000)), "start.bot_format", INVALID),
    "bot name": (start(bot="No Such Bot!"), "start.bot: must be 1 to 64", INVALID),
    "long name": (start(bot="a" * 65), "start.bot", INVALID),
    "caller": (start(caller="1" * 129), "start.caller: has 129 characters; at most 128", INVALID),
    "callee": (start(callee="1" * 129), "start.callee", INVALID),
    "variables": (start(variables={str(n): "" for n in range(33)}), "at most 32", INVALID),
    "variable name": (start(variables={"a" * 257: ""}), "start.variables.key", INVALID),
    "variable value": (start(variables={"a": "b" * 257}), "start.variables.value", INVALID),
    "unknown bot": (start(bot="nobody"), "there are: desk", grpc.StatusCode.NOT_FOUND),
    "10 MB": (audio(0, bytes(10_000_000)), "", grpc.StatusCode.RESOURCE_EXHAUSTED),
}


@pytest.mark.parametrize(
    ("message", "text", "code"), BEFORE_THE_CALL.values(), ids=BEFORE_THE_CALL.keys()
)
async def test_a_call_that_begins_badly(
    tmp_path: Path, message: Request, text: str, code: grpc.StatusCode | None
) -> None:
    async with hall(tmp_path) as here:
        stream = here.call()
        await stream.write(message)
        assert await stream.code() is (code or grpc.StatusCode.FAILED_PRECONDITION)
        assert text in (await stream.details() or "")
        await still_lives(here)
        assert len(here.echo.opens) == 1


DURING_THE_CALL = {
    "second start": ([start()], "start: may be sent only once", None),
    "empty message": ([Request()], "message: is empty", INVALID),
    "10,000 empty messages": ([Request()] * 10_000, "message: is empty", INVALID),
    "empty chunk": ([audio(0, b"")], "audio.data: holds 0 samples; 1 to 8000", INVALID),
    "long chunk": ([audio(0, bytes(16_002))], "audio.data: holds 8001 samples", INVALID),
    "torn sample": ([audio(0, b"\0\0\0")], "audio.data: 3 bytes", INVALID),
    "negative offset": ([audio(-1, b"\0\0")], "audio.offset: is -1", INVALID),
    "back": ([audio(0, bytes(200)), audio(50, bytes(2))], "audio.offset: went back to 50", INVALID),
    "a day ahead": ([audio(86_400 * 8000, bytes(2))], "audio.offset: jumped from 0", INVALID),
    "no key": ([Request(dtmf=call_pb2.Dtmf(digit=""))], "dtmf.digit", INVALID),
    "two keys": ([Request(dtmf=call_pb2.Dtmf(digit="12"))], "dtmf.digit", INVALID),
    "strange key": ([Request(dtmf=call_pb2.Dtmf(digit="E"))], "one of 0-9, *, #, A-D", INVALID),
    "10 MB": ([audio(0, bytes(10_000_000))], "", grpc.StatusCode.RESOURCE_EXHAUSTED),
}


@pytest.mark.parametrize(
    ("messages", "text", "code"), DURING_THE_CALL.values(), ids=DURING_THE_CALL.keys()
)
async def test_a_call_that_goes_wrong(
    tmp_path: Path, messages: list[Request], text: str, code: grpc.StatusCode | None
) -> None:
    async with hall(tmp_path) as here:
        stream = here.call()
        await stream.write(start())
        assert isinstance(await stream.read(), call_pb2.ConverseResponse)
        for message in messages:
            await push(stream, message)
        assert await stream.code() is (code or grpc.StatusCode.FAILED_PRECONDITION)
        assert text in (await stream.details() or "")
        await still_lives(here)
        # The orchestrator was told that nobody is there any more.
        assert here.echo.counts["call_ended"] == 2


async def test_no_start_at_all(tmp_path: Path) -> None:
    async with hall(tmp_path, start_seconds=0.2) as here:
        stream = here.call()
        assert await stream.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        assert await stream.details() == "no start came within 0.2 s"
        await still_lives(here)


async def test_a_stream_that_is_closed_before_it_began(tmp_path: Path) -> None:
    async with hall(tmp_path) as here:
        stream = here.call()
        await stream.done_writing()
        assert await stream.code() is grpc.StatusCode.FAILED_PRECONDITION
        await still_lives(here)


async def test_metadata_that_is_no_utf8(tmp_path: Path) -> None:
    async with hall(tmp_path) as here:
        async with raw_call(here.address) as call:
            await call.open(PATH, [(b"x-name", b"\xff\xfe\xfa"), (b"x-name-bin", b"\xff!")])
            await call.send(start())
            assert await call.answer() in (HEADERS, RST_STREAM)
        await still_lives(here)


async def test_a_caller_who_never_reads(tmp_path: Path) -> None:
    wide = a_format(LINEAR16, 48000)
    async with hall(tmp_path, read_seconds=0.5) as here:
        async with raw_call(here.address) as call:
            await call.open(PATH)
            narrow = a_format(audio_pb2.ENCODING_MULAW, 8000)
            await call.send(start(caller_format=narrow, bot_format=wide))
            offset = 0
            for piece in [LOUD] * 8 + [QUIET]:
                await call.send(audio(offset, piece))
                offset += len(piece)
            await here.echo.byes.wait()
            assert here.echo.counts["speech_ended"] == 1
        await still_lives(here)


async def test_a_full_gateway(tmp_path: Path) -> None:
    async with hall(tmp_path, max_calls=1) as here:
        first = Caller(here)
        await first.start()
        stream = here.call()
        await stream.write(start())
        assert await stream.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        await first.hang_up()
        await still_lives(here)


async def test_a_draining_gateway_lets_live_calls_go_on(tmp_path: Path) -> None:
    async with hall(tmp_path) as here:
        first = Caller(here)
        await first.start()
        here.gateway.live.close()
        await here.gateway.drain()
        stream = here.call()
        await stream.write(start())
        assert await stream.code() is grpc.StatusCode.UNAVAILABLE
        await first.utter()
        await first.until("turn")
        await first.hang_up()
        await first.end()


@pytest.mark.parametrize(
    ("refusal", "code"),
    [
        (grpc.StatusCode.NOT_FOUND, grpc.StatusCode.NOT_FOUND),
        (grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.PERMISSION_DENIED),
        (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.INTERNAL),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.RESOURCE_EXHAUSTED),
    ],
)
async def test_an_orchestrator_that_refuses(
    tmp_path: Path, refusal: grpc.StatusCode, code: grpc.StatusCode
) -> None:
    async with hall(tmp_path) as here:
        here.echo.refusal = refusal
        stream = here.call()
        await stream.write(start())
        assert await stream.code() is code
        here.echo.refusal = None
        await still_lives(here)


async def test_an_orchestrator_that_hangs_is_left(tmp_path: Path) -> None:
    async with hall(tmp_path) as here:
        here.echo.silent = True
        stream = here.call()
        await stream.write(start())
        await here.echo.arrivals.get()
        here.echo.silent = False
        assert isinstance(await stream.read(), call_pb2.ConverseResponse)
        assert [opened.attempt for opened in here.echo.opens] == [1, 2]
        stream.cancel()
