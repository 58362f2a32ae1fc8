"""Events on disk until a receiver has taken them: SQLite, written ahead, on a thread of its own."""

from __future__ import annotations

import asyncio
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from voicemesh.errors import Misconfigured

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

Result = TypeVar("Result")

_TABLE = """
CREATE TABLE IF NOT EXISTS events (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    event_id TEXT NOT NULL UNIQUE,
    call_id TEXT NOT NULL,
    written REAL NOT NULL,
    body TEXT NOT NULL
)
"""


@dataclass(frozen=True, slots=True)
class Stored:
    """An event that is to be delivered."""

    event_id: str
    call_id: str
    written: float
    """Unix seconds."""
    body: str
    number: int = 0


class Store:
    """The events of one gateway."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._thread = ThreadPoolExecutor(1, "webhooks")
        self._database: sqlite3.Connection

    async def open(self) -> list[tuple[int, str]]:
        """Open the file; return (number, call) of what a process before left in it, oldest first.

        Raise Misconfigured where it cannot be opened.
        """
        try:
            return await self._run(self._opened)
        except (OSError, sqlite3.Error) as error:
            raise Misconfigured(
                f"VOICEMESH_WEBHOOK_QUEUE: {self._path}: {error}", path=self._path
            ) from error

    async def add(self, events: Sequence[Stored]) -> list[int]:
        """Write events, all or none; return their numbers."""

        def write() -> list[int]:
            with self._database:
                return [
                    self._database.execute(
                        "INSERT INTO events (event_id, call_id, written, body) VALUES (?,?,?,?)",
                        (event.event_id, event.call_id, event.written, event.body),
                    ).lastrowid
                    or 0
                    for event in events
                ]

        return await self._run(write)

    async def get(self, number: int) -> Stored:
        """Return an event."""

        def read() -> Stored:
            row = self._database.execute(
                "SELECT event_id, call_id, written, body, number FROM events WHERE number = ?",
                (number,),
            ).fetchone()
            return Stored(*row)

        return await self._run(read)

    async def remove(self, number: int) -> None:
        """Forget an event."""

        def remove() -> None:
            with self._database:
                self._database.execute("DELETE FROM events WHERE number = ?", (number,))

        await self._run(remove)

    async def close(self) -> None:
        """Close the file."""
        await self._run(self._database.close)
        self._thread.shutdown()

    def _opened(self) -> list[tuple[int, str]]:
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._database = sqlite3.connect(self._path, check_same_thread=False)
        self._path.chmod(0o600)
        self._database.execute("PRAGMA journal_mode=WAL")
        self._database.execute("PRAGMA synchronous=FULL")
        self._database.execute(_TABLE)
        return list(self._database.execute("SELECT number, call_id FROM events ORDER BY number"))

    async def _run(self, work: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)
