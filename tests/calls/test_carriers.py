"""Calls of emulated carriers through edge Envoy, gateway and orchestrator."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from demo import story
from mesh.local.ports import Port
from tests.support.mesh import running_mesh
from voicemesh.carriers.dialect import DialectSettings, Marks, Transport
from voicemesh.carriers.table import DIALECTS
from voicemesh.client import AwaitReply, Interrupt, Press, Say, Speaker, perform, voiced
from voicemesh.emulate import CarrierCall, EmulatedCarrier, Order, carrier_record, natural_start
from voicemesh.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from mesh.local import LocalMesh
    from voicemesh.carriers.dialect import Dialect
    from voicemesh.client import Step

pytestmark = pytest.mark.slow

TALK: tuple[Step, ...] = (
    AwaitReply(),
    Say("first of all"),
    AwaitReply(),
    Say("long story"),
    Interrupt(Say("stop it now"), 1.0),
    AwaitReply(),
)
KEYS: tuple[Step, ...] = (Press("12#"), AwaitReply())
END: tuple[Step, ...] = (Say("goodbye"), AwaitReply())
WEBSOCKETS = [row for row in DIALECTS.values() if row.transport is Transport.WEBSOCKET]


async def _hold(
    mesh: LocalMesh, dialect: Dialect, steps: Sequence[Step], order: Order
) -> CarrierCall:
    async with CarrierCall.place(dialect, mesh.edge_address, order) as call:
        await perform(call, steps)
        await call.wait_ended(10)
    return call


def _tells_keys(dialect: Dialect) -> bool:
    settings = DialectSettings()
    carrier = EmulatedCarrier(dialect, natural_start(dialect, settings), settings)
    carrier.begin()
    return bool(carrier.press("1"))


async def _talk(mesh: LocalMesh, dialect: Dialect) -> CarrierCall:
    wire = natural_start(dialect, DialectSettings()).sent
    talk = TALK + (KEYS if _tells_keys(dialect) else ()) + END
    async with Speaker.at(mesh.mesh_address, engine="scripted") as speaker:
        steps = await voiced(talk, speaker, wire)
    order = Order(bot="echo", caller="+1555", parameters={"tenant": dialect.name})
    return await _hold(mesh, dialect, steps, order)


def _journals(folder: Path) -> list[list[dict[str, Any]]]:
    return [json.loads(path.read_text())["journal"] for path in folder.glob("*.json")]


def _said(journal: list[dict[str, Any]]) -> list[str]:
    return [entry["caller_said"]["text"] for entry in journal if "caller_said" in entry]


def _pressed(journal: list[dict[str, Any]]) -> list[str]:
    return [entry["digits_pressed"]["digits"] for entry in journal if "digits_pressed" in entry]


async def test_every_carriers_caller_has_the_same_conversation(tmp_path: Path) -> None:
    async with running_mesh(environment={"VOICEMESH_RECORDS": str(tmp_path)}) as mesh:
        calls = await asyncio.gather(
            *(_talk(mesh, dialect) for dialect in WEBSOCKETS), return_exceptions=True
        )
        edge = await mesh.envoy_stats("edge")
    broken = {row.name: call for row, call in zip(WEBSOCKETS, calls, strict=True)}
    assert not {name: call for name, call in broken.items() if isinstance(call, BaseException)}
    for name, call in broken.items():
        assert isinstance(call, CarrierCall)
        told = carrier_record(call)
        assert told["complaints"] == [], name
        assert told["closed"]["code"] == 1000, (name, told)
        assert told["hung_up_by_bot"], (name, told)
        assert told["bot_audio"]["seconds"] > 2, (name, told)
        can = DIALECTS[name].capabilities
        assert bool(told["marks"]) == (can.marks is not Marks.NONE), (name, told)
        assert bool(call.carrier.drops) == can.clears, (name, told)
    journals = _journals(tmp_path)
    assert len(journals) == len(WEBSOCKETS)
    for journal in journals:
        assert _said(journal) == ["first of all", "long story", "stop it now", "goodbye"]
        assert any("reply_interrupted" in entry for entry in journal)
        assert journal[-1]["call_ended"]["reason"] == "bot_hung_up"
    keys = [_pressed(journal) for journal in journals]
    assert keys.count(["12"]) == sum(map(_tells_keys, WEBSOCKETS))
    assert keys.count([]) + keys.count(["12"]) == len(WEBSOCKETS)
    # They did cross the edge, as upgraded sockets.
    assert edge["cluster.sockets.upstream_cx_total"] >= len(WEBSOCKETS)
    assert edge["http.edge.downstream_cx_upgrades_total"] >= len(WEBSOCKETS)
    assert edge["cluster.sockets.upstream_cx_tx_bytes_total"] > 8000 * len(WEBSOCKETS)


NUMBERS = """\
numbers:
  - {application: "audiosocket/*", bot: echo}
