"""The run directory: one running mesh, its state, its sockets, its logs."""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path
from typing import Any

from mesh.envoy.files import replace
from mesh.envoy.model import Layout
from voicemesh.access import BOOK
from voicemesh.errors import Misconfigured

VARIABLE = "VOICEMESH_HOME"
_LONGEST = 80
"""Characters: the path of a Unix socket ends at 107, and ours add up to 27."""


class Home:
    """Paths inside a run directory, and the lock that makes one supervisor its owner."""

    def __init__(self, folder: Path | None = None) -> None:
        chosen = folder or Path(os.environ.get(VARIABLE) or ".voicemesh")
        self.folder = chosen.absolute()
        self._lock: int | None = None
        if len(str(self.folder)) > _LONGEST:
            raise Misconfigured(
                f"{self.folder}: longer than {_LONGEST} characters, too long for sockets in it: "
                f"set {VARIABLE} to a shorter path",
                field=VARIABLE,
            )

    def of(self, region: str) -> Home:
        """Return the run directory of one region of several; itself where none is named."""
        return Home(self.folder / region) if region else self

    @property
    def world(self) -> Path:
        """What gateways must know of regions and tenants."""
        return self.folder / "world.json"

    @property
    def records(self) -> Path:
        """Folder of the records of finished calls."""
        return self.folder / "records"

    @property
    def state(self) -> Path:
        """What runs: process ids, ports, addresses."""
        return self.folder / "state.json"

    @property
    def control(self) -> Path:
        """Socket of the supervisor, mode 0600."""
        return self.folder / "control.sock"

    @property
    def certificates(self) -> Path:
        """Folder of the certificates that are made here, and of their authority."""
        return self.folder / "certificates"

    @property
    def access(self) -> Path:
        """How clients on this machine get in; mode 0600."""
        return self.folder / BOOK

    def log(self, name: str) -> Path:
        """Return the log of one process."""
        return self.folder / "logs" / f"{name}.log"

    def layout(self, envoy: str) -> Layout:
        """Return the files of one Envoy, by its process's name."""
        return Layout(self.folder / "envoy" / envoy, self.log(f"{envoy}-access"))

    def take(self) -> None:
        """Become its owner; raise Misconfigured where another supervisor is."""
        self.folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(lock)
            raise Misconfigured(
                f"a mesh already runs in {self.folder}: stop it with `voicemesh down`, "
                f"or set {VARIABLE} to another folder",
                home=self.folder,
            ) from error
        self._lock = lock

    def leave(self) -> None:
        """Give up ownership."""
        if self._lock is not None:
            self.state.unlink(missing_ok=True)
            self.control.unlink(missing_ok=True)
            self.access.unlink(missing_ok=True)
            os.close(self._lock)
            self._lock = None

    @property
    def held(self) -> bool:
        """Whether we are its owner."""
        return self._lock is not None

    @property
    def taken(self) -> bool:
        """Whether a supervisor owns it."""
        try:
            lock = os.open(self.folder / "lock", os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
        finally:
            os.close(lock)
        return False

    def write_state(self, state: dict[str, Any]) -> None:
        """Replace state.json."""
        replace(self.state, json.dumps(state, indent=1) + "\n", mode=0o600)

    def read_state(self) -> dict[str, Any]:
        """Return state.json; empty where there is none."""
        try:
            state: dict[str, Any] = json.loads(self.state.read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return {}
        return state
