"""Has a process whose event loop is blocked look dead to its peers, who then go elsewhere.

gRPC answers pings from threads of its own, so whoever waits for a process whose loop is blocked
waits as long as it is. A thread here watches the loop, at no cost for a call: when it stands still,
what the process had accepted is cut, and cut again until the loop turns. Peers see what they see of
a crash, and this one is up again at once. Only where every stream can be resumed elsewhere.

A loop that is late because its thread got no processor is not blocked: to cut its streams would be
more work for a machine that has too much.

What blocks the interpreter as well (an extension that keeps its lock) stops this thread, too; then
the peers' own deadlines are left.
"""

from __future__ import annotations

import asyncio
import os
import socket
import stat
import threading
import time
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from voicemesh import telemetry

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

ROUND_SECONDS = 0.05
TURN_SECONDS = 0.04
"""So often the loop shows that it turns: at least once in each round."""
BLOCKED_ROUNDS = 6
"""Rounds in which the loop did not turn, after which it counts as blocked."""
SLOW_SECONDS = 0.1
"""A round that took longer says nothing of the loop: the whole process was late, or had stopped."""
STARVED_SHARE = 0.5
"""A round in which the loop's thread waited so much of it for a processor says nothing, either."""
REST_SECONDS = 1.5
"""So long after a block another one is sat out: who is overloaded is not helped by new streams."""

_OPEN_FILES = "/dev/fd"
_SCHEDULED = "/proc/self/task/{}/schedstat"
"""Nanoseconds on a processor and waiting for one; absent on some kernels."""

_log = telemetry.get_logger("watchdog")


class Rounds:
    """Says in each of its rounds whether the loop is blocked; `now` in seconds."""

    def __init__(self, now: float) -> None:
        self._turns = -1
        self._still = 0
        self._last = now
        self._waited = 0.0
        self._rest_until = now

    def pass_by(self, turns: int, now: float, waited: float = 0.0) -> bool:
        """Take note of how often the loop has turned; return whether it is blocked.

        `waited`: how long its thread has waited for a processor so far, seconds.
        """
        passed, self._last = now - self._last, now
        starved, self._waited = waited - self._waited, waited
        slow = passed > SLOW_SECONDS or starved > STARVED_SHARE * passed
        if turns != self._turns:
            if self._still >= BLOCKED_ROUNDS:
                self._rest_until = now + REST_SECONDS
            self._turns, self._still = turns, 0
        elif not slow:
            self._still += 1
        return self._still >= BLOCKED_ROUNDS and now >= self._rest_until


@asynccontextmanager
async def cut_while_blocked(port: int, may_cut: Callable[[], bool]) -> AsyncIterator[None]:
    """Watch this loop while the block runs; while it stands still, cut what `port` accepted.

    `may_cut`: whether whoever is cut off can go elsewhere. Asked by another thread.
    """
    watchdog = _Watchdog(port, may_cut)
    watchdog.turn(asyncio.get_running_loop())
    watchdog.start()
    try:
        yield
    finally:
        watchdog.stopped.set()


class _Watchdog(threading.Thread):
    def __init__(self, port: int, may_cut: Callable[[], bool]) -> None:
        super().__init__(name="watchdog", daemon=True)
        self.stopped = threading.Event()
        self._port = port
        self._may_cut = may_cut
        self._turns = 0
        self._loop_thread = threading.get_native_id()

    def turn(self, loop: asyncio.AbstractEventLoop) -> None:
        """Count a turn of the loop, and have the next one counted; no task, nothing to wait for."""
        self._turns += 1
        if not self.stopped.is_set():
            loop.call_later(TURN_SECONDS, self.turn, loop)

    def run(self) -> None:
        rounds = Rounds(time.monotonic())
        cut = 0
        while not self.stopped.wait(ROUND_SECONDS):
            if rounds.pass_by(self._turns, time.monotonic(), _waited(self._loop_thread)):
                cut += _cut(self._port) if self._may_cut() else 0
            elif cut:
                telemetry.LOOP_BLOCKED.inc()
                _log.error("the event loop was blocked", connections_cut=cut)
                cut = 0


def _waited(thread: int) -> float:
    with suppress(OSError, ValueError, IndexError):
        text = Path(_SCHEDULED.format(thread)).read_text(encoding="ascii")
        return int(text.split()[1]) / 1e9
    return 0.0


def _cut(port: int) -> int:
    """Shut every connection that was accepted on a port; return how many."""
    count = 0
    for accepted in _accepted(port):
        with accepted, suppress(OSError):
            accepted.shutdown(socket.SHUT_RDWR)
            count += 1
    return count


def _accepted(port: int) -> Iterator[socket.socket]:
    """Yield a second handle on each connection; those who own them know of nothing."""
    for name in os.listdir(_OPEN_FILES):
        with suppress(OSError):  # closed meanwhile, or listening
            descriptor = int(name)
            if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
                continue
            # Whatever this number stands for by now, the copy is looked at and not the number.
            copy = socket.socket(fileno=os.dup(descriptor))
            if copy.family in (socket.AF_INET, socket.AF_INET6) and _is_accepted(copy, port):
                yield copy
            else:
                copy.close()


def _is_accepted(one: socket.socket, port: int) -> bool:
    listening = one.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    return not listening and one.getsockname()[1] == port
