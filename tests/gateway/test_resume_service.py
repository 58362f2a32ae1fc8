"""Calls that go on with another gateway, over real gRPC."""

from __future__ import annotations

import base64
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio
import numpy as np
import pytest

from gateway.resume_memory import HEARTBEAT_SECONDS
from tests.gateway.caller import Caller
from tests.gateway.pair import KEY, Holder, pair
from tests.gateway.rig import silence, speech
from voicemesh.api.audio.v1 import audio_pb2
from voicemesh.api.call.v1 import call_pb2

if TYPE_CHECKING:
    from pathlib import Path

OTHER = base64.b64encode(b"\1" * 32).decode()
HEARD = 1600
"""What the caller has heard of the first answer, samples."""
WIDE = audio_pb2.AudioFormat(encoding=audio_pb2.ENCODING_LINEAR16, sample_rate_hertz=48000)


async def talked(holder: Holder, **start: object) -> Holder:
    """Have a caller say something and hear the answer's beginning."""
    await holder.start(**start)
    await holder.say(silence(1))
    await holder.utter()
    await holder.until("audio", lambda each: each.audio.offset >= HEARD)
    return holder


async def refused(holder: Holder, **claim: Any) -> tuple[grpc.StatusCode, str]:  # noqa: ANN401
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await holder.resume(**claim)
    return caught.value.code(), caught.value.details() or ""


async def test_a_call_goes_on_with_another_gateway(tmp_path: Path) -> None:
    async with pair(tmp_path) as (first, second):
        caller = await talked(Holder(first), caller="+1", variables={"a": "b"})
        caller.vanish()
        await first.gateway.live.wait_empty()
        again = Holder(second, caller)
        started = await again.resume(HEARD)
        assert started.call_id == caller.call_id
        assert started.replica == "gateway-1"
        assert 0 < started.wanted_offset <= caller._offset
        await again.utter()
        await again.until("turn", lambda each: each.turn.turn == 2)
        opened = first.echo.opens[-1]
        assert (opened.epoch, opened.caller) == (1_000_001, "+1")
        assert opened.variables == {"a": "b"}
        assert opened.buffered_offset == opened.played_offset == HEARD
        ended = await again.hang_up()
        await again.end()
    said = [entry.caller_said.turn for entry in ended.journal if entry.HasField("caller_said")]
    assert said == [1, 2]
    assert [entry.sequence for entry in ended.journal] == list(range(len(ended.journal)))
    assert ended.journal[-1].call_ended.reason == "caller_hung_up"
    assert ended.duration.ToTimedelta().total_seconds() > 0.2
    assert first.echo.reasons == ["caller_hung_up"]


async def test_an_attempt_that_was_sent_again_takes_the_call_over(tmp_path: Path) -> None:
    async with pair(tmp_path) as (first, second):
        caller = await talked(Holder(first))
        lost, again = Holder(second, caller), Holder(second, caller)
        await lost.resume(HEARD, attempt=2)
        # Envoy gave the first stream up before its answer came, and has nobody else to send it to.
        assert (await again.resume(HEARD, attempt=2)).call_id == caller.call_id
        assert await lost.over() is grpc.StatusCode.ABORTED
        assert (await refused(Holder(second, caller)))[0] is grpc.StatusCode.ABORTED


async def test_what_has_arrived_is_neither_sent_again_nor_followed_by_a_gap(tmp_path: Path) -> None:
    async with pair(tmp_path) as (first, second):
        caller = await talked(Holder(first))
        again = Holder(second, caller)
        await again.resume(HEARD, arrived_offset=HEARD + 800)
        # The echo says what is missing again, from what the caller has heard on.
        audio = (await again.until("audio")).audio
        assert first.echo.opens[-1].buffered_offset >= HEARD
        assert audio.offset == HEARD + 800


