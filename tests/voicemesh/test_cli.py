from __future__ import annotations

import asyncio
import io
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from tests.support.fake_gateway import Bot, FakeGateway, Reply, running, tone
from voicemesh.audio import write_wav
from voicemesh.client import AwaitReply, Cleared, HangUp, Interrupt, Play, Transcript
from voicemesh.client.events import Action, Ended
from voicemesh.commands.call import script
from voicemesh.commands.places import find, need_mesh
from voicemesh.commands.screen import Screen
from voicemesh.errors import Misconfigured

DESK = Bot(
    greeting=Reply("", "Hello, how can I help?", 0.3),
    replies=[Reply("what time do you close", "At six.", 0.3)],
)


@dataclass(frozen=True)
class Output:
    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(self.out)
        return told


async def voicemesh(*arguments: str | Path, home: Path) -> Output:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "voicemesh.cli",
        *map(str, arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=os.environ | {"VOICEMESH_HOME": str(home), "COLUMNS": "120", "NO_COLOR": "1"},
    )
    out, err = await process.communicate()
    return Output(process.returncode or 0, out.decode(), err.decode())


def run_local_mesh(home: Path, address: str) -> None:
    state = {"edge_target": address, "mesh_target": address, "models": "embedded"}
    (home / "state.json").write_text(json.dumps(state))


@pytest.mark.slow
async def test_a_call_is_shown_as_it_goes(tmp_path: Path) -> None:
    gateway = FakeGateway({"frontdesk": DESK})
    async with running(gateway) as address:
        run_local_mesh(tmp_path, address)
        done = await voicemesh("call", "--say", "What time do you close?", home=tmp_path)
    assert done.code == 0, done.err
    for words in ("Hello, how can I help?", "what time do you close", "At six.", "203 ms"):
        assert words in done.out
    assert gateway.starts[0].bot == "frontdesk"


@pytest.mark.slow
async def test_a_call_as_json_and_recording(tmp_path: Path) -> None:
    write_wav(tmp_path / "question.wav", 16000, tone(0.4, 16000))
    recording = tmp_path / "call.wav"
    options: list[str | Path] = [
        "--bot",
        "desk",
        "--audio",
        tmp_path / "question.wav",
        "--format",
        "l16-8000",
    ]
    async with running(FakeGateway({"desk": DESK})) as address:
        done = await voicemesh(
            "call", "--to", address, *options, "--record", recording, "--json", home=tmp_path
        )
    assert done.code == 0, done.err
    told = done.json
    assert told["ended"] == "caller_hung_up"
    assert [(words["speaker"], words["text"]) for words in told["transcript"]] == [
        ("bot", "Hello, how can I help?"),
        ("caller", "what time do you close"),
        ("bot", "At six."),
    ]
    (turn,) = told["turns"]
    assert turn["total_ms"] == 203
    assert sum(stage["ms"] for stage in turn["stages"]) == pytest.approx(203)
    assert 150 < turn["caller_latency_ms"] < 1000
    assert told["latency"]["caller"]["count"] == 1
    assert told["bot_audio"]["seconds"] == pytest.approx(0.6, abs=0.05)
    assert told["journal"][0]["call_started"]["bot"] == "desk"
    assert recording.stat().st_size > 16000


@pytest.mark.slow
async def test_errors_are_one_line_or_json(tmp_path: Path) -> None:
    no_mesh = await voicemesh("call", home=tmp_path)
    assert no_mesh.code == 1
    assert no_mesh.err.startswith("voicemesh: no mesh runs here: start one with")
    assert no_mesh.err.count("\n") == 1
    async with running(FakeGateway({})) as address:
        as_json = await voicemesh(
            "call", "--bot", "nobody", "--to", address, "--json", home=tmp_path
        )
    assert as_json.code == 1
    error = json.loads(as_json.err.splitlines()[-1])["error"]
    assert (error["kind"], error["details"]) == ("NotFound", {"bot": "nobody"})


