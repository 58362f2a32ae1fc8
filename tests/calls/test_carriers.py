"""Calls of emulated carriers through edge Envoy, gateway and orchestrator."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pytest

from mesh.local.ports import Port
from tests.sip.support import until
from tests.support.mesh import held, running_mesh
from voicemesh.carriers.dialect import DialectSettings, Marks, Transport
from voicemesh.carriers.table import DIALECTS
from voicemesh.client import AwaitReply, Interrupt, Press, Say, Speaker, perform, voiced
from voicemesh.emulate import CarrierCall, Order, carrier_record, natural_start, tells_keys
from voicemesh.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence
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


async def _talk(mesh: LocalMesh, dialect: Dialect) -> CarrierCall:
    wire = natural_start(dialect, DialectSettings()).sent
    talk = TALK + (KEYS if tells_keys(dialect) else ()) + END
    async with Speaker.at(mesh.mesh_address, engine="scripted") as speaker:
        steps = await voiced(talk, speaker, wire)
    order = Order(bot="echo", caller="+1555", parameters={"tenant": dialect.name})
    return await _hold(mesh, dialect, steps, order)


def _said(journal: list[dict[str, Any]]) -> list[str]:
    return [entry["caller_said"]["text"] for entry in journal if "caller_said" in entry]


def _pressed(journal: list[dict[str, Any]]) -> list[str]:
    return [entry["digits_pressed"]["digits"] for entry in journal if "digits_pressed" in entry]


NUMBERS = """\
numbers:
  - {application: "audiosocket/*", bot: echo}
"""


@dataclass
class Site:
    """A running mesh, where Asterisk reaches it, and the records of its calls."""

    mesh: LocalMesh
    audiosocket: str
    records: Path
    seen: set[Path] = field(default_factory=set)

    async def journals(self, count: int) -> list[list[dict[str, Any]]]:
        """Wait for so many more calls' journals."""
        await until(lambda: len({*self.records.glob("*.json")} - self.seen) >= count)
        new = {*self.records.glob("*.json")} - self.seen
        self.seen |= new
        return [json.loads(path.read_text())["journal"] for path in new]


@asynccontextmanager
async def _site(folder: Path) -> AsyncIterator[Site]:
    numbers, port = folder / "numbers.yaml", Port("127.0.0.1")
    numbers.write_text(NUMBERS)
    environment = {
        "VOICEMESH_RECORDS": str(folder / "records"),
        "VOICEMESH_NUMBERS": str(numbers),
        "VOICEMESH_AUDIOSOCKET": port.address,
    }
    try:
        async with running_mesh(environment=environment) as mesh:
            yield Site(mesh, port.address, folder / "records")
    finally:
        port.close()


@pytest.fixture(scope="module")
def site(runner: asyncio.Runner, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    yield from held(runner, _site(tmp_path_factory.mktemp("site")))


async def test_every_carriers_caller_has_the_same_conversation(site: Site) -> None:
    mesh = site.mesh
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
    journals = await site.journals(len(WEBSOCKETS))
    assert len(journals) == len(WEBSOCKETS)
    for journal in journals:
        assert _said(journal) == ["first of all", "long story", "stop it now", "goodbye"]
        assert any("reply_interrupted" in entry for entry in journal)
        assert journal[-1]["call_ended"]["reason"] == "bot_hung_up"
    keys = [_pressed(journal) for journal in journals]
    assert keys.count(["12"]) == sum(map(tells_keys, WEBSOCKETS))
    assert keys.count([]) + keys.count(["12"]) == len(WEBSOCKETS)
    # They did cross the edge, as upgraded sockets.
    assert edge["cluster.sockets.upstream_cx_total"] >= len(WEBSOCKETS)
    assert edge["http.edge.downstream_cx_upgrades_total"] >= len(WEBSOCKETS)
    assert edge["cluster.sockets.upstream_cx_tx_bytes_total"] > 8000 * len(WEBSOCKETS)


async def test_an_asterisks_caller_has_it_too(site: Site) -> None:
    dialect = DIALECTS["audiosocket"]
    wire = natural_start(dialect, DialectSettings()).sent
    async with Speaker.at(site.mesh.mesh_address, engine="scripted") as speaker:
        steps = await voiced(TALK + KEYS + END, speaker, wire)
    async with CarrierCall.place(dialect, site.audiosocket) as call:
        await perform(call, steps)
        await call.wait_ended(10)
    told = carrier_record(call)
    assert told["complaints"] == []
    assert told["hung_up_by_bot"]
    [journal] = await site.journals(1)
    assert _said(journal) == ["first of all", "long story", "stop it now", "goodbye"]
    assert _pressed(journal) == ["12"]
    assert any("reply_interrupted" in entry for entry in journal)


async def test_both_edges_lead_to_the_gateway_and_tell_what_is_wrong(site: Site) -> None:
    mesh, dialect = site.mesh, DIALECTS["twilio"]
    upgrades = "http.edge.downstream_cx_upgrades_total"
    for envoy, address in zip(("edge-0", "edge-1"), mesh.edge_addresses, strict=True):
        before = (await mesh.envoy_stats(envoy))[upgrades]
        async with CarrierCall.place(dialect, address, Order(bot="nobody")) as call:
            await call.wait_ended(5)
        assert call.close_code == 1008
        assert "no bot 'nobody'" in call.close_reason
        assert (await mesh.envoy_stats(envoy))[upgrades] == before + 1
    unknown = replace(dialect, name="nobody")
    with pytest.raises(NotFound, match="twilio, vonage"):
        async with CarrierCall.place(unknown, mesh.edge_address):
            pass


async def test_the_command_places_a_call_as_a_carrier(site: Site) -> None:
    words = ["--say", "first of all", "--say", "long story", "--interrupt-ms", "500"]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "voicemesh.cli",
        *("emulate", "telnyx", "--bot", "echo", *words, "--press", "12#", "--json"),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "VOICEMESH_HOME": str(site.mesh.home.folder)},
    )
    shown, _ = await process.communicate()
    assert process.returncode == 0, shown
    told = json.loads(shown)
    assert told["carrier"] == "telnyx"
    assert told["closed"]["code"] == 1000
    assert told["latency"]["count"] >= 1
    assert told["bot_audio"]["seconds"] > 1
    assert told["complaints"] == []