async def test_what_was_heard_is_not_sent_again(tmp_path: Path) -> None:
    async with pair(tmp_path) as (first, second):
        caller = await talked(Holder(first))
        again = Holder(second, caller)
        await again.resume(HEARD)
        await again.utter(0.6)
        await again.until("turn", lambda each: each.turn.turn == 2)
        chunks = [each.audio for each in again.got if each.HasField("audio")]
    # The echo does not speak a sentence again, so what comes is the second answer, at its place.
    assert chunks[0].offset >= HEARD
    assert all(a.offset + len(a.data) // 2 <= b.offset for a, b in pairwise(chunks))


async def test_the_memory_comes_before_the_audio_that_it_tells_of(tmp_path: Path) -> None:
    async with pair(tmp_path) as (first, _):
        caller = await talked(Holder(first))
    kinds = [each.WhichOneof("message") for each in caller.got]
    assert kinds[0] == "started"
    assert kinds[1] == "resume"
    before_audio = [each for each in caller.got[: kinds.index("audio")] if each.HasField("resume")]
    assert [each.resume.restarts for each in before_audio].count(True) == 1
    assert sum(bool(each.resume.segment) for each in before_audio) >= 2


async def test_a_silent_gateway_lets_its_caller_hear_that_it_lives(tmp_path: Path) -> None:
    async with pair(tmp_path) as (first, _):
        caller = Holder(first)
        started = await caller.start()
        assert started.heartbeat.ToTimedelta().total_seconds() == HEARTBEAT_SECONDS
        for _ in range(3):
            await caller.until("resume", lambda message: not message.resume.segment)
        await caller.hang_up()
        other = Caller(first)
        assert not (await other.start()).HasField("heartbeat")
        await other.hang_up()


async def test_a_caller_who_cannot_resume_is_told_nothing(tmp_path: Path) -> None:
    async with pair(tmp_path) as (first, _):
        caller = Holder(first)
        await caller.send(start=call_pb2.Start(bot="desk", caller_format=WIDE))
        await caller.until("started")
        await caller.hang_up()
    assert not any(each.HasField("resume") for each in caller.got)


async def test_whatever_is_wrong_is_refused_in_the_same_words(tmp_path: Path) -> None:
    async with pair(tmp_path) as (first, second):
        caller = await talked(Holder(first), caller="+1")
        stranger = await talked(Holder(first), caller="+1")
        mine, theirs = caller.segments, stranger.segments
        assert len(mine) > 2
        wrong: list[dict[str, object]] = [
            {"segments": []},
            {"segments": mine[1:]},
            {"segments": [mine[0], *mine[2:]]},
            {"segments": [mine[1], mine[0], *mine[2:]]},
            {"segments": [*mine, mine[-1]]},
            {"segments": [*mine[:-1], mine[-1][:-1]]},
            {"segments": [*mine[:-1], bytes(len(mine[-1]))]},
            {"segments": [mine[0], *theirs[1:]]},
            {"segments": theirs},
            {"call_id": stranger.call_id},
            {"heard": 10**9},
        ]
        answers = {await refused(Holder(second, caller), **claim) for claim in wrong}
        for begun in ({"caller": "+2"}, {"caller_format": WIDE}):
            other = Holder(second, caller)
            other._begun |= begun
            answers.add(await refused(other))
        assert answers == {
            (
                grpc.StatusCode.PERMISSION_DENIED,
                "this call cannot be resumed with what was sent",
            )
        }
        assert len(first.echo.opens) == 2
        # And what is right is right.
        assert (await Holder(second, caller).resume(HEARD)).call_id == caller.call_id


@pytest.mark.parametrize(
    ("claim", "field"),
    [
        ({"call_id": ""}, "call_id"),
        ({"call_id": "x" * 65}, "call_id"),
        ({"attempt": 0}, "attempt"),
        ({"attempt": 2001}, "attempt"),
        ({"held_offset": -1}, "held_offset"),
        ({"caller_offset": 0, "held_offset": 1}, "held_offset"),
        ({"heard_offset": -1}, "heard_offset"),
    ],
)
async def test_nonsense_is_named(tmp_path: Path, claim: dict[str, object], field: str) -> None:
    async with pair(tmp_path) as (first, second):
        caller = Holder(first)
        await caller.start()
        code, details = await refused(Holder(second, caller), **claim)
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert field in details


async def test_keys_are_replaced_under_live_calls(tmp_path: Path) -> None:
    async with pair(tmp_path, KEY, f"{OTHER},{KEY}") as (first, second):
        caller = await talked(Holder(first))
        again = Holder(second, caller)
        await again.resume(HEARD)
        await again.until("resume")
        # Sealed anew by the newer key, which the first gateway does not have.
        assert (await refused(Holder(first, again)))[0] is grpc.StatusCode.PERMISSION_DENIED


async def test_gateways_without_a_key_resume_only_their_own(tmp_path: Path) -> None:
    async with pair(tmp_path, "", "") as (first, second):
        caller = await talked(Holder(first))
        caller.vanish()
        assert (await refused(Holder(second, caller)))[0] is grpc.StatusCode.PERMISSION_DENIED
        assert (await Holder(first, caller).resume(HEARD)).call_id == caller.call_id


async def test_the_later_of_two_holds_the_call(tmp_path: Path) -> None:
    async with pair(tmp_path) as (first, _):
        caller = await talked(Holder(first))
        again = Holder(first, caller)
        await again.resume(HEARD, attempt=2)
        assert await caller.over() is grpc.StatusCode.ABORTED
        late = Holder(first, caller)
        assert (await refused(late))[0] is grpc.StatusCode.ABORTED
        late = Holder(first, caller)
        late.attempt = 4
        await late.resume(HEARD)
        assert await again.over() is grpc.StatusCode.ABORTED
        await late.hang_up()
    assert first.echo.reasons == ["caller_hung_up"]


async def test_a_caller_leaves_once_it_stands_elsewhere(tmp_path: Path) -> None:
    async with pair(tmp_path) as (first, second):
        caller = await talked(Holder(first))
        again = Holder(second, caller)
        started = await again.resume(HEARD)
        assert started.replica == "gateway-1"
        await caller.send(leave=call_pb2.Leave())
        code = await caller.over()
        assert code in (grpc.StatusCode.OK, grpc.StatusCode.ABORTED)
        await again.hang_up()
    assert first.echo.reasons == ["caller_hung_up"]


async def test_who_holds_nothing_cannot_leave(tmp_path: Path) -> None:
    async with pair(tmp_path) as (first, _):
        caller = Holder(first)
        await caller.send(start=call_pb2.Start(bot="desk", caller_format=WIDE))
        await caller.until("started")
        await caller.send(leave=call_pb2.Leave())
        assert await caller.over() is grpc.StatusCode.FAILED_PRECONDITION


async def test_a_gateway_that_drains_asks_its_callers_to_go(tmp_path: Path) -> None:
    async with pair(tmp_path) as (first, second):
        caller = await talked(Holder(first))
        other = Holder(first)
        await other.send(start=call_pb2.Start(bot="desk", caller_format=WIDE))
        await other.until("started")
        first.gateway.live.close()
        await first.gateway.drain()
        told = (await caller.until("go_away")).go_away
        assert 0 < told.deadline.seconds <= 30
        again = Holder(second, caller)
        await again.resume(HEARD)
        await caller.send(leave=call_pb2.Leave())
        await caller.over()
        await other.hang_up()
        await first.gateway.live.wait_empty()
        await again.utter()
        await again.until("turn", lambda each: each.turn.turn == 2)
        await again.hang_up()
    assert first.echo.reasons == ["caller_hung_up", "caller_hung_up"]


async def test_a_hand_over_may_end_where_it_began(tmp_path: Path) -> None:
    # By another edge, but at the same gateway, which turns nobody away meanwhile.
    async with pair(tmp_path) as (first, _):
        caller = await talked(Holder(first))
        await first.gateway.hand_over()
        await caller.until("go_away")
        again = Holder(first, caller)
        await again.resume(HEARD)
        assert await caller.over() is grpc.StatusCode.ABORTED
        await again.utter()
        await again.until("turn", lambda each: each.turn.turn == 2)
        await again.hang_up()
    assert first.echo.reasons == ["caller_hung_up"]


async def test_keys_that_are_known_are_not_pressed_again(tmp_path: Path) -> None:
    async with pair(tmp_path) as (first, second):
        caller = Holder(first)
        await caller.start()
        await caller.say(silence(1))
        await caller.press("5")
        await caller.press("6")
        await caller.until("resume", lambda each: each.resume.committed_digits == 2)
        await caller.press("4")
        await caller.until("action")
        again = Holder(second, caller)
        assert (await again.resume()).known_digits == 3
        await again.utter()
        await again.until("turn")
        await again.hang_up()
    # The digits that the bot sent are not sent again.
    assert not any(each.HasField("action") for each in again.got)


async def test_every_rate_goes_on_at_its_own_count(tmp_path: Path) -> None:
    async with pair(tmp_path) as (first, second):
        caller = Holder(first)
        await caller.start(caller_format=WIDE)
        loud = np.repeat(speech(0.5), 6)
        await caller.say(np.concatenate([loud, np.zeros(48_000, np.int16)]))
        await caller.until("audio", lambda each: each.audio.offset >= 6 * HEARD)
        again = Holder(second, caller)
        started = await again.resume(6 * HEARD)
        assert started.wanted_offset % 960 == 0
        await first.echo.arrivals.get()
        opened = await first.echo.arrivals.get()
        assert opened.played_offset == 2 * HEARD
        assert opened.caller_offset * 3 == started.wanted_offset
        await again.say(np.concatenate([loud, np.zeros(48_000, np.int16)]))
        chunk = (await again.until("audio")).audio
        assert chunk.offset >= 6 * HEARD
        await again.hang_up()
