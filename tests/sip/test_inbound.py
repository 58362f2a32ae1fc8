"""Phones that call in: sipp with RTP and digits, through a whole mesh."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.sip.scenarios import Scenario
from tests.sip.support import (
    PATIENCE,
    PhoneMesh,
    caller_words,
    entries,
    needs_sipp,
    pcap,
    phone_mesh,
    sipp,
    until,
    voice,
)
from tests.support.mesh import held
from voicemesh.client import AwaitReply, Press, Say, perform
from voicemesh.emulate import PhoneCall

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.slow, needs_sipp]


@pytest.fixture(scope="module")
def phones(runner: asyncio.Runner) -> Iterator[PhoneMesh]:
    yield from held(runner, phone_mesh(numbers={"refused": "nobody", "*": "echo"}))


async def test_a_call_with_words_digits_and_hold(tmp_path: Path, phones: PhoneMesh) -> None:
    first = pcap(tmp_path / "first.pcap", voice("first of all"))
    again = pcap(tmp_path / "again.pcap", voice("here again"))
    scenario = Scenario().call().wait(2.5).play(first, 4.5)
    for digit in "42":
        scenario.press(digit)
    scenario.wait(4).hold().wait(1).resume().play(again, 4).hang_up()
    ran = await sipp(tmp_path, phones.port, scenario.xml(), "-s", "words", seconds=40)
    assert ran.code == 0, ran.output
    record = await phones.record("words")
    assert caller_words(record) == ["first of all", "here again"]
    assert [each["digits"] for each in entries(record, "digits_pressed")] == ["42"]
    assert record["reason"] == "caller_hung_up"


async def test_the_bot_hands_over_and_hangs_up(phones: PhoneMesh) -> None:
    at, asked = f"127.0.0.1:{phones.port}", Say("Transfer me.", voice("Transfer me."))
    async with PhoneCall.place(at, "handed") as call:
        await perform(call, (AwaitReply(), asked))
        await call.wait_ended(PATIENCE)
    assert [each.rpartition(":")[0] for each in call.refers] == ["sip:+15550100@127.0.0.1"]
    assert (await phones.record("handed"))["reason"] == "transferred"
    goodbye = Say("Goodbye.", voice("Goodbye."))
    async with PhoneCall.place(at, "goodbye") as call:
        await perform(call, (AwaitReply(), Press("7#"), AwaitReply(), goodbye))
        await call.wait_ended(PATIENCE)
    record = await phones.record("goodbye")
    assert record["reason"] == "bot_hung_up"
    assert [each["digits"] for each in entries(record, "digits_pressed")] == ["7"]


async def test_nobody_can_have_the_bot_call_others(tmp_path: Path, phones: PhoneMesh) -> None:
    scenario = (
        Scenario().call().wait(0.5).refer(202).asked("NOTIFY").notified("603").wait(0.2).hang_up()
    )
    ran = await sipp(tmp_path, phones.port, scenario.xml(), "-s", "thief")
    assert ran.code == 0, ran.output
    assert (await phones.record("thief"))["reason"] == "caller_hung_up"


async def test_an_unknown_bot_is_refused(tmp_path: Path, phones: PhoneMesh) -> None:
    ran = await sipp(tmp_path, phones.port, Scenario().refused(486).xml(), "-s", "refused")
    assert ran.code == 0, ran.output


async def test_only_so_many_calls_of_listed_networks_are_taken(tmp_path: Path) -> None:
    calling, refused = tmp_path / "calling", tmp_path / "refused"
    calling.mkdir()
    refused.mkdir()
    listed = "127.0.0.2"
    environment = {"VOICEMESH_MAX_CALLS": "1"}
    async with phone_mesh(environment=environment, allow=[f"{listed}/32"]) as one:
        options = Scenario().options().xml()
        unlisted = await sipp(refused, one.port, options, seconds=1)
        assert unlisted.code != 0
        asked = await sipp(refused, one.port, options, local=listed, seconds=10)
        assert asked.code == 0, asked.output
        long = Scenario().call().wait(3).hang_up().xml()
        async with asyncio.TaskGroup() as together:
            first = together.create_task(sipp(calling, one.port, long, "-s", "2", local=listed))
            await until(lambda: "phone call began" in one.log)
            busy = Scenario().refused(486).xml()
            second = await sipp(refused, one.port, busy, "-s", "2", local=listed)
        assert (first.result().code, second.code) == (0, 0), second.output
