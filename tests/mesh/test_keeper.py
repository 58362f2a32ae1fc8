"""One process is kept running: with every way it can end."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, strategies as st

from mesh.local import priority
from mesh.local.backoff import Backoff, Crashes
from mesh.local.keeper import Keeper, State
from mesh.local.process import Command, Process, alive, tail
from voicemesh.errors import Misconfigured

if TYPE_CHECKING:
    from pathlib import Path

QUICK = Backoff(first=0.001, longest=0.002, patience=3)
FOREVER = "import signal; print('up', flush=True); signal.pause()"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True)\n"
STUBBORN += "while True: signal.pause()"


async def run(command: Command) -> Process:
    return Process(command)


class Script:
    """A part that runs Python code, and serves as soon as it has said so."""

    name = "script"
    address = ""

    def __init__(self, log: Path, *codes: str) -> None:
        self.log = log
        self.history: list[str] = []
        self._codes = list(codes)

    def command(self) -> Command:
        code = self._codes.pop(0) if len(self._codes) > 1 else self._codes[0]
        self.log.write_bytes(b"")
        return Command((sys.executable, "-c", code), os.environ, self.log)

    async def serving(self) -> None:
        while True:
            if tail(self.log).endswith("up"):
                return
            await asyncio.sleep(0.005)

    async def enter(self) -> None:
        self.history.append("enter")

    def leave(self) -> None:
        self.history.append("leave")

    async def left(self) -> None:
        self.history.append("left")

    async def close(self) -> None:
        self.history.append("close")


class Watched:
    """A keeper, and every state it was in."""

    def __init__(self, part: Script, **more: float) -> None:
        self.states: list[State] = []
        self._ended = asyncio.Event()
        self.served = asyncio.Event()
        """Set, and made anew, each time it begins to serve."""
        self.keeper = Keeper(
            part,
            self._saw,
            run,
            start_seconds=more.get("start_seconds", 10),
            crashes=Crashes(QUICK),
        )

    async def given_up(self) -> None:
        await asyncio.wait_for(self._ended.wait(), 15)

    def _saw(self, _: str, state: State) -> None:
        self.states.append(state)
        if state is State.FAILED:
            self._ended.set()
        if state is State.SERVING:
            self.served.set()
            self.served = asyncio.Event()


async def test_it_is_used_while_it_serves_and_left_before_it_ends(tmp_path: Path) -> None:
    part = Script(tmp_path / "log", FOREVER)
    watched = Watched(part)
    await watched.keeper.serving()
    assert part.history == ["enter"]
    await watched.keeper.stop(10)
    assert part.history[:3] == ["enter", "leave", "left"]
    assert part.history[-1] == "close"
    assert watched.states == [State.SERVING, State.DRAINING, State.STOPPED]
    assert watched.keeper.process is not None
    assert not watched.keeper.process.running


async def test_one_that_ignores_sigterm_is_killed_at_the_deadline(tmp_path: Path) -> None:
    watched = Watched(Script(tmp_path / "log", STUBBORN))
    await watched.keeper.serving()
    await watched.keeper.stop(0.05)
    assert watched.keeper.problem in ("", "ended by signal 9")
    assert watched.keeper.process is not None
    assert watched.keeper.process.exit_code == -9


async def test_one_that_keeps_crashing_is_given_up(tmp_path: Path) -> None:
    crashing = "import os; print('up', flush=True); os.read(0, 1); os._exit(3)"
    watched = Watched(Script(tmp_path / "log", FOREVER, crashing))
    await watched.keeper.serving()
    assert watched.keeper.process is not None
    watched.keeper.process.kill()
    await watched.given_up()
    assert watched.keeper.restarts == QUICK.patience + 1
    assert watched.keeper.problem == "ended with exit code 3"
    assert watched.states.count(State.BACKOFF) == QUICK.patience
    await watched.keeper.stop(1)
    assert watched.keeper.state is State.FAILED


async def test_one_that_never_served_is_not_tried_again(tmp_path: Path) -> None:
    watched = Watched(Script(tmp_path / "log", "raise SystemExit('no model')"))
    with pytest.raises(
        Misconfigured, match=r"script ended with exit code 1; its log .* ends:\nno model"
    ):
        await watched.keeper.serving()
    assert watched.keeper.restarts == 0
    await watched.keeper.stop(1)


async def test_one_that_never_gets_ready_is_killed(tmp_path: Path) -> None:
    watched = Watched(Script(tmp_path / "log", "import signal; signal.pause()"), start_seconds=0.2)
    with pytest.raises(Misconfigured, match=r"did not serve within 0\.2 s"):
        await watched.keeper.serving()
    await watched.keeper.stop(1)


@pytest.mark.skipif(not priority.may_change(), reason="may not make a process faster again")
async def test_one_that_starts_behind_others_runs_beside_them_once_it_serves(
    tmp_path: Path,
) -> None:
    code = (
        "import os, signal, threading; threading.Thread(target=signal.pause, daemon=True).start()"
    )
    code += "; print(os.nice(0)); print('up', flush=True); signal.pause()"
    part = Script(tmp_path / "log", code)
    keeper = Keeper(part, lambda *_: None, run, start_seconds=10, gently=lambda: True)
    await keeper.serving()
    own = os.nice(0)
    assert tail(part.log).split() == [str(min(own + priority.BEHIND, 19)), "up"]
    assert keeper.process is not None
    threads = os.listdir(f"/proc/{keeper.process.pid}/task")
    assert len(threads) == 2
    assert {os.getpriority(os.PRIO_PROCESS, int(thread)) for thread in threads} == {own}
    await keeper.abort()


async def test_one_that_served_and_is_killed_is_started_again_however_often(tmp_path: Path) -> None:
    watched = Watched(Script(tmp_path / "log", FOREVER))
    await watched.keeper.serving()
    for _ in range(2 * QUICK.patience):
        process = watched.keeper.process
        assert process is not None
        served = watched.served
        process.kill()
        await asyncio.wait_for(served.wait(), 15)
    assert State.FAILED not in watched.states
    await watched.keeper.abort()


async def test_stopping_during_the_start_and_during_the_backoff(tmp_path: Path) -> None:
    starting = Watched(Script(tmp_path / "a", "import signal; signal.pause()"))
    await starting.keeper.stop(10)
    assert starting.keeper.state is State.STOPPED
    part = Script(tmp_path / "b", FOREVER)
    backing_off = Keeper(
        part, lambda *_: None, run, start_seconds=10, crashes=Crashes(Backoff(60, 60))
    )
    await backing_off.serving()
    assert backing_off.process is not None
    backing_off.process.kill()
    await backing_off.process.wait()
    await backing_off.stop(10)
    assert part.history[-1] == "close"


def test_the_last_words_of_an_envoy_are_not_addresses(tmp_path: Path) -> None:
    log = tmp_path / "log"
    reason = '{"level":"critical","logger":"assert","event":"assert failure: inotify_fd_ >= 0"}'
    trace = '{"level":"critical","logger":"backtrace","event":"#0: [0x7f1fff3d2050]"}'
    bug = '{"level":"error","logger":"envoy_bug","event":"#1 UNKNOWN [0x5641624b2215]"}'
    log.write_text("\n".join([reason, *[bug] * 20, *[trace] * 20]))
    assert tail(log) == reason


async def test_what_a_process_started_ends_with_it(tmp_path: Path) -> None:
    code = f"import subprocess, sys; c = subprocess.Popen([sys.executable, '-c', {FOREVER!r}]); "
    code += "print(c.pid, flush=True); c.wait()"
    log = tmp_path / "log"
    process = Process(Command((sys.executable, "-c", code), os.environ, log))
    async with asyncio.timeout(15):
        while True:
            if tail(log).endswith("up"):
                break
            await asyncio.sleep(0.005)
    child = int(tail(log).split()[0])
    process.kill()
    await process.wait()
    async with asyncio.timeout(15):
        while True:
            if not alive(child):
                return
            await asyncio.sleep(0.005)


def dumb_delay(crash: int) -> float | None:
    return None if crash > 10 else [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5, 5, 5, 5][crash - 1]


@given(st.lists(st.floats(0, 120), max_size=60))
def test_backoff_against_a_dumb_twin(served: list[float]) -> None:
    crashes, row = Crashes(), 0
    for count, seconds in enumerate(served, start=1):
        row = 1 if seconds >= 5 else row + 1
        delay, expected = crashes.crashed(seconds), dumb_delay(row)
        assert (delay is None) == (expected is None)
        if delay is not None:
            assert delay == pytest.approx(expected)
        assert crashes.total == count
