"""Finished calls as files, for whoever wants to keep them: one JSON object for each call."""

from __future__ import annotations

import asyncio
import json
import os
from typing import TYPE_CHECKING

from google.protobuf.json_format import MessageToDict

from gateway import metrics
from voicemesh import telemetry

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from gateway.commands import End

MAX_WAITING = 256
"""Records that wait to be written; more are counted as lost."""

_log = telemetry.get_logger("records")


class Records:
    """Writes records, one after the other, beside the event loop; without a folder, none."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._waiting: set[asyncio.Task[None]] = set()
        self._turn = asyncio.Lock()

    def save(self, call_id: str, end: End, about: Mapping[str, object] | None = None) -> None:
        """Have the record of a finished call written; ``about`` is what it begins with."""
        if self._folder is None:
            return
        if len(self._waiting) >= MAX_WAITING:
            metrics.RECORDS_LOST.inc()
            return
        task = asyncio.create_task(
            self._save(self._folder / f"{call_id}.json", call_id, end, about or {})
        )
        self._waiting.add(task)
        task.add_done_callback(self._waiting.discard)

    async def close(self) -> None:
        """Wait until every record is written."""
        await asyncio.gather(*self._waiting)

    async def _save(self, path: Path, call_id: str, end: End, about: Mapping[str, object]) -> None:
        async with self._turn:
            try:
                await asyncio.to_thread(_write, path, call_id, end, about)
            except OSError as error:
                metrics.RECORDS_LOST.inc()
                _log.error("a record was not written", call_id=call_id, problem=str(error))


def _write(path: Path, call_id: str, end: End, about: Mapping[str, object]) -> None:
    record = {
        "call_id": call_id,
        "reason": end.reason,
        "seconds": round(end.seconds, 3),
        **about,
        "journal": [
            MessageToDict(entry, preserving_proto_field_name=True) for entry in end.entries
        ],
    }
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.with_suffix(".part")
    # What callers say is nobody else's business.
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(record, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
