"""The playout clock: paces the bot's audio out in real time and knows what the caller has heard.

Bot offsets count media, not time: while there is nothing to play the clock stands still, and it
starts again when audio comes. Audio is handed out a little before it is due, so that a late tick
makes no frame late; what was handed out and is not due yet has not been heard, and is taken back
when playout pauses or a flush reaches it.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple, TypeAlias

import numpy as np

from voicemesh.audio import Chunk, Inbox
from voicemesh.errors import OutOfOrder, Refused

FRAME_SECONDS = 0.02
LEAD_SECONDS = 0.24
"""How far ahead of real time audio is handed out at most."""
REFILL_SECONDS = 0.08
"""The lead at or below which more is handed out: what comes in one piece costs one write."""
REST_SECONDS = 0.04
"""The lead at or below which it is taken for granted that nothing more is coming for now."""
LEAST_REFILL_SECONDS = 0.05
"""The same for a leg that takes little in advance; more than a tick of the floor's."""
MAX_BUFFERED_SECONDS = 120


@dataclass(frozen=True, slots=True)
class Play:
    """Send this to the caller: it belongs behind what was sent before; a gap is silence."""

    chunk: Chunk


@dataclass(frozen=True, slots=True)
class Clear:
    """Drop what was sent from this bot offset on and is not played yet."""

    offset: int


@dataclass(frozen=True, slots=True)
class Rest:
    """Nothing more is coming for now: hold nothing back."""


PlayoutCommand: TypeAlias = Play | Clear | Rest


class PlayoutState(Enum):
    """Whether the clock runs."""

    IDLE = "idle"
    """Nothing to play."""
    PLAYING = "playing"
    """Running."""
    PAUSED = "paused"
    """Held, until `resume` or `flush`."""


class _Handed(NamedTuple):
    """A run that was handed out: when its first sample is due, and which samples they are."""

    due: float
    offset: int
    samples: int


