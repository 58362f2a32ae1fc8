"""Recordings: WAV files of both sides, caller left and bot right, written beside the event loop.

Both sides are placed by the time at which they were heard, so that they fit together. What came
within the last half second is kept back, because a bot that is interrupted takes back what was not
heard yet.
"""

from __future__ import annotations

import asyncio
import os
import wave
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from gateway import commands as do, metrics
from voicemesh import telemetry
from voicemesh.errors import OutOfOrder

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gateway.commands import LegCommand
    from voicemesh.audio import Samples
    from voicemesh.journal import Entry

KEPT_BACK_SECONDS = 0.5
WRITE_SECONDS = 1.0
"""So much is written at once."""
MAX_WAITING = 256
"""Pieces of all recordings together that may wait for the disk; more are left out."""

_log = telemetry.get_logger("recording")


class Track:
    """One side: samples by their place in the recording, without what was taken already."""

    def __init__(self) -> None:
        self.begin = 0
        """Place of the first sample that was not taken."""
        self._parts: list[Samples] = []
        self._held = 0

    @property
    def end(self) -> int:
        """Place behind the last sample."""
        return self.begin + self._held

    def put(self, place: int, samples: Samples) -> int:
        """Add samples at a place, or behind what is there already; return their place."""
        gap = place - self.end
        if gap > 0:
            self._parts.append(np.zeros(gap, np.int16))
            self._held += gap
        place = self.end
        self._parts.append(samples)
        self._held += samples.size
        return place

    def cut(self, place: int) -> None:
        """Forget what is at or behind a place."""
        if place < self.end:
            left = self._joined()[: max(0, place - self.begin)]
            self._parts, self._held = [left], left.size

    def take(self, place: int) -> Samples:
        """Return what is before a place, silence where nothing is, and forget it."""
        wanted = max(0, place - self.begin)
        have = self._joined()
        taken = np.zeros(wanted, np.int16)
        taken[: min(wanted, have.size)] = have[:wanted]
        self._parts = [have[wanted:]]
        self._held = self._parts[0].size
        self.begin += wanted
        return taken

    def _joined(self) -> Samples:
        return np.concatenate([np.empty(0, np.int16), *self._parts])


class Recorder:
    """Records one call: a tap."""

    def __init__(self, rate: int, began: float, write: Callable[[bytes | None], None]) -> None:
        """``write`` takes what comes next, 16-bit stereo, and None at the end."""
        self.running = True
        self._rate = rate
        self._began = began
        self._write = write
        self._caller = Track()
        self._bot = Track()
        self._written_at = began
        self._run = (0, 0)

    def heard(self, samples: Samples, now: float) -> None:
        if self.running:
            # What came just now was said before now.
            self._caller.put(self._place(now) - samples.size, samples)

    def gave(self, command: LegCommand, now: float) -> None:
        match command:
            case _ if not self.running:
                pass
            case do.Play(chunk):
                place = self._bot.put(self._place(now), chunk.samples)
                self._run = (chunk.offset, place)
            case do.Clear(offset):
                first, place = self._run
                self._bot.cut(max(place + offset - first, self._place(now)))
            case do.End() | do.Fail() | do.Release():
                self.stop(now)

    def wrote(self, entries: Sequence[Entry], now: float) -> None:
        """Do nothing: words are not recorded."""

    def ticked(self, now: float) -> None:
        if self.running and now - self._written_at >= WRITE_SECONDS:
            self._flush(now, self._place(now - KEPT_BACK_SECONDS))

    def over(self, now: float) -> None:
        self.stop(now)

    def stop(self, now: float) -> None:
        """End the recording."""
        if self.running:
            self._flush(now, self._place(now))
            self.running = False
            self._write(None)

    def _flush(self, now: float, place: int) -> None:
        self._written_at = now
        sides = [self._caller.take(place), self._bot.take(place)]
        if sides[0].size:
            self._write(np.stack(sides, axis=1).astype("<i2").tobytes())

    def _place(self, now: float) -> int:
        return max(0, round((now - self._began) * self._rate))


class Recordings:
    """The recordings of a process; one thread writes them all."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._thread = ThreadPoolExecutor(1, "recordings")
        self._waiting = 0
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(
        self, call_id: str, rate: int, now: float, done: Callable[[Path, float, bool], None]
    ) -> Recorder:
        """Begin to record; raise OutOfOrder where there is no folder for it.

        ``done`` gets the file, its seconds, and whether something is missing.
        """
        if self._folder is None:
            raise OutOfOrder("recording", "this gateway has no folder for recordings")
        self._loop = asyncio.get_running_loop()
        file = _File(self._folder, call_id, rate)

        def write(data: bytes | None) -> None:
            if data is not None and self._waiting >= MAX_WAITING:
                metrics.RECORDING_PIECES_LOST.inc()
                file.incomplete = True
                return
            self._waiting += 1
            self._thread.submit(self._write, file, data, done)

        return Recorder(rate, now, write)

    async def close(self) -> None:
        """Wait until everything is written."""
        await asyncio.to_thread(self._thread.shutdown)

    def _write(
        self, file: _File, data: bytes | None, done: Callable[[Path, float, bool], None]
    ) -> None:
        try:
            file.write(data)
        except OSError as error:
            file.incomplete = True
            metrics.RECORDING_PIECES_LOST.inc()
            _log.error("a recording was not written", path=str(file.path), problem=str(error))
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._written, file, data is None, done)

    def _written(
        self, file: _File, complete: bool, done: Callable[[Path, float, bool], None]
    ) -> None:
        self._waiting -= 1
        if complete:
            done(file.path, file.seconds, file.incomplete)


class _File:
    """One recording on disk; its name says `.part` until it is complete."""

    def __init__(self, folder: Path, call_id: str, rate: int) -> None:
        self.incomplete = False
        self.seconds = 0.0
        self.path = folder / f"{call_id}.wav"
        self._rate = rate
        self._raw: BinaryIO
        self._wave: wave.Wave_write | None = None

    def write(self, data: bytes | None) -> None:
        if self._wave is None:
            self._wave = self._opened()
        if data is not None:
            self._wave.writeframes(data)
            self.seconds += len(data) / 4 / self._rate
            return
        self._wave.close()
        self._raw.close()
        self._draft.replace(self.path)

    @property
    def _draft(self) -> Path:
        return self.path.with_suffix(".part")

    def _opened(self) -> wave.Wave_write:
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        stem, number = self.path.stem, 1
        while self.path.exists() or self._draft.exists():
            number += 1
            self.path = self.path.with_name(f"{stem}-{number}.wav")
        # What callers say is nobody else's business.
        descriptor = os.open(self._draft, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        self._raw = os.fdopen(descriptor, "wb")
        opened = wave.open(self._raw, "wb")  # noqa: SIM115 - closed at the end of the recording
        opened.setnchannels(2)
        opened.setsampwidth(2)
        opened.setframerate(self._rate)
        return opened
