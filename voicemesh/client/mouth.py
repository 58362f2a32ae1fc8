"""What a caller says and when: queued speech, cut into frames; between them, silence."""

from __future__ import annotations

from array import array
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from voicemesh.audio import Chunk
from voicemesh.errors import InvalidInput

if TYPE_CHECKING:
    from voicemesh.audio import Samples

FRAME_SECONDS = 0.02
MAX_QUEUED_SECONDS = 600
LONGEST_GAP_SECONDS = 30
"""A gateway refuses a jump of over 60 s, so a caller who leaves silence out breaks it here."""
_STEP_SECONDS = 0.01
_AUDIBLE_SHARE = 0.02
"""Root mean square of the quietest 10 ms that count as speech, against the loudest ones."""


def speech_bounds(samples: Samples, rate: int) -> tuple[int, int]:
    """Return where speech begins and ends (exclusive), by loudness; (0, 0) if there is none."""
    step = int(_STEP_SECONDS * rate)
    padded = np.zeros(-(-samples.size // step) * step)
    padded[: samples.size] = samples
    loudness = np.sqrt(np.mean(padded.reshape(-1, step) ** 2, axis=1))
    audible = np.flatnonzero(loudness > _AUDIBLE_SHARE * loudness.max(initial=0))
    if not audible.size:
        return 0, 0
    return int(audible[0]) * step, min((int(audible[-1]) + 1) * step, samples.size)


@dataclass(frozen=True, slots=True, eq=False)
class Utterance:
    """Something that the caller says."""

    offset: int
    """Caller offset of its first sample."""
    samples: Samples
    """The sound."""
    speech_start: int
    """Caller offset of the first sample that is speech."""
    speech_end: int
    """Caller offset behind the last sample that is speech."""

    @property
    def end(self) -> int:
        """Caller offset behind its last sample."""
        return self.offset + self.samples.size


class Mouth:
    """Cuts queued speech into frames; one `frame()` for each 20 ms of the call.

    With `send_silence` every frame is sent, as a phone does. Without, silence leaves a gap in the
    offsets, which means the same.
    """

    def __init__(self, rate: int, *, send_silence: bool = True) -> None:
        self.rate = rate
        self.frame_size = int(FRAME_SECONDS * rate)
        self.next_offset = 0
        """Offset of the next frame."""
        self.utterances: list[Utterance] = []
        """Everything said or queued, in order."""
        self._send_silence = send_silence
        self._queue: deque[Utterance] = deque()
        self._queued_until = 0
        self._sent_until = 0

    @property
    def speaking(self) -> bool:
        """Whether speech is queued."""
        return bool(self._queue)

    def say(self, samples: Samples) -> Utterance:
        """Queue speech behind what is queued already; the next frame carries its beginning."""
        limit = MAX_QUEUED_SECONDS * self.rate
        start = max(self._queued_until, self.next_offset)
        if start + samples.size - self.next_offset > limit:
            raise InvalidInput(
                "samples",
                f"would make more than {MAX_QUEUED_SECONDS} s of speech wait",
                limit=MAX_QUEUED_SECONDS,
            )
        first, last = speech_bounds(samples, self.rate)
        utterance = Utterance(start, samples, start + first, start + last)
        self._queued_until = utterance.end
        self.utterances.append(utterance)
        self._queue.append(utterance)
        return utterance

    def show_place(self) -> None:
        """Have the next frame sent even if it is silence: it tells how far the call is."""
        self._sent_until = -MAX_QUEUED_SECONDS * self.rate

    def frame(self) -> Chunk | None:
        """Return the next frame, or None where it is silence that need not be sent."""
        offset, size = self.next_offset, self.frame_size
        self.next_offset += size
        samples = np.zeros(size, np.int16)
        spoken = bool(self._queue)
        while self._queue and self._queue[0].offset < self.next_offset:
            said = self._queue[0]
            self._mix(said, samples, offset)
            if said.end > self.next_offset:
                break
            self._queue.popleft()
        silent_seconds = (self.next_offset - self._sent_until) / self.rate
        if spoken or self._send_silence or silent_seconds > LONGEST_GAP_SECONDS:
            self._sent_until = self.next_offset
            return Chunk(offset, samples)
        return None

    def track(self) -> Samples:
        """Return everything said so far, at its place."""
        track = np.zeros(self.next_offset, np.int16)
        for said in self.utterances:
            self._mix(said, track, 0)
        return track

    @staticmethod
    def _mix(said: Utterance, target: Samples, offset: int) -> None:
        start, end = max(said.offset, offset), min(said.end, offset + target.size)
        if end > start:
            target[start - offset : end - offset] = said.samples[
                start - said.offset : end - said.offset
            ]


class CallerClock:
    """Knows when each of the caller's samples was sent."""

    def __init__(self, frame_size: int) -> None:
        self._frame_size = frame_size
        self._times = array("d")

    @property
    def began(self) -> float | None:
        """When the first frame was due; None before it."""
        return self._times[0] if self._times else None

    def tick(self, now: float) -> None:
        """Take note that the next frame was sent now (or was due, and was silence)."""
        self._times.append(now)

    def sent_at(self, offset: int) -> float | None:
        """Return when the last sample before `offset` was sent; None if it was not yet."""
        frame = max(offset - 1, 0) // self._frame_size
        return self._times[frame] if frame < len(self._times) else None
