from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tests.gateway.caller import Caller, Hall, hall
from tests.gateway.rig import silence, speech
from voicemesh.api.audio.v1 import audio_pb2
from voicemesh.api.call.v1 import call_pb2

if TYPE_CHECKING:
    from pathlib import Path

SECOND = 8000


async def emptied(here: Hall) -> None:
    """Wait until the gateway holds no call any more; its own deadlines bound that."""
    await here.gateway.live.wait_empty()


async def test_a_call_is_answered_in_its_own_words(tmp_path: Path) -> None:
    async with hall(tmp_path) as here:
        caller = Caller(here)
        started = await caller.start(caller="+1", variables={"a": "b"})
        assert started.bot_format.sample_rate_hertz == SECOND
        assert here.echo.opens[0].call_id == started.call_id
        assert here.echo.opens[0].caller == "+1"
        assert here.echo.opens[0].variables == {"a": "b"}
        assert here.echo.metadata[0]["x-voicemesh-call"] == started.call_id
        await caller.say(silence(0.5))
        await caller.utter(0.5)
        report = (await caller.until("turn")).turn
        assert report.total.ToNanoseconds() == sum(
            stage.duration.ToNanoseconds() for stage in report.stages
        )
        await caller.until("audio", lambda each: each.audio.offset >= 4000)
        ended = await caller.hang_up()
        await caller.end()
        assert ended.reason == call_pb2.END_REASON_CALLER_HUNG_UP
        assert [entry.sequence for entry in ended.journal] == list(range(len(ended.journal)))
        assert ended.journal[-1].call_ended.reason == "caller_hung_up"
        heard = np.concatenate(
            [np.frombuffer(each.audio.data, "<i2") for each in caller.got if each.HasField("audio")]
        )
        # The pre-roll comes back first: silence, then the words from their first sample on.
        loud = heard[np.abs(heard) > 500]
        np.testing.assert_array_equal(loud, speech(0.5, SECOND // 2)[: loud.size])
        assert loud.size


async def test_a_silent_caller_costs_no_message(tmp_path: Path) -> None:
    async with hall(tmp_path) as here:
        caller = Caller(here)
        await caller.start()
        await caller.say(silence(5))
        await caller.hang_up()
        assert dict(here.echo.counts) == {"call_ended": 1}


async def test_a_caller_who_never_speaks_is_no_problem(tmp_path: Path) -> None:
    async with hall(tmp_path) as here:
        caller = Caller(here)
        await caller.start()
        await caller.half_close()
        assert (await caller.until("ended")).ended.reason == call_pb2.END_REASON_CALLER_HUNG_UP
        await caller.end()


async def test_a_broken_session_is_reopened_and_nobody_notices(tmp_path: Path) -> None:
    async with hall(tmp_path) as here:
        caller = Caller(here)
        await caller.start()
        await caller.utter()
        await caller.until("turn")
        await caller.press("1")
        await caller.utter()
        await caller.until("turn")
        ended = await caller.hang_up()
        assert [opened.epoch for opened in here.echo.opens] == [1, 2]
        assert here.echo.opens[1].journal[0].HasField("call_started")
        assert ended.reason == call_pb2.END_REASON_CALLER_HUNG_UP
        said = [entry.caller_said for entry in ended.journal if entry.HasField("caller_said")]
        assert [each.turn for each in said] == [1, 2]


async def test_a_session_that_wants_to_go_is_moved_at_a_pause(tmp_path: Path) -> None:
    async with hall(tmp_path) as here:
        caller = Caller(here)
        await caller.start()
        await caller.utter()
        await caller.until("turn")
        await caller.press("2")
        assert (await here.echo.arrivals.get()).epoch == 1
        assert (await here.echo.arrivals.get()).epoch == 2
        await caller.utter()
        await caller.until("turn", lambda each: each.turn.turn == 2)
        await caller.hang_up()
        assert len(here.echo.opens) == 2


async def test_the_bot_hangs_up(tmp_path: Path) -> None:
    async with hall(tmp_path) as here:
        caller = Caller(here)
        await caller.start()
        await caller.press("3")
        ended = (await caller.until("ended")).ended
        assert ended.reason == call_pb2.END_REASON_BOT_HUNG_UP
        await caller.end()


async def test_the_bot_sends_digits(tmp_path: Path) -> None:
    async with hall(tmp_path) as here:
        caller = Caller(here)
        await caller.start()
        await caller.press("4")
        assert (await caller.until("action")).action.send_digits.digits == "42"
        await caller.hang_up()


async def test_a_barge_in_clears(tmp_path: Path) -> None:
    async with hall(tmp_path) as here:
        caller = Caller(here)
        await caller.start()
        await caller.utter(3.0)
        await caller.until("audio")
        await caller.utter(0.3)
        await caller.until("clear")
        await caller.until("turn", lambda each: each.turn.turn == 2)
        assert here.echo.counts["barge_in"] == 1
        await caller.hang_up()


async def test_every_format_is_taken_and_given(tmp_path: Path) -> None:
    mulaw = audio_pb2.AudioFormat(encoding=audio_pb2.ENCODING_MULAW, sample_rate_hertz=8000)
    wide = audio_pb2.AudioFormat(encoding=audio_pb2.ENCODING_LINEAR16, sample_rate_hertz=48000)
    async with hall(tmp_path) as here:
        for given, wanted, size in ((mulaw, wide, 12), (wide, mulaw, 1)):
            caller = Caller(here)
            started = await caller.start(caller_format=given, bot_format=wanted)
            assert started.bot_format == wanted
            loud = bytes([0x00, 0x80]) * 3000 if given is mulaw else b"\x00\x40" * 40_000
            quiet = b"\xff" * 6000 if given is mulaw else bytes(72_000)
            await caller.send(audio=audio_pb2.AudioChunk(offset=0, data=loud))
            count = len(loud) // (1 if given is mulaw else 2)
            await caller.send(audio=audio_pb2.AudioChunk(offset=count, data=quiet))
            audio = (await caller.until("audio")).audio
            assert audio.offset == 0
            assert len(audio.data) >= 100 * size
            await caller.hang_up()


async def test_a_caller_who_vanishes_ends_the_call(tmp_path: Path) -> None:
    async with hall(tmp_path) as here:
        caller = Caller(here)
        await caller.start()
        caller.vanish()
        await emptied(here)
        await here.echo.byes.wait()
        assert here.echo.reasons == ["caller_vanished"]
