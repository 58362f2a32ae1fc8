"""Ports that stay ours between choosing them and the process's own bind.

A socket that is bound but does not listen keeps its port from everybody else, and lets a process
that sets SO_REUSEADDR (gRPC, Envoy and Python's servers do) listen on it.
"""

from __future__ import annotations

import errno
import os
import socket
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from voicemesh.errors import Misconfigured

if TYPE_CHECKING:
    from collections.abc import Iterator


class Port:
    """A reserved TCP port; ``close`` gives it back."""

    def __init__(self, host: str, number: int = 0, *, setting: str = "") -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._socket.bind((host, number))
        except OSError as error:
            self._socket.close()
            raise _unusable(host, number, setting, error) from error
        self.host = host
        self.number: int = self._socket.getsockname()[1]

    @property
    def address(self) -> str:
        """``host:port``."""
        return f"{self.host}:{self.number}"

    def close(self) -> None:
        """Give it back."""
        self._socket.close()


def _unusable(host: str, number: int, setting: str, error: OSError) -> Misconfigured:
    if error.errno != errno.EADDRINUSE:
        return Misconfigured(
            f"cannot use the address {host}:{number} ({error.strerror}): change {setting}",
            address=f"{host}:{number}",
            field=setting,
        )
    holder = _holder(number)
    return Misconfigured(
        f"port {number} is in use{f' by {holder}' if holder else ''}: stop that, "
        f"or change {setting} (0 takes any free port)",
        port=number,
        field=setting,
    )


def _holder(port: int) -> str:
    """Name the process that listens on a port, as far as we may know."""
    inodes = set(_listening(port))
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # gone meanwhile, or not ours to look at
            if any(_link(one) in inodes for one in (folder / "fd").iterdir()):
                name = (folder / "comm").read_text(encoding="utf-8").strip()
                return f"{name} (pid {folder.name})"
    return ""


def _link(descriptor: Path) -> str:
    try:
        return os.readlink(descriptor)
    except OSError:
        return ""


def _listening(port: int) -> Iterator[str]:
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            lines = Path(table).read_text(encoding="ascii").splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            if fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == port:
                yield f"socket:[{fields[9]}]"
