from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import suppress

import httpx

from voicemesh.chaos.aim import NAME, Aim
from voicemesh.chaos.gaps import Struck
from voicemesh.chaos.mesh import Member
from voicemesh.chaos.tools import NoteService

ASKER = """
import httpx, sys
for key in "abcdefgh":  # the answer to one may come before its kill
    head = {"Idempotency-Key": key}
    httpx.post(sys.argv[1], json={"text": key}, headers=head, trust_env=False)
"""


async def test_who_calls_a_tool_is_killed_and_nobody_else() -> None:
    with NoteService(delay_seconds=0) as service:
        members: list[Member] = []
        struck: list[Struck] = []
        service.kill_whoever_calls(Aim(1, lambda: members, struck))
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", ASKER, service.url, stdout=asyncio.subprocess.PIPE
        )
        try:
            members += [
                Member("orchestrator-0", process.pid, "serving"),
                Member("orchestrator-1", os.getpid(), "serving"),
                Member("orchestrator-2", os.getpid(), "serving"),
            ]
            assert await asyncio.wait_for(process.wait(), 20) == -signal.SIGKILL
        finally:
            with suppress(ProcessLookupError):
                process.kill()
    assert [(one.name, one.process) for one in struck] == [(NAME, "orchestrator-0")]


async def test_who_would_leave_fewer_than_two_is_spared() -> None:
    with NoteService(delay_seconds=0) as service:
        names = ("orchestrator-0", "orchestrator-1")
        members = [Member(name, os.getpid(), "serving") for name in names]
        struck: list[Struck] = []
        service.kill_whoever_calls(Aim(1, lambda: members, struck))
        async with httpx.AsyncClient(base_url=service.url, trust_env=False) as client:
            assert (await client.post("/note", json={"text": "note"})).is_success
    assert not struck
