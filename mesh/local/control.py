"""The supervisor's control socket: one JSON request a line, one JSON answer a line."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeAlias

from mesh.topology import service_name
from voicemesh.errors import InvalidInput, NotFound, Unavailable, VoicemeshError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from pathlib import Path

    from mesh.local.home import Home
    from mesh.local.supervisor import LocalMesh

_LINE_BYTES = 1024 * 1024


Operations: TypeAlias = "Mapping[str, Callable[[dict[str, Any]], Awaitable[Any]]]"


class Control:
    """Server side: answers requests by their ``do``."""

    def __init__(self, path: Path, operations: Operations) -> None:
        self._path = path
        self._operations = operations
        self._server: asyncio.Server | None = None
        self._talks: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Listen; only our own user may connect."""
        path = self._path
        path.unlink(missing_ok=True)
        listening = socket.socket(socket.AF_UNIX)
        before = os.umask(0o177)
        try:
            listening.bind(str(path))
        finally:
            os.umask(before)
        self._server = await asyncio.start_unix_server(
            self._accept, sock=listening, limit=_LINE_BYTES
        )

    async def close(self) -> None:
        """Stop listening and end every conversation."""
        if self._server is None:
            return
        self._server.close()
        for talk in self._talks:
            talk.cancel()
        await asyncio.gather(*self._talks, return_exceptions=True)
        await self._server.wait_closed()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task:
            self._talks.add(task)
            task.add_done_callback(self._talks.discard)
        try:
            while line := await reader.readline():
                answer = await self._answer(line)
                writer.write(json.dumps(answer).encode() + b"\n")
                await writer.drain()
        except (ConnectionError, ValueError, asyncio.CancelledError):
            pass  # they left, sent no line within the limit, or the mesh ends
        finally:
            writer.close()

    async def _answer(self, line: bytes) -> dict[str, Any]:
        try:
            request = json.loads(line)
            operation = self._operations.get(request.get("do", ""))
            if operation is None:
                raise InvalidInput("do", f"use one of {', '.join(self._operations)}")
            return {"result": await operation(request)}
        except VoicemeshError as error:
            return _refusal(error)
        except (ValueError, KeyError, AttributeError, TypeError) as error:
            return _refusal(InvalidInput("request", f"not understood: {error!r}"))


class RegionControl:
    """What a region can be asked to do."""

    def __init__(self, mesh: LocalMesh) -> None:
        self._mesh = mesh
        self.operations: Operations = {
            "status": self._status,
            "scale": self._scale,
            "restart": self._restart,
            "plan": self._plan,
            "replace": self._replace,
            "deploy": self._deploy,
            "kill": self._kill,
            "cut": self._cut,
            "mend": self._mend,
            "reset": self._reset,
            "stats": self._stats,
            "stop": self._stop,
        }

    async def _status(self, _: dict[str, Any]) -> object:
        return (await self._mesh.status()).model_dump()

    async def _scale(self, request: dict[str, Any]) -> object:
        service = service_name(request["service"])
        wait = bool(request.get("wait", False))
        return await self._mesh.scale(service, int(request["replicas"]), wait=wait)

    async def _restart(self, request: dict[str, Any]) -> object:
        return await self._mesh.restart(request["process"])

    async def _plan(self, request: dict[str, Any]) -> object:
        return self._mesh.renewal.plan(request.get("services", ()))

    async def _replace(self, request: dict[str, Any]) -> object:
        return (await self._mesh.renewal.restart(request["process"])).model_dump()

    async def _deploy(self, request: dict[str, Any]) -> object:
        done = await self._mesh.deploy(request.get("services", ()))
        return [one.model_dump() for one in done]

    async def _kill(self, request: dict[str, Any]) -> object:
        """Hurt a process on purpose, to see the mesh survive it."""
        name = request.get("signal", "SIGKILL")
        try:
            number = signal.Signals[name]
        except KeyError as error:
            raise InvalidInput("signal", f"there is no {name!r}; SIGKILL or SIGSTOP") from error
        return self._mesh.signal(request["process"], number)

    async def _cut(self, request: dict[str, Any]) -> object:
        """Swallow what a process is sent, for some seconds or until it is mended."""
        name, seconds = request["process"], request.get("seconds")
        self._mesh.cut(name)
        if seconds is not None:
            try:
                await asyncio.sleep(float(seconds))
            finally:
                with suppress(NotFound):  # gone meanwhile
                    self._mesh.mend(name)
        return None

    async def _mend(self, request: dict[str, Any]) -> object:
        self._mesh.mend(request["process"])
        return None

    async def _reset(self, request: dict[str, Any]) -> object:
        self._mesh.reset(request["process"])
        return None

    async def _stats(self, request: dict[str, Any]) -> object:
        return await self._mesh.envoy_stats(request["door"])

    async def _stop(self, request: dict[str, Any]) -> object:
        if request.get("now"):
            await self._mesh.abort()
        self._mesh.stop_requested.set()
        return None


def _refusal(error: VoicemeshError) -> dict[str, Any]:
    return {
        "error": {"message": error.message, "reason": error.reason, "details": error.details},
    }


def ask(home: Home, within: float = 60.0, /, **request: object) -> Any:  # noqa: ANN401 - JSON
    """Ask the supervisor of a run directory; raise what it raised.

    Raises NotFound where no mesh runs there.
    """
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(within)
        try:
            connection.connect(str(home.control))
        except (FileNotFoundError, ConnectionRefusedError) as error:
            raise NotFound(
                f"no mesh runs in {home.folder}: start one with `voicemesh up`", home=home.folder
            ) from error
        connection.sendall(json.dumps(request).encode() + b"\n")
        return _result(_line(connection))


def _line(connection: socket.socket) -> bytes:
    try:
        with connection.makefile("rb") as answers:
            return answers.readline()
    except TimeoutError as error:
        raise Unavailable("the mesh's supervisor does not answer") from error
    except ConnectionError:
        return b""


def _result(line: bytes) -> Any:  # noqa: ANN401 - JSON
    if not line:
        raise Unavailable("the mesh ended before it answered")
    answer = json.loads(line)
    if "error" in answer:
        error = answer["error"]
        raise VoicemeshError(error["message"], reason=error["reason"], **error["details"])
    return answer["result"]
