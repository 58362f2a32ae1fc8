"""A spoken call whose recogniser, brain and voice are killed at work: its words are the same."""

from __future__ import annotations

import asyncio
import signal
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from demo import story
from mesh.topology import Tuning
from tests.support.mesh import running_mesh
from voicemesh.audio import AudioFormat, Encoding
from voicemesh.client import AwaitReply, Call, Say, Speaker, perform, voiced
from voicemesh.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from mesh.local import LocalMesh
    from mesh.services import ServiceName
    from voicemesh.client import Step

pytestmark = [pytest.mark.slow, pytest.mark.models]

PHONE = AudioFormat(Encoding.MULAW, 8000)
TALK: tuple[tuple[str, ServiceName], ...] = (
    (story.QUESTION, "stt"),
    ("Is there parking at the practice?", "llm"),
    (story.LONG_QUESTION, "tts"),
)
"""What is said, and who is killed over it."""
BUSY_SECONDS = 30.0
PATIENT = Tuning(health_interval_ms=5000, health_timeout_ms=3000, keepalive_ms=1000)
"""So that who stands still for a moment is not given up before anything was asked of it."""

Words = list[tuple[str, str]]


async def test_the_words_of_both_are_those_of_the_undisturbed_call() -> None:
    # Without mTLS, since a process that stands still cannot shake hands, and so is never at work.
    meshes = running_mesh("embedded", tuning=PATIENT, mtls=False, stt=2, llm=2, tts=2)
    async with meshes as mesh:
        async with Speaker.at(mesh.mesh_target) as speaker:
            said = await voiced([Say(text) for text, _ in TALK], speaker, PHONE)
        undisturbed, _ = await held(mesh, said, disturbed=False)
        words, killed = await held(mesh, said, disturbed=True)
    assert [name.rpartition("-")[0] for name in killed] == [service for _, service in TALK]
    assert sum(who == "caller" for who, _ in undisturbed) == len(TALK)
    assert words == undisturbed


async def held(
    mesh: LocalMesh, said: Sequence[Step], *, disturbed: bool
) -> tuple[Words, list[str]]:
    """Hold the call; return the words of both sides in its record, and who was killed."""
    killed: list[str] = []
    async with Call.place(mesh.edge_target, bot=story.BOT, caller_format=PHONE) as call:
        await perform(call, [AwaitReply()])
        for line, (_, service) in zip(said, TALK, strict=True):
            if disturbed:
                async with asyncio.TaskGroup() as tasks:
                    killing = tasks.create_task(kill_at_work(mesh, service))
                    tasks.create_task(perform(call, [line, AwaitReply()]))
                killed.append(killing.result())
            else:
                await perform(call, [line, AwaitReply()])
        call.hang_up()
        ended = await call.wait_ended(20)
    return list(words_of(ended.journal)), killed


async def kill_at_work(mesh: LocalMesh, service: ServiceName) -> str:
    """Kill the replica that has a stream; return its name.

    A brain that takes a few milliseconds is never met at work, so all of them stand still until one
    was asked.
    """
    still = list(await mesh.busy(service)) if service == "llm" else []
    for name in still:
        mesh.signal(name, signal.SIGSTOP)
    try:
        async with asyncio.timeout(BUSY_SECONDS):
            victim = ""
            while not victim:
                busy = await mesh.busy(service)
                victim = next((name for name, count in busy.items() if count), "")
        mesh.signal(victim, signal.SIGKILL)
    finally:
        for name in still:
            with suppress(NotFound):  # the victim
                mesh.signal(name, signal.SIGCONT)
    return victim


def words_of(journal: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    """Return who said what, in order."""
    for entry in journal:
        if (said := entry.get("caller_said")) and said.get("turn"):
            yield "caller", said["text"]
        elif planned := entry.get("sentence_planned"):
            yield "bot", planned["text"]
