from __future__ import annotations

import asyncio
import io
import wave
from typing import TYPE_CHECKING

import grpc.aio
import numpy as np
import pytest

from tests.support.fake_gateway import Bot, FakeGateway, Reply, running, tone
from voicemesh.client import (
    FORMATS,
    AwaitReply,
    BotAudio,
    Call,
    Cleared,
    Ended,
    HangUp,
    Interrupt,
    Pause,
    Play,
    Press,
    Request,
    Started,
    Step,
    Transcript,
    Turn,
    parse_format,
    perform,
)
from voicemesh.client.convert import audio_request
from voicemesh.client.line import Line, open_line
from voicemesh.client.script import Say
from voicemesh.errors import (
    DeadlineMissed,
    InvalidInput,
    NotFound,
    OutOfOrder,
    Unavailable,
    VoicemeshError,
)

if TYPE_CHECKING:
    from pathlib import Path

PCMU = FORMATS["pcmu"]
DESK = Bot(
    replies=[
        Reply("what time do you close", "At six."),
        Reply("tell me more", "There is a lot to tell.", 3.0),
        Reply("stop", "Goodbye.", 0.2, hang_up=True),
    ]
)
QUICK = AwaitReply(quiet_seconds=0.15, deadline_seconds=10)


def speech(rate: int = 8000, seconds: float = 0.3) -> Play:
    return Play(tone(seconds, rate))


async def test_a_whole_call_with_an_interruption(tmp_path: Path) -> None:
    gateway = FakeGateway({"desk": DESK})
    steps: list[Step] = [
        QUICK,
        speech(),
        QUICK,
        speech(),
        Interrupt(speech(), 0.3),
        QUICK,
        HangUp(),
    ]
    async with (
        running(gateway) as address,
        Call.place(
            address, bot="desk", caller_format=PCMU, caller="+15550100", variables={"a": "b"}
        ) as call,
    ):
        await perform(call, steps)
        events = [event async for event in call]
    (start,) = gateway.starts
    assert (start.caller, start.variables["a"]) == ("+15550100", "b")
    kinds = [type(event) for event in events]
    assert (kinds[0], kinds[-1]) == (Started, Ended)
    assert {BotAudio, Cleared, Transcript, Turn} <= set(kinds)
    assert call.ended is not None
    assert call.ended.reason == "bot_hung_up"
    assert call.ended.journal[0]["call_started"]["bot"] == "desk"
    assert [words.text for words in call.transcripts if words.speaker == "caller"] == [
        "what time do you close",
        "tell me more",
        "stop",
    ]
    assert [turn.report.turn for turn in call.turns] == [1, 2, 3]
    assert all(abs(turn.report.unexplained) < 0.001 for turn in call.turns)
    assert len(call.clears) == 1
    for answer in call.answers():
        assert 0.15 < answer.seconds < 1.0
    answers = [call.answer_to(turn) for turn in call.turns]
    assert answers == call.answers()
    call.record(tmp_path / "call.wav")
    assert_tracks(tmp_path / "call.wav")


def assert_tracks(path: Path) -> None:
    with wave.open(io.BytesIO(path.read_bytes())) as file:
        assert (file.getnchannels(), file.getframerate()) == (2, 8000)
        tracks = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2)
    caller, bot = (np.abs(tracks[:, side].astype(int)) > 100 for side in (0, 1))
    assert 3 * 0.3 * 8000 * 0.9 < caller.sum() < 3 * 0.3 * 8000
    assert bot.sum() > 8000
    # The bot greets first, and the two speak at the same time only during the interruption.
    assert bot.argmax() < caller.argmax()
    assert (caller & bot).sum() < 0.2 * 8000


@pytest.mark.parametrize("name", sorted(FORMATS))
async def test_every_format_carries_sound_both_ways(name: str) -> None:
    fmt = FORMATS[name]
    gateway = FakeGateway({"desk": Bot(greeting=None, replies=[Reply("hello", "Yes?", 0.1)])})
    async with (
        running(gateway) as address,
        Call.place(address, bot="desk", caller_format=fmt) as call,
    ):
        await perform(call, [speech(fmt.rate, 0.1), QUICK])
    assert call.playback.rate == fmt.rate
    assert call.playback.heard_samples == pytest.approx(0.1 * fmt.rate, rel=0.2)
    assert call.ended is not None
    assert call.ended.reason == "caller_hung_up"


async def test_silence_can_be_left_out() -> None:
    gateway = FakeGateway({"desk": Bot(greeting=None)})
    async with (
        running(gateway) as address,
        Call.place(address, bot="desk", caller_format=PCMU, send_silence=False) as call,
    ):
        await perform(call, [Pause(0.2), speech(seconds=0.1)])
    assert gateway.audio_messages == 5


