# ruff: noqa: ANN401 - payloads of every kind
from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio
import pytest
from hypothesis import given, settings as limits, strategies as st

from gateway.config import GatewaySettings
from gateway.webhooks import payload
from gateway.webhooks.delivery import (
    FIRST_WAIT_SECONDS,
    LONGEST_WAIT_SECONDS,
    MAX_ON_THE_WAY,
    Deliveries,
    backoff,
)
from gateway.webhooks.outgoing import Outgoing
from gateway.webhooks.sender import Sender
from gateway.webhooks.service import Webhooks
from tests.gateway.caller import LINEAR8, Caller, hall
from tests.gateway.webhook_receiver import SECRET, Receiver, receiving
from voicemesh.api.call.v1 import call_pb2
from voicemesh.api.control.v1 import event_pb2
from voicemesh.errors import Misconfigured
from voicemesh.redaction import Redactor

if TYPE_CHECKING:
    from pathlib import Path

SETTINGS: dict[str, Any] = {"webhook_secret": SECRET, "webhook_timeout_seconds": 0.3}


def settings(receiver: Receiver, folder: Path) -> dict[str, Any]:
    url = f"http://127.0.0.1:{receiver.port}/hook"
    return {**SETTINGS, "webhook_url": url, "webhook_queue": str(folder / "queue")}


def outgoing(receiver: Receiver, folder: Path) -> Outgoing:
    sender = Sender(GatewaySettings(**settings(receiver, folder)))
    return Outgoing(folder / "queue.sqlite", sender, 3600, Redactor())


def event(call_id: str, number: int) -> event_pb2.CallEvent:
    return event_pb2.CallEvent(
        event_id=f"{call_id}-0-{number}",
        call_id=call_id,
        dtmf=event_pb2.Dtmf(digits=str(number), turn=number),
    )


def in_order(receiver: Receiver, calls: int, each: int) -> None:
    """Every event was taken once, and those of each call in order."""
    ids = [event_id for event_id, _ in receiver.taken]
    assert len(ids) == len(set(ids)) == calls * each
    for call in range(calls):
        mine = [one for one in ids if one.startswith(f"c{call}-")]
        assert mine == [f"c{call}-0-{number}" for number in range(each)]


# What is sent when, in virtual time.


@limits(max_examples=60, deadline=None)
@given(
    outage=st.floats(0, 200),
    slow=st.floats(0, 5),
    calls=st.integers(1, 30),
    each=st.integers(1, 5),
    flaky=st.randoms(use_true_random=False),
)
def test_an_outage_delays_and_loses_and_reorders_nothing(
    outage: float, slow: float, calls: int, each: int, flaky: Any
) -> None:
    deliveries = Deliveries()
    for number in range(calls * each):
        deliveries.add(f"c{number % calls}", number)
    now, taken = 0.0, []
    on_the_way: list[tuple[float, int]] = []
    while deliveries:
        on_the_way += [(now + slow, number) for number in deliveries.due(now)]
        assert len(on_the_way) <= MAX_ON_THE_WAY
        assert len({number % calls for _, number in on_the_way}) == len(on_the_way)
        times = [at for at, _ in on_the_way]
        due = deliveries.next_due()
        now = max(now, min([*times, *([due] if due is not None else [])]))
        for done in [each_ for each_ in on_the_way if each_[0] <= now]:
            on_the_way.remove(done)
            if now >= outage and flaky.random() < 0.9:
                taken.append(done[1])
                deliveries.taken(done[1])
            else:
                deliveries.failed(done[1], now)
    assert sorted(taken) == list(range(calls * each))
    for call in range(calls):
        mine = [number for number in taken if number % calls == call]
        assert mine == sorted(mine)


def test_who_comes_back_gets_what_waits_within_half_a_minute() -> None:
    deliveries = Deliveries()
    deliveries.add("a", 1)
    now = 0.0
    while now < 120:
        assert deliveries.due(now) == [1]
        deliveries.failed(1, now)
        now = deliveries.next_due() or 0.0
    assert now <= 120 + LONGEST_WAIT_SECONDS


@given(st.integers(1, 100))
def test_waits_double_up_to_half_a_minute(attempt: int) -> None:
    least = min(FIRST_WAIT_SECONDS * 2 ** (attempt - 1), LONGEST_WAIT_SECONDS)
    assert least <= backoff(attempt) <= min(least + FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS)


def test_what_is_taken_wakes_what_waits() -> None:
    deliveries = Deliveries(lambda _: 30.0)
    deliveries.add("a", 1)
    deliveries.add("b", 2)
    assert deliveries.due(0.0) == [1, 2]
    deliveries.failed(1, 0.0)
    assert deliveries.due(1.0) == []
    deliveries.taken(2)
    assert deliveries.due(1.0) == [1]


# With a real receiver.


async def test_a_receiver_that_is_down_gets_everything_when_it_is_back(tmp_path: Path) -> None:
    receiver = Receiver()
    async with receiving(receiver):
        pass
    queue = outgoing(receiver, tmp_path)
    await queue.start()
    for number in range(5):
        for call in range(4):
            queue.publish(event(f"c{call}", number))
    async with receiving(receiver):
        await receiver.until(lambda one: len(one.taken) >= 20)
        await queue.close()
    in_order(receiver, 4, 5)


async def test_what_a_process_left_is_sent_by_the_next(tmp_path: Path) -> None:
    receiver = Receiver()
    async with receiving(receiver):
        pass
    first = outgoing(receiver, tmp_path)
    await first.start()
    for number in range(3):
        first.publish(event("c0", number))
    await first.close()
    assert not receiver.taken
    async with receiving(receiver):
        second = outgoing(receiver, tmp_path)
        await second.start()
        await receiver.until(lambda one: len(one.taken) >= 3)
        await second.close()
    in_order(receiver, 1, 3)


