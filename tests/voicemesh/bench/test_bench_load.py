from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.fake_gateway import Bot, FakeGateway, Reply, running
from voicemesh.bench.caller import Manner
from voicemesh.bench.crew import assembled, jobs
from voicemesh.bench.mesh import LocalMesh, scripted_mesh
from voicemesh.bench.run import Load
from voicemesh.bench.tally import Tally
from voicemesh.bench.worker import Plan
from voicemesh.errors import Unavailable

ECHO = Bot(greeting=Reply("", "Hello.", 0.1), replies=[Reply("speech", "Yes.", 0.3)] * 50)
BRIEF = Manner(frames=15, silence=0.3, interrupting=0.0, quiet=0.1)


async def load(
    address: str, *, calls: int = 2, seconds: float = 2.0, procs: int = 1, bot: str = "echo"
) -> Tally:
    async with assembled(jobs(address, bot, calls, procs, BRIEF)) as crew:
        start = time.monotonic() + 0.1
        crew.begin(Plan(start, 0.1, start + 0.1, start + 0.1 + seconds))
        return await crew.tally(seconds)


def test_what_is_measured_when() -> None:
    load = Load(target="", calls=40, seconds=30, ramp=2.0, warm=4.0)
    plan = load.plan(100.0)
    assert plan.begin == plan.start + 2.0 + 4.0
    assert plan.end == plan.begin + 30
    whole = replace(load, from_start=True).plan(100.0)
    assert whole.begin == whole.start == plan.start
    assert whole.end == whole.start + 2.0 + 30


async def test_calls_are_held_and_measured() -> None:
    gateway = FakeGateway({"echo": ECHO})
    async with running(gateway) as address:
        tally = await load(address, procs=2)
    assert not tally.failures
    assert (tally.placed, len(tally.setups), len(gateway.starts)) == (2, 2, 2)
    assert len(tally.turns) >= 2
    assert 0.2 <= min(tally.turns) < 1.0
    assert len(tally.mesh) >= 2
    assert len(tally.lateness) >= 10
    assert 2.5 < tally.session_seconds <= 4.1
    assert len(tally.ticks) > 100
    assert len(gateway.digits) == 2  # both were hung up, not dropped


async def test_calls_that_end_are_followed_by_others() -> None:
    gateway = FakeGateway({"echo": ECHO})
    async with running(gateway) as address:
        (job,) = jobs(address, "echo", 2, 1, BRIEF)
        async with assembled([replace(job, call_seconds=0.5)]) as crew:
            start = time.monotonic() + 0.1
            crew.begin(Plan(start, 0.1, start, start + 4.0))
            tally = await crew.tally(4.0)
    assert not tally.failures
    assert tally.placed == len(tally.setups) == len(gateway.starts) > 4
    assert tally.session_seconds <= 8.1


async def test_a_refused_call_fails_with_the_gateways_reason() -> None:
    async with running(FakeGateway({})) as address:
        tally = await load(address, seconds=0.2)
    assert dict(tally.failures) == {"NOT_FOUND": 2}


async def test_a_call_that_breaks_off_fails() -> None:
    bot = Bot(greeting=None, replies=ECHO.replies, breaks_off_after=1)
    manner = Manner(15, 0.3, interrupting=0.0, quiet=0.1, greeting=0.1)
    async with (
        running(FakeGateway({"echo": bot})) as address,
        assembled(jobs(address, "echo", 1, 1, manner)) as crew,
    ):
        start = time.monotonic()
        crew.begin(Plan(start, 0.0, start, start + 60))
        tally = await crew.tally(60)
    assert dict(tally.failures) == {"NO_ORCHESTRATOR": 1}
    assert len(tally.turns) == 1


async def test_a_target_that_is_not_there_is_an_error() -> None:
    (job,) = jobs("127.0.0.1:1", "echo", 1, 1, BRIEF)
    with pytest.raises(Unavailable, match=r"127.0.0.1:1: no connection"):
        async with assembled([replace(job, connect_seconds=0.2)]):
            pass


async def voicemesh(*arguments: str, home: Path) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "voicemesh.cli",
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=os.environ | {"VOICEMESH_HOME": str(home), "COLUMNS": "120", "NO_COLOR": "1"},
    )
    out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


@pytest.mark.slow
async def test_the_command_tells_what_it_measured(tmp_path: Path) -> None:
    arguments = ("--calls", "2", "--seconds", "2", "--ramp", "0")
    async with running(FakeGateway({"echo": ECHO})) as address:
        code, out, _ = await voicemesh(
            "bench", *arguments, "--to", address, "--json", home=tmp_path
        )
        told: dict[str, Any] = json.loads(out)
        assert (code, told["failed"], told["bot"], told["calls"]) == (0, 0, "echo", 2)
        assert told["turn"]["count"] >= 1
        assert told["cpu_ms_per_session_second"] == {}
        assert told["not_in_total"]["load generator 0"] > 0
        assert "not on this machine" in told["notes"][0]


async def test_without_a_mesh_the_command_says_what_to_do(tmp_path: Path) -> None:
    code, _, err = await voicemesh("bench", home=tmp_path)
    assert code == 1
    assert "voicemesh up" in err


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return state.rpartition(")")[2].split()[0] != "Z"


async def failing_in_a_mesh(pids: list[int]) -> None:
    async with scripted_mesh() as mesh:
        members = await mesh.members()
        assert members is not None
        assert members.models == "scripted"
        assert {"edge-0", "mesh-0", "gateway-0"} <= {one.name for one in members.members}
        pids += [members.supervisor_pid, *(one.pid for one in members.members)]
        assert all(map(alive, pids))
        raise ZeroDivisionError


@pytest.mark.slow
async def test_a_mesh_of_its_own_is_stopped_on_failure() -> None:
    pids: list[int] = []
    with pytest.raises(ZeroDivisionError):
        await failing_in_a_mesh(pids)
    assert len(pids) >= 7
    assert not any(map(alive, pids))


async def test_where_no_mesh_runs_there_are_no_members(tmp_path: Path) -> None:
    assert await LocalMesh(tmp_path).members() is None