async def test_keys_are_pressed_and_other_characters_refused() -> None:
    gateway = FakeGateway({"desk": Bot(greeting=None, replies=[Reply("", "Thank you.", 0.1)])})
    async with (
        running(gateway) as address,
        Call.place(address, bot="desk", caller_format=PCMU) as call,
    ):
        with pytest.raises(InvalidInput, match="digits"):
            call.dtmf("12x")
        await perform(call, [Press("472#"), QUICK])
    assert gateway.digits[0].endswith("472#")


async def test_a_transfer_is_told() -> None:
    bot = Bot(greeting=None, replies=[Reply("a human", "One moment.", 0.1, transfer="+15550123")])
    async with (
        running(FakeGateway({"desk": bot})) as address,
        Call.place(address, bot="desk", caller_format=PCMU) as call,
    ):
        await perform(call, [speech(), QUICK, HangUp()])
    assert [(action.kind, action.argument) for action in call.actions] == [
        ("transfer", "+15550123")
    ]
    assert call.ended is not None
    assert call.ended.reason == "transferred"


async def test_an_unknown_bot_is_not_found() -> None:
    async with running(FakeGateway({})) as address:
        with pytest.raises(NotFound) as caught:
            async with Call.place(address, bot="nobody", caller_format=PCMU):
                pass
    assert caught.value.reason == "NOT_FOUND"
    assert caught.value.details == {"bot": "nobody"}


async def test_nobody_at_the_address_is_unavailable() -> None:
    async with running(FakeGateway({})) as address:
        pass
    with pytest.raises(Unavailable, match=address):
        async with Call.place(address, bot="desk", caller_format=PCMU):
            pass


async def test_a_broken_call_says_so_even_to_who_does_not_listen() -> None:
    bot = Bot(greeting=Reply("", "Hello.", 0.1), breaks_off_after=0)
    async with running(FakeGateway({"desk": bot})) as address:
        with pytest.raises(Unavailable) as caught:
            async with Call.place(address, bot="desk", caller_format=PCMU) as call:
                await call.say(tone(10, 8000))
    assert caught.value.reason == "NO_ORCHESTRATOR"


async def test_a_step_that_waits_in_vain_says_for_what() -> None:
    async with (
        running(FakeGateway({"desk": Bot(greeting=None)})) as address,
        Call.place(address, bot="desk", caller_format=PCMU) as call,
    ):
        with pytest.raises(DeadlineMissed, match=r"did not speak within 0\.1 s"):
            await perform(call, [AwaitReply(deadline_seconds=0.1)])
        with pytest.raises(InvalidInput, match="no sound"):
            await perform(call, [Say("hello")])


async def test_speech_still_queued_at_the_end_does_not_hang() -> None:
    async with (
        running(FakeGateway({"desk": Bot(greeting=None)})) as address,
        Call.place(address, bot="desk", caller_format=PCMU) as call,
    ):
        said = call.say(tone(60, 8000))
        call.hang_up()
        await said
        assert call.over
        await perform(call, [speech(seconds=60)])


async def test_calls_share_a_channel() -> None:
    gateway = FakeGateway({"desk": Bot(greeting=None)})
    async with running(gateway) as address, grpc.aio.insecure_channel(address) as channel:

        async def one() -> str:
            async with Call.place(
                address, channel=channel, bot="desk", caller_format=PCMU, keep_sound=False
            ) as call:
                await call.say(tone(0.1, 8000))
            return (await call.wait_ended()).reason

        assert set(await asyncio.gather(*(one() for _ in range(5)))) == {"caller_hung_up"}


async def test_a_refusal_is_learnt_even_while_the_caller_speaks_on() -> None:
    gateway = FakeGateway({"desk": Bot(greeting=None)})
    start = Request(bot="desk", caller_format=PCMU).to_proto()
    async with running(gateway) as address, grpc.aio.insecure_channel(address) as channel:
        for _ in range(50):
            async with open_line(address, channel) as line:
                await line.start(start)
                sending = asyncio.create_task(go_back(line))
                with pytest.raises(OutOfOrder) as caught:
                    await drain(line)
                await sending
            assert caught.value.reason == "OFFSET_WENT_BACK"
            assert caught.value.details == {"field": "audio.offset"}


async def drain(line: Line) -> None:
    while await line.receive():
        pass


async def go_back(line: Line) -> None:
    for offset in (800, *range(0, 8000, 160)):
        await line.send(audio_request(offset, bytes(160)))
        await asyncio.sleep(0)


def test_an_unknown_format_lists_the_known() -> None:
    assert parse_format("PCMU") is PCMU
    with pytest.raises(VoicemeshError, match="l16-48000"):
        parse_format("opus")