@pytest.mark.slow
async def test_a_bot_that_does_not_answer_is_an_error(tmp_path: Path) -> None:
    bot = Bot(greeting=Reply("", "Hello.", 0.1), breaks_off_after=0)
    async with running(FakeGateway({"desk": bot})) as address:
        done = await voicemesh("call", "--bot", "desk", "--to", address, home=tmp_path)
    assert done.code == 1
    assert "the orchestrator is gone" in done.err


@pytest.mark.slow
async def test_wrong_options_are_told(tmp_path: Path) -> None:
    unknown = await voicemesh("call", "--to", "x", "--format", "opus", home=tmp_path)
    assert (unknown.code, "l16-16000" in unknown.err) == (1, True)
    voiceless = await voicemesh("call", "--to", "x", "--say", "hello", home=tmp_path)
    assert (voiceless.code, "--mesh" in voiceless.err) == (1, True)
    missing = await voicemesh("call", "--to", "x", "--audio", tmp_path / "no.wav", home=tmp_path)
    assert (missing.code, "no.wav" in missing.err) == (1, True)


@pytest.mark.slow
async def test_help_is_there_for_every_command(tmp_path: Path) -> None:
    for command in (["--help"], ["call", "--help"], ["eval", "speech", "--help"], ["bots"]):
        done = await voicemesh(*command, home=tmp_path)
        assert "Usage: voicemesh" in done.out + done.err


@pytest.mark.slow
async def test_bots_are_checked(tmp_path: Path) -> None:
    good = await voicemesh("bots", "check", "bots", "--json", home=tmp_path)
    assert good.code == 0, good.out
    assert "frontdesk" in good.json["bots"]
    (tmp_path / "bad.yaml").write_text("name: bad\nunknown_key: 1\n")
    bad = await voicemesh("bots", "check", tmp_path, "--json", home=tmp_path)
    assert bad.code == 1
    assert any(problem["field"] == "unknown_key" for problem in bad.json["problems"])
    lines = await voicemesh("bots", "check", tmp_path, home=tmp_path)
    assert "bad.yaml:2: unknown_key" in lines.out


def test_addresses_given_win_over_the_local_mesh(tmp_path: Path) -> None:
    environ = {"VOICEMESH_HOME": str(tmp_path)}
    with pytest.raises(Misconfigured, match="voicemesh up"):
        find(None, environ=environ)
    state = {"edge_target": "ipv4:e:1,e:2", "mesh_target": "m:1", "models": "scripted"}
    (tmp_path / "state.json").write_text(json.dumps(state))
    here = find(None, environ=environ)
    assert (here.edge, need_mesh(here), here.voice_engine) == ("ipv4:e:1,e:2", "m:1", "scripted")
    there = find("e:2", "m:2", environ=environ)
    assert (there.edge, there.mesh, there.voice_engine) == ("e:2", "m:2", "hibari")
    (tmp_path / "state.json").write_text("not json")
    with pytest.raises(Misconfigured):
        find(None, environ=environ)
    with pytest.raises(Misconfigured, match="--say"):
        need_mesh(find("e:2", environ=environ))


def test_a_script_waits_or_interrupts() -> None:
    first, second = Play(tone(0.1, 8000)), Play(tone(0.1, 8000))
    kinds = [type(step) for step in script([first, second])]
    assert kinds == [AwaitReply, Play, AwaitReply, Play, AwaitReply, HangUp]
    kinds = [type(step) for step in script([first, second], interrupt_ms=500)]
    assert kinds == [AwaitReply, Play, Interrupt, AwaitReply, HangUp]
    assert len(script([])) == 2


def test_the_screen_shows_every_event() -> None:
    out = io.StringIO()
    with Screen(Console(file=out, width=80)) as screen:
        screen.show(Transcript("caller", "what ti", False, 1, 0, 0.0))
        screen.show(Transcript("caller", "what time", True, 1, 0, 0.0))
        screen.show(Cleared(0, 0.0))
        screen.show(Action("transfer", "+15550123", 0.0))
        screen.show(Ended("transferred", 3.0))
    shown = out.getvalue()
    for words in ("what time", "interrupted", "transfer +15550123", "transferred, 3.0 s"):
        assert words in shown
