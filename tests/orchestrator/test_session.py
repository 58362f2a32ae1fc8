"""Sessions over real gRPC, with real adapters and real HTTP, but no proxy between them."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio
import pytest
from structlog.testing import capture_logs

from tests.orchestrator.servers import HttpServer, orchestrator
from tests.orchestrator.session_client import RATE, SessionClient, opening
from voicemesh import telemetry
from voicemesh.api.audio.v1 import audio_pb2
from voicemesh.api.journal.v1 import journal_pb2, turn_pb2
from voicemesh.api.session.v1 import session_pb2 as pb
from voicemesh.channel import open_channel
from voicemesh.errors import error_info
from voicemesh.journal import fold

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from orchestrator.service import Orchestrator

BOTS = Path(__file__).parents[2] / "bots"
GREETING = "Hello, this is the echo."


@asynccontextmanager
async def serving(
    bots: Path = BOTS,
    **settings: Any,  # noqa: ANN401 - whatever an orchestrator is told
) -> AsyncIterator[tuple[Orchestrator, grpc.aio.Channel]]:
    async with (
        orchestrator(bots, settings) as (service, address),
        open_channel(address) as channel,
    ):
        yield service, channel


@asynccontextmanager
async def session(
    channel: grpc.aio.Channel,
    **facts: Any,  # noqa: ANN401 - whatever an open has
) -> AsyncIterator[SessionClient]:
    client = SessionClient(channel)
    await client.open(opening(**facts))
    try:
        yield client
    finally:
        client.call.cancel()


async def refusal(client: SessionClient) -> tuple[grpc.StatusCode, str, str]:
    """Return status, reason and field of the error that ends the stream."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await client.until("end")
    reason, details = error_info(caught.value)
    return caught.value.code(), reason, details.get("field", "")


# Opening.


async def test_headers_come_with_ready_and_not_before() -> None:
    async with serving() as (_, channel):
        client = SessionClient(channel)
        headers = asyncio.ensure_future(client.call.initial_metadata())
        done, _ = await asyncio.wait({headers}, timeout=0.05)
        assert not done
        ready = await client.open()
        await headers
        assert (ready.epoch, ready.wanted_offset) == (1, 0)
        assert (ready.replica, ready.region) == ("orchestrator-0", "local")
        client.call.cancel()


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        ({"audio": audio_pb2.AudioChunk(data=b"\0\0")}, ("FAILED_PRECONDITION", "message")),
        ({}, ("FAILED_PRECONDITION", "message")),
        ({"open": opening(bot="nobody")}, ("NOT_FOUND", "")),
        ({"open": opening(call_id="")}, ("INVALID_ARGUMENT", "open.call_id")),
        (
            {"open": opening(journal=[journal_pb2.Entry(sequence=1)])},
            ("FAILED_PRECONDITION", "journal.sequence"),
        ),
        ({"open": opening(journal=[journal_pb2.Entry()])}, ("INVALID_ARGUMENT", "journal.event")),
    ],
)
async def test_bad_openings_are_refused(
    request_: dict[str, Any], expected: tuple[str, str]
) -> None:
    async with serving() as (service, channel):
        client = SessionClient(channel)
        await client.send(**request_)
        status, _, field = await refusal(client)
        assert (status.name, field) == expected
        await service.live.wait_empty()


async def test_stream_without_a_message_is_refused() -> None:
    async with serving() as (_, channel):
        client = SessionClient(channel)
        await client.call.done_writing()
        status, _, field = await refusal(client)
        assert (status.name, field) == ("FAILED_PRECONDITION", "open")


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        ({"open": opening()}, ("FAILED_PRECONDITION", "open")),
        ({}, ("INVALID_ARGUMENT", "message")),
        ({"dtmf": pb.Dtmf(digit="x")}, ("INVALID_ARGUMENT", "dtmf.digit")),
        ({"audio": audio_pb2.AudioChunk(data=b"\0")}, ("INVALID_ARGUMENT", "audio.data")),
        (
            {"audio": audio_pb2.AudioChunk(offset=10**12, data=b"\0\0")},
            ("INVALID_ARGUMENT", "audio.offset"),
        ),
    ],
)
async def test_bad_messages_end_the_session(
    request_: dict[str, Any], expected: tuple[str, str]
) -> None:
    async with serving() as (service, channel), session(channel) as client:
        await client.send(**request_)
        status, _, field = await refusal(client)
        assert (status.name, field) == expected
        await service.live.wait_empty()


