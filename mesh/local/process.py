"""One operating system process: started on a leash, watched without polling, always reaped."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_LEASH = Path(__file__).with_name("leash.py")
_LOG_BYTES = 16 * 1024 * 1024
_KILL_SECONDS = 5.0
_TAIL_BYTES = 65536
_TRACE = re.compile(r'"logger":"(backtrace|envoy_bug)"')


@dataclass(frozen=True)
class Command:
    """What to run."""

    arguments: Sequence[str]
    environment: Mapping[str, str]
    """The whole environment, not additions to ours."""
    log: Path
    """File that its output is appended to."""
    module: str = ""
    """What `python -m` would run, where that is all that the arguments say."""
    keep: tuple[int, ...] = ()
    """File descriptors that it inherits."""


class Process:
    """A running process. It leads its own group, so Ctrl-C in our terminal does not reach it."""

    def __init__(self, command: Command) -> None:
        popen = _spawn(command)
        self._watch(popen.pid, popen.wait)

    @classmethod
    def adopted(cls, pid: int) -> Process:
        """Watch a child of ours that another process began."""
        process = cls.__new__(cls)
        process._watch(pid, lambda: os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        return process

    def _watch(self, pid: int, reap: Callable[[], int]) -> None:
        self.pid = pid
        self.started = time.monotonic()
        self.exit_code: int | None = None
        """Exit status, negative for the signal that ended it; None while it runs."""
        self._wait = reap
        self._exited = asyncio.Event()
        self._pidfd = os.pidfd_open(pid)
        asyncio.get_running_loop().add_reader(self._pidfd, self._reap)

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        return not self._exited.is_set()

    async def wait(self) -> None:
        """Return when it has ended."""
        await self._exited.wait()

    def catches(self, number: signal.Signals) -> bool:
        """Whether it runs and has a handler of its own for a signal."""
        try:
            lines = Path(f"/proc/{self.pid}/status").read_text(encoding="ascii").splitlines()
        except (OSError, UnicodeDecodeError):
            return False
        masks = [line.split()[1] for line in lines if line.startswith("SigCgt:")]
        return self.running and any(int(mask, 16) >> (number - 1) & 1 for mask in masks)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to it alone; nothing happens when it has ended."""
        if self.running:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, number)

    def kill(self) -> None:
        """End it and whatever it started, now."""
        if self.running:
            with suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)

    async def stop(self, seconds: float) -> None:
        """SIGTERM, then SIGKILL when the time is over; returns when it is gone."""
        self.signal(signal.SIGTERM)
        self.signal(signal.SIGCONT)  # one that was stopped could not even drain
        try:
            await asyncio.wait_for(self.wait(), seconds)
        except TimeoutError:
            self.kill()
            await asyncio.wait_for(self.wait(), _KILL_SECONDS)
        finally:
            self.kill()  # the caller was cancelled

    def memory_mib(self) -> float:
        """Resident memory; 0 when it is gone."""
        try:
            pages = int(Path(f"/proc/{self.pid}/statm").read_text(encoding="ascii").split()[1])
        except (OSError, IndexError):
            return 0.0
        return pages * os.sysconf("SC_PAGE_SIZE") / 1024**2

    def _reap(self) -> None:
        self.exit_code = self._wait()
        asyncio.get_running_loop().remove_reader(self._pidfd)
        os.close(self._pidfd)
        with suppress(ProcessLookupError):  # what it started must not outlive it
            os.killpg(self.pid, signal.SIGKILL)
        self._exited.set()


def tail(log: Path, lines: int = 5) -> str:
    """Return the last lines of a log, without the addresses that Envoy writes when it aborts."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - _TAIL_BYTES))
            text = file.read().decode(errors="replace")
    except OSError:
        return ""
    told = [line for line in text.splitlines() if not _TRACE.search(line)]
    return "\n".join(told[-lines:])


def alive(pid: int) -> bool:
    """Whether a process of that id runs (zombies do not)."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return False
    return state.rpartition(")")[2].split()[0] != "Z"


def rotate(log: Path) -> None:
    """Begin a new log where one has become long."""
    log.parent.mkdir(parents=True, exist_ok=True)
    if log.exists() and log.stat().st_size > _LOG_BYTES:
        log.replace(log.with_suffix(".log.1"))


def _spawn(command: Command) -> subprocess.Popen[bytes]:
    rotate(command.log)
    leash = [sys.executable, "-I", "-S", str(_LEASH), str(os.getpid())]
    with command.log.open("ab") as log:
        return subprocess.Popen(  # noqa: S603 - the topology's owner chooses the command
            [*leash, *command.arguments],
            env=dict(command.environment),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            process_group=0,
            pass_fds=command.keep,
        )
