"""Every process of a mesh is replaced while calls go on, and no caller hears of it."""

from __future__ import annotations

import asyncio
from itertools import count
from typing import TYPE_CHECKING

import numpy as np
import pytest

from mesh.local.process import alive
from tests.support.mesh import running_mesh
from voicemesh.audio import AudioFormat, Encoding, tonetext
from voicemesh.client import AwaitReply, Call, Play, perform

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mesh.local.renewal import Replaced

pytestmark = pytest.mark.slow

PHONE = AudioFormat(Encoding.MULAW, 8000)
CALLS = 3
DRAIN_SECONDS = 20.0
LONGEST_HOLE_SECONDS = 0.25
"""For a busy machine. Of the change itself nothing is heard, which is proved in virtual time by
tests/gateway/test_playout.py and measured by `voicemesh chaos --fault deploy`."""


class Caller:
    """Says one line after another and hears the answers, until told to hang up."""

    def __init__(self, name: str) -> None:
        self.call: Call
        self._name = name
        self._lines: list[str] = []

    async def talk(self, target: str, stands: asyncio.Event, enough: asyncio.Event) -> None:
        async with Call.place(target, bot="echo", caller_format=PHONE) as self.call:
            await perform(self.call, [AwaitReply()])
            for turn in count(1):
                line = f"{self._name} says line number {turn}"
                self._lines.append(line)
                sound = tonetext.encode(line, 8000)
                await perform(self.call, [Play(sound), AwaitReply(quiet_seconds=0.2)])
                stands.set()
                if enough.is_set():
                    break
            self.call.hang_up()
            await self.call.wait_ended(10)

    def check(self) -> None:
        """Everything was understood, answered and heard, once and in order."""
        call, said = self.call, self._lines
        answers = ["Hello, this is the echo."]
        for turn, line in enumerate(said, 1):
            answers += [f"You said: {line}.", f"That was turn {turn}."]
        assert call.ended is not None
        journal = call.ended.journal
        assert [e["caller_said"]["text"] for e in journal if "caller_said" in e] == said
        planned = [e["sentence_planned"]["text"] for e in journal if "sentence_planned" in e]
        assert planned == answers
        sound = [piece.samples for piece in call.playback.pieces if piece.samples is not None]
        assert tonetext.texts(np.concatenate(sound), 8000) == answers
        holes = [hole.seconds for hole in call.playback.holes]
        assert max(holes, default=0.0) < LONGEST_HOLE_SECONDS, holes


def assert_everything_was_replaced(done: Sequence[Replaced], before: set[int | None]) -> None:
    assert {one.old_pid for one in done} == before
    assert before.isdisjoint(one.pid for one in done)
    assert not any(pid and alive(pid) for pid in before)
    assert [one.streams_cut for one in done] == [0] * len(done)


async def test_a_deploy_is_not_heard() -> None:
    stands, enough = [asyncio.Event() for _ in range(CALLS)], asyncio.Event()
    callers = [Caller(name) for name in ("ada", "bob", "cy")]
    async with running_mesh(drain_seconds=DRAIN_SECONDS) as mesh, asyncio.TaskGroup() as calls:
        for caller, one in zip(callers, stands, strict=True):
            calls.create_task(caller.talk(mesh.edge_target, one, enough))
        for one in stands:
            await one.wait()
        before = {one.pid for one in (await mesh.status()).processes}
        done = await mesh.deploy()
        assert_everything_was_replaced(done, before)
        assert {one.pid for one in (await mesh.status()).processes} == {one.pid for one in done}
        enough.set()
    for caller in callers:
        caller.check()
        # Its gateway went, and then both edges, of which it was asked to leave each at most once.
        assert 1 <= len(caller.call.resumes) <= 8
