"""Starts replicas from processes that have imported their service already.

A Python service takes half a second to a second of a processor to import, each time. One template
per service does it once; from then on a replica starts in some hundredths of a second, which counts
most where the last one has just died. Replicas run the code that their template imported: a deploy
begins with new ones (``renew``). Where a template fails, the command itself is run.
"""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import socket
import sys
from contextlib import suppress
from functools import cache
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from mesh.local import template
from mesh.local.process import Command, Process, rotate

if TYPE_CHECKING:
    from collections.abc import Mapping

_TEMPLATE = Path(template.__file__)
PATIENCE_SECONDS = 30.0
"""Until a template has imported its service on a very busy machine; then it is done without."""
_OURS = "VOICEMESH_"
_PR_SET_CHILD_SUBREAPER = 36


class Templates:
    """The templates of one supervisor; it begins none before one is needed."""

    def __init__(self) -> None:
        self._templates: dict[tuple[str, frozenset[tuple[str, str]]], _Template] = {}

    async def start(self, command: Command) -> Process:
        """Start a command, from a template where it names one."""
        if not command.module:
            return Process(command)
        rotate(command.log)
        pid = await self._template(command).become(command)
        return Process(command) if pid is None else Process.adopted(pid)

    async def renew(self) -> None:
        """Have every later start import its service anew; return when the old ones are gone."""
        old, self._templates = self._templates, {}
        for each in old.values():
            await each.end()

    def _template(self, command: Command) -> _Template:
        # Libraries may read their variables as they are imported; our own are read later.
        around = command.environment.items()
        key = command.module, frozenset(one for one in around if not one[0].startswith(_OURS))
        kept = self._templates.get(key)
        if kept is None or not kept.usable:
            log = command.log.with_name(f"template-{command.module}.log")
            kept = self._templates[key] = _Template(command.module, command.environment, log)
        return kept


class _Template:
    """One template process."""

    def __init__(self, module: str, environment: Mapping[str, str], log: Path) -> None:
        _adopt()
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket.setblocking(False)
        arguments = [sys.executable, "-P", str(_TEMPLATE)]
        arguments += [str(theirs.fileno()), module, str(os.getpid())]
        with theirs:
            command = Command(arguments, environment, log, keep=(theirs.fileno(),))
            self._process = Process(command)
        self._numbers = count()
        self._asked: dict[int, asyncio.Future[int | None]] = {}
        self.usable = True
        asyncio.get_running_loop().add_reader(self._socket, self._read)

    async def become(self, command: Command) -> int | None:
        """Return the id of a new process that runs a command, None where that cannot be."""
        number = next(self._numbers)
        request = {
            "number": number,
            "arguments": list(command.arguments),
            "environment": dict(command.environment),
            "log": str(command.log),
        }
        data = json.dumps(request).encode()
        if not self.usable or len(data) > template.MAX_BYTES:
            return None
        answer: asyncio.Future[int | None]
        answer = self._asked[number] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await asyncio.get_running_loop().sock_sendall(self._socket, data)
                return await answer
        except (TimeoutError, OSError):
            self.close()
            return None

    def close(self) -> None:
        """End it; the processes that it became live on."""
        if not self.usable:
            return
        self.usable = False
        with suppress(BlockingIOError):
            while self._take():
                pass
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()  # a process that is on its way cannot answer, and ends
        self._process.kill()
        for answer in self._asked.values():
            if not answer.done():
                answer.set_result(None)

    async def end(self) -> None:
        """Close it, and wait until it is gone."""
        self.close()
        await self._process.wait()

    def _read(self) -> None:
        with suppress(BlockingIOError):
            if not self._take():
                self.close()

    def _take(self) -> bool:
        """Take an answer; return False where the template is gone."""
        data = self._socket.recv(template.MAX_BYTES)
        if not data:
            return False
        told = json.loads(data)
        answer = self._asked.pop(told["number"])
        if told["pid"] and answer.done():  # whoever asked has gone
            Process.adopted(told["pid"]).kill()
        elif not answer.done():
            answer.set_result(told["pid"])
        return True


@cache
def _adopt() -> None:
    """Have the kernel make this process the parent of those whose own parent has ended."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)
