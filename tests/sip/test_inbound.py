"""Phones that call in: sipp with RTP and digits, through a whole mesh."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.sip.scenarios import Scenario
from tests.sip.support import (
    caller_words,
    entries,
    needs_sipp,
    pcap,
    phone_mesh,
    sipp,
    until,
    voice,
)

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.slow, needs_sipp]


async def test_a_call_with_words_digits_and_hold(tmp_path: Path) -> None:
    first = pcap(tmp_path / "first.pcap", voice("first of all"))
    again = pcap(tmp_path / "again.pcap", voice("here again"))
    scenario = Scenario().call().wait(2.5).play(first, 4.5)
    for digit in "42":
        scenario.press(digit)
    scenario.wait(4).hold().wait(1).resume().play(again, 4).hang_up()
    async with phone_mesh() as phones:
        ran = await sipp(tmp_path, phones.port, scenario.xml(), "-s", "1001", seconds=40)
        assert ran.code == 0, ran.output
        record = await phones.record()
    assert caller_words(record) == ["first of all", "here again"]
    assert [each["digits"] for each in entries(record, "digits_pressed")] == ["42"]
    assert record["reason"] == "caller_hung_up"


async def test_the_bot_hangs_up(tmp_path: Path) -> None:
    goodbye = pcap(tmp_path / "goodbye.pcap", voice("Goodbye."))
    scenario = Scenario().call().wait(2.5).play(goodbye, 0).hung_up()
    async with phone_mesh() as phones:
        ran = await sipp(tmp_path, phones.port, scenario.xml())
        assert ran.code == 0, ran.output
        record = await phones.record()
    assert record["reason"] == "bot_hung_up"


async def test_nobody_can_have_the_bot_call_others(tmp_path: Path) -> None:
    scenario = (
        Scenario().call().wait(0.5).refer(202).asked("NOTIFY").notified("603").wait(0.2).hang_up()
    )
    async with phone_mesh() as phones:
        ran = await sipp(tmp_path, phones.port, scenario.xml())
        assert ran.code == 0, ran.output
        assert (await phones.record())["reason"] == "caller_hung_up"


async def test_a_full_process_is_busy_and_an_unknown_bot_is_refused(tmp_path: Path) -> None:
    calling, refused = tmp_path / "calling", tmp_path / "refused"
    calling.mkdir()
    refused.mkdir()
    environment = {"VOICEMESH_MAX_CALLS": "1"}
    async with phone_mesh(environment=environment, numbers={"1": "nobody", "2": "echo"}) as phones:
        unknown = await sipp(refused, phones.port, Scenario().refused(486).xml(), "-s", "1")
        assert unknown.code == 0, unknown.output
        long = Scenario().call().wait(4).hang_up().xml()
        async with asyncio.TaskGroup() as together:
            first = together.create_task(sipp(calling, phones.port, long, "-s", "2"))
            await until(lambda: "phone call began" in phones.log)
            second = await sipp(refused, phones.port, Scenario().refused(486).xml(), "-s", "2")
        assert (first.result().code, second.code) == (0, 0), second.output


async def test_only_listed_networks_are_answered(tmp_path: Path) -> None:
    async with phone_mesh(allow=["127.0.0.2/32"]) as phones:
        asked = await sipp(tmp_path, phones.port, Scenario().options().xml(), seconds=2)
        assert asked.code != 0
        listed = await sipp(
            tmp_path, phones.port, Scenario().options().xml(), local="127.0.0.2", seconds=10
        )
        assert listed.code == 0, listed.output
