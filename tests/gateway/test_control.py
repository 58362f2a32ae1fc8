"""Call control of one gateway, over real gRPC; `tests/calls/test_control.py` has whole meshes."""

# ruff: noqa: ANN401 - requests and answers of every kind
from __future__ import annotations

import asyncio
import io
import wave
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio
import numpy as np
import pytest
from google.protobuf.duration_pb2 import Duration

from tests.gateway.caller import LINEAR8, Caller
from tests.gateway.control_client import Control, controlled
from tests.gateway.rig import speech
from voicemesh.api.call.v1 import call_pb2
from voicemesh.api.control.v1 import control_pb2
from voicemesh.audio import write_wav

if TYPE_CHECKING:
    from pathlib import Path

    from voicemesh.audio import Samples

SECOND = 8000
Code = grpc.StatusCode
PARAMETERS: dict[str, dict[str, Any]] = {
    "Say": {"text": "Hello."},
    "SendDigits": {"digits": "1"},
    "Mute": {"muted": True},
    "Hold": {"on_hold": True},
    "Transfer": {"target": "+49"},
    "StartRecording": {},
    "StopRecording": {},
    "HangUp": {},
}


def sound(seconds: float = 0.2, rate: int = SECOND) -> bytes:
    file = io.BytesIO()
    write_wav(file, rate, speech(seconds, rate=rate))
    return file.getvalue()


async def refused(control: Control, method: str, **fields: Any) -> tuple[Code, str]:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await control.ask(method, **fields)
    return caught.value.code(), caught.value.details() or ""


async def watch(control: Control, call_id: str = "") -> Any:
    stream = control.stub.WatchCalls(control_pb2.WatchCallsRequest(call_id=call_id))
    await stream.initial_metadata()
    return stream


async def until(stream: Any, kind: str) -> Any:
    async with asyncio.timeout(10):
        async for response in stream:
            if response.event.WhichOneof("event") == kind:
                return getattr(response.event, kind)
    raise AssertionError(f"ended before {kind}")


async def test_a_call_is_seen_while_it_lives_and_after(tmp_path: Path) -> None:
    async with controlled(tmp_path) as control:
        caller = Caller(control.here)
        call_id = (await caller.start(caller="+1", callee="+2")).call_id
        call = (await control.ask("GetCall", call_id=call_id)).call
        assert call.state == control_pb2.CALL_STATE_LIVE
        assert (call.bot, call.caller, call.callee) == ("desk", "+1", "+2")
        assert call.direction == control_pb2.DIRECTION_INBOUND
        await caller.hang_up()
        call = (await control.ask("GetCall", call_id=call_id)).call
        assert (call.state, call.end_reason) == (control_pb2.CALL_STATE_ENDED, "caller_hung_up")


async def test_calls_are_listed_page_by_page(tmp_path: Path) -> None:
    async with controlled(tmp_path) as control:
        callers = [Caller(control.here) for _ in range(5)]
        ids = sorted([(await each.start()).call_id for each in callers])
        seen, token = [], ""
        while True:
            page = await control.ask("ListCalls", page_size=2, page_token=token)
            seen += [call.call_id for call in page.calls]
            token = page.next_page_token
            if not token:
                break
        assert seen == ids
        code, _ = await refused(control, "ListCalls", page_token="nonsense!")  # noqa: S106
        assert code is Code.INVALID_ARGUMENT


@pytest.mark.parametrize("method", PARAMETERS)
async def test_wrong_and_finished_calls_are_told_apart(tmp_path: Path, method: str) -> None:
    async with controlled(tmp_path) as control:
        fields = PARAMETERS[method]
        code, said = await refused(control, method, call_id="nobody", **fields)
        assert (code, said) == (Code.NOT_FOUND, "there is no call 'nobody'")
        caller = Caller(control.here)
        call_id = (await caller.start()).call_id
        await caller.hang_up()
        code, said = await refused(control, method, call_id=call_id, **fields)
        assert (code, said) == (Code.FAILED_PRECONDITION, "call_id: this call has ended")


@pytest.mark.parametrize(
    ("method", "fields", "field"),
    [
        ("Say", {"text": ""}, "text"),
        ("Say", {"text": "x" * 2001}, "text"),
        ("SendDigits", {"digits": "x"}, "digits"),
        ("Transfer", {"target": "1" * 129}, "target"),
        ("Play", {"wav": b"nonsense"}, "wav"),
        ("Play", {"wav": b""}, "wav"),
        ("HangUp", {"idempotency_key": ""}, "idempotency_key"),
        ("HangUp", {"idempotency_key": "x" * 65}, "idempotency_key"),
        ("CreateCall", {"callee": "", "bot": "desk"}, "callee"),
        ("CreateCall", {"callee": "1", "bot": "desk", "variables": {"a": "x" * 257}}, "variables"),
        (
            "CreateCall",
            {"callee": "1", "bot": "desk", "ring_timeout": Duration(seconds=121)},
            "ring_timeout",
        ),
    ],
)
async def test_nonsense_is_refused_by_field(
    tmp_path: Path, method: str, fields: dict[str, Any], field: str
) -> None:
    async with controlled(tmp_path) as control:
        caller = Caller(control.here)
        call_id = (await caller.start()).call_id
        if method != "CreateCall":
            fields = {"call_id": call_id} | fields
        code, said = await refused(control, method, **fields)
        assert code is Code.INVALID_ARGUMENT
        assert said.startswith(field)


