from __future__ import annotations

import asyncio
import socket
import threading
import time
from contextlib import ExitStack

from hypothesis import given, strategies as st

from voicemesh.watchdog import (
    BLOCKED_ROUNDS,
    REST_SECONDS,
    ROUND_SECONDS,
    SLOW_SECONDS,
    Rounds,
    cut_while_blocked,
)

LONG = 2 * BLOCKED_ROUNDS * ROUND_SECONDS


class Peer:
    """Both ends of a connection to a port of this process."""

    def __init__(self, stack: ExitStack) -> None:
        listening = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        self.port = listening.getsockname()[1]
        self.far = stack.enter_context(socket.create_connection(("127.0.0.1", self.port), 10))
        self.near = stack.enter_context(listening.accept()[0])

    def watch(self) -> tuple[threading.Thread, list[float]]:
        """Begin to note when the far end sees the connection end."""
        ended: list[float] = []
        began = time.monotonic()

        def read() -> None:
            if not self.far.recv(1):
                ended.append(time.monotonic() - began)

        reader = threading.Thread(target=read)
        reader.start()
        return reader, ended


async def test_a_process_whose_loop_is_blocked_looks_dead() -> None:
    with ExitStack() as stack:
        mine, other = Peer(stack), Peer(stack)
        async with cut_while_blocked(mine.port, lambda: True):
            reader, ended = mine.watch()
            # Which blocks this loop.
            reader.join(10)
            other.near.send(b"x")
            assert other.far.recv(1) == b"x"
    (after,) = ended
    assert after > BLOCKED_ROUNDS * ROUND_SECONDS / 2


async def test_it_leaves_a_loop_alone_that_turns() -> None:
    with ExitStack() as stack:
        peer = Peer(stack)
        async with cut_while_blocked(peer.port, lambda: True):
            turned = asyncio.Event()
            asyncio.get_running_loop().call_later(LONG, turned.set)
            await turned.wait()
            peer.near.send(b"x")
            assert peer.far.recv(1) == b"x"


async def test_it_cuts_nobody_off_who_could_not_go_elsewhere() -> None:
    asked = threading.Event()

    def may_cut() -> bool:
        asked.set()
        return False

    with ExitStack() as stack:
        peer = Peer(stack)
        async with cut_while_blocked(peer.port, may_cut):
            # Which blocks this loop.
            asked.wait(10)
        peer.near.send(b"x")
        assert peer.far.recv(1) == b"x"


def rounds(gaps: list[float], turning: list[bool]) -> list[bool]:
    """Return what each round says, `gaps` seconds after the one before."""
    watched, now, turns, told = Rounds(0.0), 0.0, 0, []
    for gap, turned in zip(gaps, turning, strict=True):
        now += gap
        turns += turned
        told.append(watched.pass_by(turns, now))
    return told


def test_it_is_cut_again_until_the_loop_turns() -> None:
    still = BLOCKED_ROUNDS + 5
    told = rounds([ROUND_SECONDS] * (still + 2), [True] + [False] * still + [True])
    assert told == [False] * BLOCKED_ROUNDS + [True] * 6 + [False]


def test_a_loop_without_a_processor_is_late_and_not_blocked() -> None:
    watched, now, waited = Rounds(0.0), 0.0, 0.0
    told = []
    for share in [0.8] * 5 * BLOCKED_ROUNDS + [0.2] * (BLOCKED_ROUNDS + 1):
        now, waited = now + ROUND_SECONDS, waited + share * ROUND_SECONDS
        told.append(watched.pass_by(1, now, waited))
    assert told == [False] * (6 * BLOCKED_ROUNDS - 1) + [True] * 2


def test_the_next_block_is_sat_out_if_it_comes_at_once() -> None:
    block = [True] + [False] * BLOCKED_ROUNDS
    rest = [True] * int(REST_SECONDS / ROUND_SECONDS + 1)
    told = rounds([ROUND_SECONDS] * (2 * len(block)), block * 2)
    assert [place for place, cut in enumerate(told) if cut] == [BLOCKED_ROUNDS]
    told = rounds([ROUND_SECONDS] * (2 * len(block) + len(rest)), [*block, *rest, *block])
    assert sum(told) == 2


@given(
    st.lists(st.tuples(st.floats(0.04, 1.0), st.booleans()), max_size=200),
)
def test_it_never_cuts_one_that_turned_lately_or_a_process_that_stopped(
    script: list[tuple[float, bool]],
) -> None:
    told = rounds([gap for gap, _ in script], [turned for _, turned in script])
    for place, cut in enumerate(told):
        if cut:
            window = script[: place + 1]
            since = max((i for i, (_, turned) in enumerate(window) if turned), default=0)
            timely = [gap for gap, _ in window[since + 1 :] if gap <= SLOW_SECONDS]
            assert len(timely) >= BLOCKED_ROUNDS