async def test_speech_out_of_order_ends_the_session() -> None:
    async with serving() as (_, channel), session(channel) as client:
        for offset in (1, 2):
            await client.send(speech_started=pb.SpeechStarted(offset=offset, start_offset=0))
        status, _, _ = await refusal(client)
        assert status is grpc.StatusCode.FAILED_PRECONDITION


async def test_message_over_the_limit_ends_the_session_and_nothing_else() -> None:
    async with (
        serving() as (_, channel),
        session(channel) as client,
        session(channel, call_id="call-2") as other,
    ):
        await client.send(audio=audio_pb2.AudioChunk(data=bytes(10 * 1024 * 1024)))
        status, _, _ = await refusal(client)
        assert status is grpc.StatusCode.RESOURCE_EXHAUSTED
        await other.until_heard(GREETING)


# Epochs, room, drain.


async def test_lower_epoch_is_superseded() -> None:
    async with serving() as (_, channel), session(channel, epoch=3):
        client = SessionClient(channel)
        await client.send(open=opening(epoch=2))
        assert (await client.until("bye")).bye.reason == pb.BYE_REASON_SUPERSEDED
        assert await client.read() is None


async def test_an_attempt_read_too_late_is_superseded() -> None:
    late, newest = opening(attempt=1), opening(attempt=2)
    async with serving() as (_, channel):
        standing, client = SessionClient(channel), SessionClient(channel)
        await standing.open(newest)
        await client.send(open=late)
        assert (await client.until("bye")).bye.reason == pb.BYE_REASON_SUPERSEDED
        await standing.until_heard(GREETING)
        # Envoy sends the very same one again: then nobody reads the first stream any more.
        again = SessionClient(channel)
        await again.open(newest)
        assert (await standing.until("bye")).bye.reason == pb.BYE_REASON_SUPERSEDED
        await again.call.done_writing()


async def test_higher_epoch_takes_the_call_over() -> None:
    async with (
        serving() as (_, channel),
        session(channel) as ghost,
        session(channel, epoch=2) as new,
    ):
        assert (await ghost.until("bye")).bye.reason == pb.BYE_REASON_SUPERSEDED
        assert await ghost.read() is None
        await new.until_heard(GREETING)


async def test_full_replica_refuses_and_has_room_again() -> None:
    async with serving(max_calls=1) as (service, channel):
        async with session(channel):
            client = SessionClient(channel)
            status, reason, _ = await refusal(client)
            assert (status, reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "FULL")
        await service.live.wait_empty()
        async with session(channel, epoch=2):
            pass


async def test_draining_replica_asks_to_leave_and_takes_nobody() -> None:
    async with serving(drain_seconds=7) as (service, channel), session(channel) as client:
        service.live.close()
        await service.drain()
        assert (await client.until("go_away")).go_away.deadline.seconds == 7
        status, reason, _ = await refusal(SessionClient(channel))
        assert (status, reason) == (grpc.StatusCode.UNAVAILABLE, "DRAINING")
        # The call goes on meanwhile, until the gateway half-closes.
        await client.until_heard(GREETING)
        await client.call.done_writing()
        assert (await client.until("bye")).bye.reason == pb.BYE_REASON_HANDED_OVER
        assert await client.read() is None
        await service.live.wait_empty()


async def test_call_that_ended_is_journalled_and_left() -> None:
    async with serving() as (service, channel), session(channel) as client:
        bye = await client.hang_up("caller_vanished")
        assert bye.reason == pb.BYE_REASON_CALL_ENDED
        assert client.journal[-1].call_ended.reason == "caller_vanished"
        assert fold(client.journal).end_reason == "caller_vanished"
        await service.live.wait_empty()


async def test_journal_that_has_ended_is_only_left() -> None:
    async with serving() as (_, channel):
        async with session(channel) as client:
            await client.hang_up()
        again = SessionClient(channel)
        await again.open(opening(epoch=2, journal=client.journal))
        assert (await again.until("bye")).bye.reason == pb.BYE_REASON_CALL_ENDED
        assert not again.journal


# Talking.


