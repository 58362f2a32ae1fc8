"""The command line, with a supervisor in the background and stand-in services."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import typer
from typer.testing import CliRunner

from mesh.commands import register
from mesh.local import Home, ask
from mesh.local.process import alive
from mesh.services import SERVICES
from tests.mesh.support import WAIT_SECONDS, echo
from voicemesh.errors import InvalidInput, Misconfigured, NotFound, VoicemeshError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_COMMANDS = "import typer; from mesh.commands import register; a = typer.Typer(); register(a); a()"


def run(*arguments: str) -> str:
    app = typer.Typer()
    register(app)
    result = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def eventually(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not holds():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def topology_file(folder: Path, **more: Any) -> Path:  # noqa: ANN401
    services: dict[str, dict[str, Any]] = {
        name: {"command": list(echo(name))} for name in SERVICES if name not in ("tts", "sip")
    }
    for name in ("stt", "llm"):
        services[name]["engines"] = {"scripted": ["scripted"]}
    document = {
        "name": "trial",
        "drain_seconds": 2,
        "regions": [{"name": "local", "services": services}],
        **more,
    }
    path = folder / "trial.yaml"
    path.write_text(json.dumps(document), encoding="utf-8")  # JSON is YAML
    return path


@contextmanager
def a_home(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    monkeypatch.setenv("VOICEMESH_HOME", str(folder))
    home = Home()
    try:
        yield home
    finally:
        if home.taken:
            supervisor = home.read_state()["supervisor_pid"]
            os.kill(supervisor, signal.SIGKILL)


def pids(home: Home) -> Sequence[int]:
    state = home.read_state()
    return [state["supervisor_pid"], *(one["pid"] for one in state["processes"])]


@pytest.mark.slow
def test_up_status_scale_restart_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with a_home(tmp_path / "home", monkeypatch) as home:
        up = run("up", "-t", str(topology_file(tmp_path)), "--models", "scripted", "-d", "--json")
        shown = json.loads(up)
        assert [one["name"] for one in shown["processes"]] == [
            "edge-0", "edge-1", "mesh-0", "mesh-1", "gateway-0", "orchestrator-0", "stt-0", "llm-0",
        ]  # fmt: skip
        assert {one["health"] for one in shown["processes"]} == {"healthy"}
        assert "orchestrator-0" in run("status")

        assert run("scale", "stt", "2") == "stt: stt-0, stt-1\n"
        assert run("scale", "stt", "1", "--wait") == "stt: stt-0\n"
        assert run("restart", "llm-0") == "llm-0: replaced by llm-1\n"
        _deploy()

        pid = ask(home, do="kill", process="gateway-0")
        eventually(lambda: _restarts(home, "gateway-0") == 1)
        assert not alive(pid)
        for door, healthy in (("mesh-1", 1), ("mesh", 2)):
            stats = ask(home, do="stats", door=door)
            assert stats["cluster.orchestrator.membership_healthy"] == healthy
        with pytest.raises(VoicemeshError, match="there is no process 'tts-0'") as caught:
            run("restart", "tts-0")
        assert (caught.value.reason, caught.value.details) == ("NOT_FOUND", {"process": "tts-0"})
        with pytest.raises(VoicemeshError, match="not understood"):
            ask(home, do="scale")

        everything = pids(home)
        assert run("down").endswith("down\n")
        assert not any(alive(pid) for pid in everything)
        assert "nothing runs" in run("down")


def _deploy() -> None:
    (one,) = json.loads(run("deploy", "llm", "--json"))["replaced"]
    assert (one["process"], one["streams_cut"]) == ("llm-1", 0)
    assert one["replacement"] in ("llm-0", "llm-2")
    assert not alive(one["old_pid"])
    assert alive(one["pid"])
    assert run("deploy", "edge").splitlines()[-1].startswith("2 processes replaced in ")
    with pytest.raises(VoicemeshError, match="there is no 'vad'; use stt, llm"):
        run("deploy", "vad")


def _restarts(home: Home, name: str) -> int:
    processes = {one["name"]: one for one in ask(home, do="status")["processes"]}
    serving = processes[name]["state"] == "serving"
    return int(processes[name]["restarts"]) if serving else -1


@pytest.mark.slow
def test_a_killed_supervisor_leaves_no_orphan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with a_home(tmp_path / "home", monkeypatch) as home:
        topology = str(topology_file(tmp_path))
        run("up", "-t", topology, "--models", "scripted", "--detach")
        everything = pids(home)
        os.kill(everything[0], signal.SIGKILL)
        eventually(lambda: not any(alive(pid) for pid in everything))
        assert not home.taken
        with pytest.raises(NotFound, match="no mesh runs in"):
            run("status")
        run("up", "-t", topology, "--models", "scripted", "--detach")  # what it left is no trouble
        run("down", "--now")
        assert not home.taken


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_up_in_the_foreground_ends_on_a_signal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    with a_home(tmp_path / "home", monkeypatch) as home:
        arguments = ["up", "-t", str(topology_file(tmp_path)), "--models", "scripted", "--json"]
        foreground = subprocess.Popen(
            [sys.executable, "-c", _COMMANDS, *arguments],
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        )
        with foreground:
            assert foreground.stdout is not None
            assert foreground.stdout.readline() == "{\n"  # everything serves
            everything = pids(home)
            assert everything[0] == foreground.pid
            foreground.send_signal(number)
            foreground.stdout.read()
            assert foreground.wait(WAIT_SECONDS) == 0
        assert not any(alive(pid) for pid in everything)
        assert not home.taken


@pytest.mark.slow
def test_up_says_what_a_failing_service_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    topology = topology_file(tmp_path, environment={"ECHO_CRASH": "1"})
    with (
        a_home(tmp_path / "home", monkeypatch) as home,
        pytest.raises(Misconfigured, match="the echo was told to crash"),
    ):
        run("up", "-t", str(topology), "--models", "scripted", "--detach")
    assert not home.taken


def test_up_with_an_unknown_model_set_starts_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        a_home(tmp_path / "home", monkeypatch) as home,
        pytest.raises(Misconfigured, match=r"no model set 'huge' \(there is scripted\)"),
    ):
        run("up", "-t", str(topology_file(tmp_path)), "--models", "huge", "--detach")
    assert not home.state.exists()


def test_requests_that_make_no_sense_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with a_home(tmp_path / "home", monkeypatch), pytest.raises(NotFound, match="no mesh runs in"):
        run("status")
    with pytest.raises(InvalidInput, match="there is no 'vad'"):
        run("scale", "vad", "2")
    monkeypatch.setenv("VOICEMESH_HOME", "/" + "x" * 100)
    with pytest.raises(Misconfigured, match="set VOICEMESH_HOME to a shorter path"):
        run("status")


def test_render_writes_files_that_envoy_accepts(tmp_path: Path) -> None:
    written = run("envoy", "render", "--out", str(tmp_path), "--check").splitlines()
    assert written[-1] == "4 configurations: Envoy accepts them"
    assert all(Path(line).is_file() for line in written[:-1])
    assert (tmp_path / "local" / "mesh-0" / "endpoints" / "orchestrator.json").is_file()


def test_render_prints_by_file() -> None:
    files = json.loads(run("envoy", "render"))
    assert "/etc/voicemesh/local/edge-1/envoy.json" in files


@pytest.mark.parametrize("command", ["up", "down", "status", "scale", "restart", "deploy", "envoy"])
def test_every_command_explains_itself(command: str) -> None:
    assert len(run(command, "--help").splitlines()) > 8


@pytest.mark.slow
def test_a_signal_during_the_start_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    services = {"gateway": {"command": [sys.executable, "-c", "import signal; signal.pause()"]}}
    topology = topology_file(tmp_path, regions=[{"name": "local", "services": services}])
    with a_home(tmp_path / "home", monkeypatch) as home:
        arguments = ["up", "-t", str(topology), "--models", "scripted", "--json"]
        starting = subprocess.Popen(
            [sys.executable, "-c", _COMMANDS, *arguments], cwd=Path(__file__).parents[2]
        )
        with starting:
            eventually(lambda: len(home.read_state().get("processes", [])) == 5)
            everything = [one["pid"] for one in home.read_state()["processes"] if one["pid"]]
            starting.send_signal(signal.SIGINT)
            assert starting.wait(WAIT_SECONDS) == 130
        assert everything
        assert not any(alive(pid) for pid in everything)
        assert not home.taken
