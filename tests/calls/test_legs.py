"""The spoken conversation over every leg, as `voicemesh eval legs` holds it, in one mesh."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mesh.local.ports import Port
from tests.sip.support import phone_mesh
from voicemesh.client import Speaker
from voicemesh.commands.legs import compare, told_of
from voicemesh.errors import InvalidInput
from voicemesh.evaluation.legs import BRIEF_STORY, Held, hold, legs

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow

BOT = "frontdesk"
NUMBERS = f"""\
numbers:
  - {{application: "audiosocket/*", bot: {BOT}}}
"""
NAMES = {
    "grpc",
    *("twilio", "teler", "plivo", "telnyx", "vonage", "exotel", "jambonz"),
    *("audiohook", "audiosocket", "browser", "sip"),
}


@pytest.mark.models
async def test_every_legs_caller_is_understood_as_well_as_grpcs(tmp_path: Path) -> None:
    numbers, port = tmp_path / "numbers.yaml", Port("127.0.0.1")
    numbers.write_text(NUMBERS)
    environment = {
        "VOICEMESH_NUMBERS": str(numbers),
        "VOICEMESH_AUDIOSOCKET": port.address,
        "VOICEMESH_MAX_LAG_MS": "0",
    }
    try:
        async with phone_mesh("embedded", environment, numbers={"*": BOT}) as phones:
            edge, sip = phones.mesh.edge_target, f"127.0.0.1:{phones.port}"
            ways = legs(edge, BOT, sip=sip, audiosocket=port.address)
            async with Speaker.at(phones.mesh.mesh_target) as speaker:
                helds = [each async for each in hold(ways, edge, BOT, BRIEF_STORY, speaker, 4)]
                # What broke off beside others on a busy machine is held alone.
                lost = {each.leg for each in helds if not each.whole}
                again = [way for way in ways if way.name in lost]
                helds = [each for each in helds if each.whole]
                helds += [each async for each in hold(again, edge, BOT, BRIEF_STORY, speaker, 1)]
    finally:
        port.close()
    assert {way.name for way in ways} == NAMES
    told = told_of(ways, helds)
    failed = [(row["leg"], row["points_worse"], row["problems"]) for row in told["legs"]]
    assert all(row["passed"] for row in told["legs"]), failed
    assert told["legs"][0]["wer_percent"] <= 10, told


def held(leg: str, understood: str) -> Held:
    return Held(leg, "one two three four", understood, True, reason="bot_hung_up")


def test_a_leg_that_is_understood_worse_does_not_pass() -> None:
    ways = [way for way in legs("127.0.0.1:1", BOT) if way.name in ("grpc", "teler", "vonage")]
    good, bad = "one two three four", "one two three for"
    told = told_of(ways, [held("grpc", good), held("teler", good), held("vonage", bad)])
    assert {row["leg"]: row["passed"] for row in told["legs"]} == {
        "grpc": True,
        "teler": True,
        "vonage": False,
    }
    quiet = held("teler", good)
    quiet.interrupted = False
    told = told_of(ways, [held("grpc", good), quiet])
    [row] = [row for row in told["legs"] if row["leg"] == "teler"]
    assert row["problems"] == ["the bot was not interrupted"]
    assert not row["passed"]


def test_an_unknown_leg_is_named() -> None:
    with pytest.raises(InvalidInput, match="'fax' is not one of grpc"):
        compare(to="127.0.0.1:1", mesh="127.0.0.1:1", leg=["fax"])