@pytest.mark.parametrize("trouble", [(500, {}), None], ids=["answers_500", "is_slow"])
async def test_a_receiver_in_trouble_gets_everything_once_in_order(
    tmp_path: Path, trouble: tuple[int, object] | None
) -> None:
    receiver = Receiver()
    receiver.answer = lambda _: trouble if receiver.attempts <= 3 else (200, {})
    async with receiving(receiver):
        queue = outgoing(receiver, tmp_path)
        await queue.start()
        for number in range(4):
            queue.publish(event("c0", number))
            queue.publish(event("c1", number))
        await receiver.until(lambda one: len(one.taken) >= 8)
        await queue.close()
    in_order(receiver, 2, 4)
    assert receiver.attempts > 8


async def test_a_calls_events_are_told_as_versioned_json(tmp_path: Path) -> None:
    (tmp_path / "bots").mkdir()
    receiver = Receiver()
    async with (
        receiving(receiver),
        hall(tmp_path / "bots", **settings(receiver, tmp_path)) as here,
    ):
        caller = Caller(here)
        started = await caller.start(caller="+1")
        await caller.utter()
        await caller.until("turn")
        await caller.hang_up()
        await receiver.until(lambda one: "call.ended" in one.kinds)
    assert receiver.kinds == ["call.answered", "call.turn", "call.ended"]
    payloads = [payload for _, payload in receiver.taken]
    assert all(set(one) == {"type", "timestamp", "version", "data"} for one in payloads)
    assert all(one["data"]["call_id"] == started.call_id for one in payloads)
    assert payloads[0]["data"]["caller"] == "+1"
    assert payloads[1]["data"]["bot_text"] == "echo"
    assert payloads[2]["data"]["reason"] == "caller_hung_up"
    assert "call_ended" in payloads[2]["data"]["journal"][-1]


# call.incoming


async def incoming(
    folder: Path, answer: tuple[int, object] | None
) -> tuple[Receiver, list[Any], grpc.StatusCode]:
    """Place one call to a number; return what came of it."""
    (folder / "bots").mkdir()
    (folder / "numbers.yaml").write_text("numbers: [{number: '+49*', bot: desk}]")
    (folder / "bots" / "other.yaml").write_text("greeting: Hi.")
    receiver = Receiver(
        answer=lambda told: answer if told["type"] == "call.incoming" else (200, {})
    )
    more = {"numbers": str(folder / "numbers.yaml"), "webhook_incoming_seconds": 0.3}
    async with receiving(receiver):
        made = {**settings(receiver, folder), **more}
        async with hall(folder / "bots", **made) as here:
            caller = Caller(here)
            start = call_pb2.Start(callee="+49301", caller="+1", caller_format=LINEAR8)
            await caller.send(start=start)
            code = grpc.StatusCode.OK
            try:
                await caller.until("started")
                await caller.hang_up()
            except (AssertionError, grpc.aio.AioRpcError):
                code = await caller._stream.code()
            return receiver, here.echo.opens, code


async def test_a_receiver_says_which_bot_takes_a_call(tmp_path: Path) -> None:
    answer = {"bot": "other", "variables": {"vip": "yes"}}
    receiver, opens, _ = await incoming(tmp_path, (200, answer))
    assert (opens[0].bot, dict(opens[0].variables)) == ("other", {"vip": "yes"})
    asked = receiver.taken[0][1]
    assert asked["type"] == "call.incoming"
    assert asked["data"]["callee"] == "+49301"
    assert asked["data"]["bot"] == "desk"
    assert asked["data"]["call_id"] == opens[0].call_id


async def test_a_receiver_rejects_a_call(tmp_path: Path) -> None:
    _, opens, code = await incoming(tmp_path, (200, {"action": "reject"}))
    assert (opens, code) == ([], grpc.StatusCode.PERMISSION_DENIED)


@pytest.mark.parametrize("answer", [(500, {}), None, (200, {"bott": "x"}), (200, [1])])
async def test_without_a_verdict_a_call_goes_where_its_number_says(
    tmp_path: Path, answer: tuple[int, object] | None
) -> None:
    _, opens, _ = await incoming(tmp_path, answer)
    assert opens[0].bot == "desk"


# Settings.


@pytest.mark.parametrize(
    ("given_", "named"),
    [
        ({"webhook_url": "http://x"}, "QUEUE"),
        ({"webhook_url": "http://x", "webhook_queue": "q"}, "SECRET"),
        ({"webhook_url": "http://x", "webhook_queue": "q", "webhook_secret": "whsec_%"}, "SECRET"),
        ({"webhook_url": "http://x", "webhook_queue": "q", "webhook_secret": "@/no"}, "SECRET"),
    ],
)
def test_what_is_missing_is_named(given_: dict[str, Any], named: str) -> None:
    with pytest.raises(Misconfigured, match=f"VOICEMESH_WEBHOOK_{named}"):
        Webhooks(GatewaySettings(**given_), "tag")


def test_no_secret_is_shown() -> None:
    assert SECRET not in repr(GatewaySettings(**SETTINGS))


def test_words_are_redacted_and_numbers_of_calls_are_not() -> None:
    turn = event_pb2.Turn(turn=1, caller_text="my card is 4242 4242 4242 4242")
    told = json.loads(payload.from_event(event_pb2.CallEvent(turn=turn), Redactor()) or "")
    assert told["data"]["caller_text"] == "my card is [card]"
    answered = event_pb2.Answered(bot="desk", caller="+12125550123")
    told = json.loads(payload.from_event(event_pb2.CallEvent(answered=answered), Redactor()) or "")
    assert told["data"]["caller"] == "+12125550123"