async def test_what_is_repeated_with_its_key_is_done_once(tmp_path: Path) -> None:
    async with controlled(tmp_path) as control:
        caller = Caller(control.here)
        call_id = (await caller.start()).call_id
        fields = {"call_id": call_id, "digits": "7", "idempotency_key": "once"}
        answers = await asyncio.gather(*(control.ask("SendDigits", **fields) for _ in range(5)))
        assert all(answer == answers[0] for answer in answers)
        said = {"call_id": call_id, "text": "Hi.", "idempotency_key": "once"}
        for _ in range(3):
            await control.ask("Say", **said)
        code, said_ = await refused(control, "Say", **{**said, "text": "Other."})
        assert (code, said_) == (
            Code.INVALID_ARGUMENT,
            "idempotency_key: was used for another request",
        )
        await caller.hang_up()
        # Also behind its end, a repetition has the first answer.
        assert await control.ask("SendDigits", **fields) == answers[0]
        pressed = [each for each in caller.got if each.action.HasField("send_digits")]
        assert len(pressed) == 1
        assert control.here.echo.counts["command"] == 1


async def test_wishes_reach_the_orchestrator(tmp_path: Path) -> None:
    async with controlled(tmp_path) as control:
        caller = Caller(control.here)
        call_id = (await caller.start()).call_id
        await control.ask("Say", call_id=call_id, text="Hello.")
        await control.ask("Transfer", call_id=call_id, target="+49")
        await control.ask("HangUp", call_id=call_id)
        await caller.hang_up()
        assert control.here.echo.counts["command"] == 3


async def test_a_sound_is_played_at_the_calls_rate(tmp_path: Path) -> None:
    async with controlled(tmp_path) as control:
        caller = Caller(control.here)
        call_id = (await caller.start()).call_id
        await control.ask("Play", call_id=call_id, wav=sound(0.2, 16000))
        await caller.until("audio", lambda each: each.audio.offset >= 0)
        heard = sum(len(each.audio.data) // 2 for each in caller.got)
        assert heard == pytest.approx(0.2 * SECOND, abs=0.02 * SECOND)
        await caller.hang_up()


async def test_muted_and_held_calls_say_so(tmp_path: Path) -> None:
    async with controlled(tmp_path) as control:
        caller = Caller(control.here)
        call_id = (await caller.start()).call_id
        assert (await control.ask("Mute", call_id=call_id, muted=True)).call.muted
        assert not (await control.ask("Mute", call_id=call_id)).call.muted
        assert (await control.ask("Hold", call_id=call_id, on_hold=True)).call.on_hold
        assert (await control.ask("GetCall", call_id=call_id)).call.on_hold
        assert not (await control.ask("Hold", call_id=call_id)).call.on_hold


async def test_a_watcher_is_told_everything_in_order(tmp_path: Path) -> None:
    async with controlled(tmp_path) as control:
        everything = await watch(control)
        caller = Caller(control.here)
        call_id = (await caller.start()).call_id
        one = await watch(control, call_id)
        await caller.utter()
        await caller.until("turn")
        await caller.hang_up()
        async with asyncio.timeout(10):
            told = [response.event async for response in one]
        assert [event.WhichOneof("event") for event in told] == ["turn", "ended"]
        assert (told[0].turn.caller_text, told[0].turn.bot_text) == ("echo", "echo")
        assert told[1].ended.reason == "caller_hung_up"
        assert told[1].ended.journal[-1].HasField("call_ended")
        assert [turn.turn for turn in told[1].ended.turns] == [1]
        all_of_them = [(await everything.read()).event for _ in range(3)]
        assert all_of_them[0].answered.bot == "desk"
        assert all_of_them[1:] == told
        ids = [event.event_id for event in all_of_them]
        assert ids == [f"{call_id}-0-{number}" for number in (1, 2, 3)]
        everything.cancel()


async def test_watching_a_call_that_is_over_or_never_was(tmp_path: Path) -> None:
    async with controlled(tmp_path) as control:
        caller = Caller(control.here)
        call_id = (await caller.start()).call_id
        await caller.hang_up()
        for wanted, code in ((call_id, Code.FAILED_PRECONDITION), ("nobody", Code.NOT_FOUND)):
            stream = control.stub.WatchCalls(control_pb2.WatchCallsRequest(call_id=wanted))
            assert await stream.code() is code


async def test_a_recording_has_both_sides(tmp_path: Path) -> None:
    folder = tmp_path / "recordings"
    async with controlled(tmp_path, recordings=str(folder)) as control:
        caller = Caller(control.here)
        call_id = (await caller.start()).call_id
        events = await watch(control)
        assert (await control.ask("StartRecording", call_id=call_id)).call.recording
        code, _ = await refused(control, "StartRecording", call_id=call_id)
        assert code is Code.FAILED_PRECONDITION
        await caller.utter()
        await caller.until("turn")
        await caller.until("audio", lambda each: each.audio.offset >= 4000)
        assert not (await control.ask("StopRecording", call_id=call_id)).call.recording
        ready = await until(events, "recording_ready")
        rate, left, right = both_sides(ready.path)
        assert rate == SECOND
        assert np.abs(left).max() > 500
        assert np.abs(right).max() > 500
        assert not ready.incomplete
        assert ready.duration.ToTimedelta().total_seconds() == pytest.approx(left.size / rate)
        code, _ = await refused(control, "StopRecording", call_id=call_id)
        assert code is Code.FAILED_PRECONDITION
        await caller.hang_up()
        events.cancel()


def both_sides(path: str) -> tuple[int, Samples, Samples]:
    with wave.open(path, "rb") as file:
        assert (file.getnchannels(), file.getsampwidth()) == (2, 2)
        frames = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2)
        return file.getframerate(), frames[:, 0], frames[:, 1]


