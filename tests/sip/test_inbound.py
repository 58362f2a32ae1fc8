"""Phones that call in: sipp with RTP and digits, through a whole mesh."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.sip.scenarios import Scenario
from tests.sip.support import caller_words, entries, needs_sipp, pcap, phone_mesh, sipp, voice

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