class Playout:
    """One call's playout; `now` is in seconds, offsets are bot offsets."""

    def __init__(self, rate: int, ahead: float = 0.0) -> None:
        """`ahead`: seconds by which more (or less) than LEAD_SECONDS is handed out in advance."""
        self.state = PlayoutState.IDLE
        self._rate = rate
        self._ahead = ahead
        self._lag = 0.0
        self._most_heard = 0
        self._frame = int(FRAME_SECONDS * rate)
        self._limit = MAX_BUFFERED_SECONDS * rate
        self._inbox = Inbox(rate, strict=False, field="bot.audio.offset")
        self._chunks: deque[Chunk] = deque()
        self._held = 0
        self._skips: list[tuple[int, int]] = []
        self._next = 0
        self._due = 0.0
        self._handed: deque[_Handed] = deque()
        self._rested = True
        self._held_back = False

    @property
    def idle(self) -> bool:
        """Whether everything handed out was heard and nothing waits."""
        return self.state is PlayoutState.IDLE

    def take_up(self, offset: int, arrived: int, now: float) -> None:
        """Begin behind what the caller heard before; it goes on hearing what has `arrived` there.

        That is not held here until it comes once more, but what lies behind it follows in time.
        """
        self._next = self._inbox.next_offset = self._most_heard = offset
        if arrived > offset:
            self._handed.append(_Handed(now, offset, arrived - offset))
            self._next, self._due = arrived, now + (arrived - offset) / self._rate
            self.state = PlayoutState.PLAYING

    def reach(self, seconds: float) -> None:
        """Hand out so much more in advance from now on, if that is more than it was."""
        self._ahead = max(self._ahead, seconds)

    @property
    def buffered(self) -> int:
        """Bot offset behind the last sample held, or behind what is never to be played."""
        return max(self._inbox.next_offset, self._most_heard)

    def heard(self, now: float) -> int:
        """Return the bot offset up to which the caller has heard; flushed ranges count."""
        # It never goes back, though the lag may grow while something is being heard.
        self._most_heard = max(self._most_heard, self._heard(now - self._lag))
        return self._most_heard

    def lag(self, seconds: float) -> None:
        """Take note that what is handed out is heard so much later than it is due."""
        self._lag = seconds

    def _heard(self, now: float) -> int:
        while self._handed:
            due, offset, count = self._handed[0]
            # The small term keeps an exact number of samples from being one less as a float.
            passed = int((now - due) * self._rate + 1e-3)
            if passed < count:
                return offset + max(passed, 0)
            self._handed.popleft()
        return self._next

    def add(self, chunk: Chunk, now: float) -> list[PlayoutCommand]:
        """Take audio; raise Refused where that is more than may wait."""
        if self._held + chunk.samples.size > self._limit:
            raise Refused(
                f"bot audio: at most {MAX_BUFFERED_SECONDS} s may wait to be played",
                reason="BOT_AUDIO_FULL",
                limit=self._limit,
            )
        _, fresh = self._inbox.accept(chunk)
        if not fresh.samples.size:
            return []
        self._chunks.append(fresh)
        self._held += fresh.samples.size
        return self.tick(now)

    def tick(self, now: float) -> list[PlayoutCommand]:
        """Hand out what will soon be due."""
        if self.state is PlayoutState.PAUSED or self._held_back:
            return []
        self._forget(self.heard(now))
        if self._handed and self._due - now > self._refill:
            return []
        commands = self._fill(now)
        if self._handed:
            self.state = PlayoutState.PLAYING
            if commands:
                self._rested = False
            elif not self._rested and self._due - now <= self._rest:
                self._rested = True
                commands.append(Rest())
        else:
            self.state = PlayoutState.IDLE
        return commands

    @property
    def due(self) -> float:
        """When `tick` is to be called, while it plays; earlier does no harm."""
        if self._chunks and self._chunks[-1].end > self._next:
            return self._due - self._refill
        return self._due + self._lag if self._rested else self._due - self._rest

    @property
    def _refill(self) -> float:
        """The lead at or below which more is handed out."""
        return max(REFILL_SECONDS + self._ahead, LEAST_REFILL_SECONDS)

    @property
    def _rest(self) -> float:
        return REST_SECONDS + max(self._ahead, 0.0)

    def hold(self) -> None:
        """Begin nothing until `release`; for a playout that does not run."""
        if self.state is PlayoutState.PLAYING:
            raise OutOfOrder("playout", "cannot be held while it runs")
        self._held_back = True

    def release(self, now: float) -> list[PlayoutCommand]:
        """Begin what was held; a pause stays one."""
        self._held_back = False
        return self.tick(now)

    def pause(self, now: float) -> list[PlayoutCommand]:
        """Stop at once; what was handed out and is not due yet will be played later."""
        if self.state is not PlayoutState.PLAYING:
            raise OutOfOrder("playout", f"cannot pause while {self.state.value}")
        commands = self._take_back(self.heard(now))
        self.state = PlayoutState.PAUSED
        return commands

    def resume(self, now: float) -> list[PlayoutCommand]:
        """Go on from where playout paused; nothing happens if it did not."""
        if self.state is not PlayoutState.PAUSED:
            return []
        self.state = PlayoutState.IDLE
        return self.tick(now)

    def flush(self, start: int, end: int, now: float) -> list[PlayoutCommand]:
        """Never play `start` to `end`, but go on behind it; this ends a pause."""
        if not 0 <= start <= end:
            raise OutOfOrder("flush", f"{start} to {end} is no range", start=start, end=end)
        commands: list[PlayoutCommand] = []
        # What was heard stays heard, and may lie in the range.
        start = max(start, self.heard(now))
        if start < end:
            self._cut(start, end)
            if start < self._next and self._handed:
                commands = self._take_back(start)
            self._pass_skips()
        return commands + (self.resume(now) or self.tick(now))

    def _cut(self, start: int, end: int) -> None:
        kept: deque[Chunk] = deque()
        for chunk in self._chunks:
            if chunk.offset < start:
                kept.append(Chunk(chunk.offset, chunk.samples[: start - chunk.offset]))
            if chunk.end > end:
                kept.append(chunk.since(end))
        self._chunks = kept
        self._held = sum(chunk.samples.size for chunk in kept)
        self._skips = sorted([*self._skips, (start, end)])
        self._inbox.next_offset = max(self._inbox.next_offset, end)

    def _take_back(self, offset: int) -> list[PlayoutCommand]:
        """Take back what was handed out from `offset` on."""
        while self._handed and self._handed[-1].offset >= offset:
            self._due = self._handed.pop().due
        if self._handed:
            due, first, count = self._handed.pop()
            count = min(count, offset - first)
            self._handed.append(_Handed(due, first, count))
            self._due = due + count / self._rate
        self._next = offset
        return [Clear(offset)]

    def _pass_skips(self) -> None:
        for start, end in self._skips:
            if start <= self._next < end:
                self._next = end

    def _forget(self, heard: int) -> None:
        while self._chunks and self._chunks[0].end <= heard:
            self._held -= self._chunks.popleft().samples.size
        while self._skips and self._skips[0][1] <= heard:
            self._skips.pop(0)

    def _fill(self, now: float) -> list[PlayoutCommand]:
        """Hand out whole frames up to the lead; what lies together goes out together."""
        if not self._handed or self._due < now:
            self._due = now
        parts: list[Chunk] = []
        room = round((now + LEAD_SECONDS + self._ahead - self._due) * self._rate)
        room -= room % self._frame
        while room > 0:
            count, sound = self._next_run(room)
            if not count:
                break
            if sound is not None:
                parts.append(sound)
            self._handed.append(_Handed(self._due, self._next, count))
            self._due += count / self._rate
            self._next += count
            self._pass_skips()
            room -= count
        return [Play(chunk) for chunk in _joined(parts)]

    def _next_run(self, room: int) -> tuple[int, Chunk | None]:
        """Return how many samples come next, at most `room`, and their sound (None: silence)."""
        begin = self._next
        end = begin + room
        for start, _ in self._skips:
            if start > begin:
                end = min(end, start)
                break
        chunk = next((chunk for chunk in self._chunks if chunk.end > begin), None)
        if chunk is None:
            return 0, None
        if chunk.offset > begin:
            return min(chunk.offset, end) - begin, None
        samples = chunk.samples[begin - chunk.offset : end - chunk.offset]
        return samples.size, Chunk(begin, samples)


def _joined(parts: list[Chunk]) -> list[Chunk]:
    """Join runs that follow each other without a gap."""
    runs: list[list[Chunk]] = []
    for part in parts:
        if runs and runs[-1][-1].end == part.offset:
            runs[-1].append(part)
        else:
            runs.append([part])
    return [
        run[0] if len(run) == 1 else Chunk(run[0].offset, np.concatenate([p.samples for p in run]))
        for run in runs
    ]