async def test_a_gateway_without_a_folder_records_nothing(tmp_path: Path) -> None:
    async with controlled(tmp_path) as control:
        caller = Caller(control.here)
        call_id = (await caller.start()).call_id
        code, said = await refused(control, "StartRecording", call_id=call_id)
        assert code is Code.FAILED_PRECONDITION
        assert "no folder" in said


async def test_a_call_is_placed_answered_and_led(tmp_path: Path) -> None:
    async with controlled(tmp_path) as control:
        fields = {
            "callee": "+49301",
            "caller": "+49302",
            "bot": "desk",
            "idempotency_key": "a",
            "variables": {"name": "Zoë"},
        }
        first, again = [(await control.ask("CreateCall", **fields)).call for _ in range(2)]
        assert first == again
        assert first.state == control_pb2.CALL_STATE_DIALLING
        code, said = await refused(control, "Say", call_id=first.call_id, text="Hi.")
        assert (code, said) == (Code.FAILED_PRECONDITION, "call_id: this call is not answered yet")
        caller, call_id = await control.carrier.answer(control.here)
        assert control.carrier.orders.empty()
        assert call_id == first.call_id
        opened = control.here.echo.opens[0]
        assert (opened.bot, opened.callee, dict(opened.variables)) == (
            "desk",
            "+49301",
            {"name": "Zoë"},
        )
        call = (await control.ask("GetCall", call_id=call_id)).call
        assert call.state == control_pb2.CALL_STATE_LIVE
        assert call.direction == control_pb2.DIRECTION_OUTBOUND
        await control.ask("SendDigits", call_id=call_id, digits="5")
        assert (await caller.until("action")).action.send_digits.digits == "5"
        await caller.hang_up()


async def test_a_call_that_is_not_answered_is_cancelled(tmp_path: Path) -> None:
    async with controlled(tmp_path) as control:
        call_id = (await control.ask("CreateCall", callee="+1", bot="desk")).call.call_id
        call = (await control.ask("HangUp", call_id=call_id)).call
        assert (call.state, call.end_reason) == (control_pb2.CALL_STATE_ENDED, "cancelled")
        assert control.carrier.cancelled == [call_id]
        assert (await refused(control, "HangUp", call_id=call_id))[0] is Code.FAILED_PRECONDITION


async def test_a_call_that_nobody_can_place_is_refused_and_may_be_tried_again(
    tmp_path: Path,
) -> None:
    async with controlled(tmp_path) as control:
        fields = {"callee": "+1", "bot": "desk", "idempotency_key": "k"}
        code, said = await refused(control, "CreateCall", **fields, carrier="nobody")
        assert code is Code.FAILED_PRECONDITION
        assert "there are: emulated" in said
        assert (await refused(control, "CreateCall", callee="+1", bot="none"))[0] is Code.NOT_FOUND
        control.carrier.broken = True
        assert (await refused(control, "CreateCall", **fields))[0] is Code.UNAVAILABLE
        control.carrier.broken = False
        assert (await control.ask("CreateCall", **fields)).call.call_id


async def test_a_ticket_of_somebody_elses_opens_nothing(tmp_path: Path) -> None:
    async with controlled(tmp_path) as control:
        caller = Caller(control.here)
        start = call_pb2.Start(
            callee="+1", variables={"voicemesh_ticket_0": "QUJD"}, caller_format=LINEAR8
        )
        await caller.send(start=start)
        with pytest.raises(grpc.aio.AioRpcError, match="not ours") as caught:
            await caller.status()
        assert caught.value.code() is Code.PERMISSION_DENIED