async def test_question_is_heard_answered_and_measured() -> None:
    async with serving() as (_, channel), session(channel) as client:
        await client.until_heard(GREETING)
        await client.say("hello there")
        await client.until_heard("You said: hello there. That was turn 1.")
        while not client.reports:
            await client.read()
        report = client.reports[0]
        assert (report.turn, report.caller_text) == (1, "hello there")
        assert [stage.stage for stage in report.stages] == [
            turn_pb2.STAGE_ENDPOINT,
            turn_pb2.STAGE_TRANSCRIPT,
            turn_pb2.STAGE_FIRST_TOKEN,
            turn_pb2.STAGE_FIRST_SENTENCE,
            turn_pb2.STAGE_FIRST_AUDIO,
        ]
        await client.hang_up()
        assert [turn.caller_text for turn in fold(client.journal).turns] == ["", "hello there"]


async def test_session_goes_on_where_another_broke() -> None:
    async with serving() as (_, channel):
        async with session(channel) as client:
            await client.until_heard(GREETING)
            await client.say("long story")
            while "sentence 2" not in (client.heard or ""):
                await client.read()
        end = client.audio[-1].offset + len(client.audio[-1].data) // 2
        facts = {
            "epoch": 2,
            "journal": client.journal,
            "buffered_offset": end,
            "played_offset": end,
            "caller_offset": client.clock,
        }
        async with session(channel, **facts) as again:
            await again.until_entry("sentence_finished")
            while "sentence 12" not in (again.heard or ""):
                await again.read()
            again.audio = client.audio + again.audio
            story = " ".join(f"This is sentence {n}." for n in range(1, 13))
            assert again.heard == f"{GREETING} {story}"


async def test_goodbye_hangs_up_behind_the_last_word() -> None:
    async with serving() as (_, channel), session(channel) as client:
        await client.until_heard(GREETING)
        await client.say("goodbye")
        action = (await client.until("action")).action
        assert action.WhichOneof("action") == "hang_up"
        assert action.after_offset == client.audio[-1].offset + len(client.audio[-1].data) // 2


async def test_tool_is_called_over_http_with_its_key(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with HttpServer().running() as http:
        monkeypatch.setenv("VOICEMESH_ECHO_TOOL", http.address)
        async with serving() as (_, channel), session(channel) as client:
            await client.until_heard(GREETING)
            await client.say("call tool lookup")
            await client.until_heard('The tool said: {"found": "it"}.')
            [(line, headers, body)] = http.requests
            assert line == "POST /lookup HTTP/1.1"
            assert headers["idempotency-key"].startswith("call-1-0-")
            assert body == {"text": "call tool lookup"}
            assert client.heard == f'{GREETING} One moment. The tool said: {{"found": "it"}}.'


async def test_tool_that_fails_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    async with HttpServer(status=500, body=b"broken").running() as http:
        monkeypatch.setenv("VOICEMESH_ECHO_TOOL", http.address)
        async with serving() as (_, channel), session(channel) as client:
            await client.until_heard(GREETING)
            await client.say("call tool lookup")
            answered = await client.until_entry("tool_answered")
            assert (answered.result_json, answered.error) == ("", "500: broken")
            await client.until_heard("500: broken")


async def test_engine_that_cannot_speak_is_counted_and_the_call_ends(tmp_path: Path) -> None:
    (tmp_path / "mute.yaml").write_text("greeting: Hello.\nengines: {tts: [nothing]}\n")
    counted = telemetry.ENGINE_FAILURES.labels("tts", "nothing")
    with capture_logs() as logs:
        async with serving(tmp_path) as (_, channel), session(channel, bot="mute") as client:
            action = (await client.until("action")).action
            assert action.WhichOneof("action") == "hang_up"
    # Twice: the first engine gets a second try.
    assert counted._value.get() == 2
    blamed = [log for log in logs if log["event"] == "an engine failed"]
    assert len(blamed) == 2
    assert blamed[0].items() >= {"call_id": "call-1", "turn": 0, "engine": "nothing"}.items()


async def test_digits_are_answered() -> None:
    async with serving() as (_, channel), session(channel) as client:
        await client.until_heard(GREETING)
        for offset, digit in enumerate("12#", start=RATE):
            await client.send(dtmf=pb.Dtmf(offset=offset, digit=digit))
        pressed = await client.until_entry("digits_pressed")
        assert pressed.digits == "12"
        await client.until_heard("You said: 12.")


async def test_ten_thousand_reports_do_no_harm() -> None:
    async with serving() as (_, channel), session(channel) as client:
        for offset in range(10_000):
            await client.send(playout=pb.Playout(offset=offset))
        await client.until_heard(GREETING)