"""


async def test_an_asterisks_caller_has_it_too(tmp_path: Path) -> None:
    dialect, port = DIALECTS["audiosocket"], Port("127.0.0.1")
    numbers = tmp_path / "numbers.yaml"
    numbers.write_text(NUMBERS)
    environment = {
        "VOICEMESH_RECORDS": str(tmp_path),
        "VOICEMESH_NUMBERS": str(numbers),
        "VOICEMESH_AUDIOSOCKET": port.address,
    }
    try:
        async with running_mesh(environment=environment) as mesh:
            wire = natural_start(dialect, DialectSettings()).sent
            async with Speaker.at(mesh.mesh_address, engine="scripted") as speaker:
                steps = await voiced(TALK + KEYS + END, speaker, wire)
            async with CarrierCall.place(dialect, port.address) as call:
                await perform(call, steps)
                await call.wait_ended(10)
    finally:
        port.close()
    told = carrier_record(call)
    assert told["complaints"] == []
    assert told["hung_up_by_bot"]
    [journal] = _journals(tmp_path)
    assert _said(journal) == ["first of all", "long story", "stop it now", "goodbye"]
    assert _pressed(journal) == ["12"]
    assert any("reply_interrupted" in entry for entry in journal)


async def test_both_edges_lead_to_the_gateway_and_tell_what_is_wrong() -> None:
    async with running_mesh() as mesh:
        dialect = DIALECTS["twilio"]
        for address in mesh.edge_addresses:
            async with CarrierCall.place(dialect, address, Order(bot="nobody")) as call:
                await call.wait_ended(5)
            assert call.close_code == 1008
            assert "no bot 'nobody'" in call.close_reason
        for envoy in ("edge-0", "edge-1"):
            stats = await mesh.envoy_stats(envoy)
            assert stats["http.edge.downstream_cx_upgrades_total"] == 1
        unknown = replace(dialect, name="nobody")
        with pytest.raises(NotFound, match="twilio, vonage"):
            async with CarrierCall.place(unknown, mesh.edge_address):
                pass


QUESTIONS: tuple[Step, ...] = (
    AwaitReply(),
    Say(story.QUESTION),
    AwaitReply(),
    Say(story.LONG_QUESTION),
    Interrupt(Say(story.INTERRUPTION), after_seconds=2.0),
    AwaitReply(),
    Press("42#"),
    AwaitReply(),
    Say(story.GOODBYE),
    AwaitReply(),
)


@pytest.mark.models
async def test_twilios_caller_is_understood_by_the_embedded_models(tmp_path: Path) -> None:
    dialect = DIALECTS["twilio"]
    environment = {"VOICEMESH_RECORDS": str(tmp_path)}
    async with running_mesh("embedded", environment=environment) as mesh:
        wire = natural_start(dialect, DialectSettings()).sent
        async with Speaker.at(mesh.mesh_address) as speaker:
            steps = await voiced(QUESTIONS, speaker, wire)
        call = await _hold(mesh, dialect, steps, Order(bot=story.BOT))
    [journal] = _journals(tmp_path)
    heard = " ".join(_said(journal)).lower()
    assert "opening hours on saturday" in heard
    assert "parking" in heard
    said = " ".join(
        entry["sentence_planned"]["text"] for entry in journal if "sentence_planned" in entry
    )
    assert "nine until noon" in said
    assert "parking spaces behind the house" in said
    assert any("reply_interrupted" in entry for entry in journal)
    assert _pressed(journal) == ["42"]
    assert journal[-1]["call_ended"]["reason"] == "bot_hung_up"
    told = carrier_record(call)
    assert told["interruptions"]
    assert told["complaints"] == []
    assert told["marks"] > 5


async def test_the_command_places_a_call_as_a_carrier() -> None:
    async with running_mesh() as mesh:
        words = ["--say", "first of all", "--say", "long story", "--interrupt-ms", "500"]
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "voicemesh.cli",
            *("emulate", "telnyx", "--bot", "echo", *words, "--press", "12#", "--json"),
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, "VOICEMESH_HOME": str(mesh.home.folder)},
        )
        shown, _ = await process.communicate()
    assert process.returncode == 0, shown
    told = json.loads(shown)
    assert told["carrier"] == "telnyx"
    assert told["closed"]["code"] == 1000
    assert told["latency"]["count"] >= 1
    assert told["bot_audio"]["seconds"] > 1
    assert told["complaints"] == []
