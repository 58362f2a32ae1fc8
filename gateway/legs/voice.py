"""What a carrier is told to play, in the pieces that it takes; no I/O, `now` in seconds.

A carrier keeps what it is sent and plays it in order. Its marks tell when a piece was reached; how
much later that is than our playout clock says is the lag of the whole way, there and back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gateway.playout import LEAD_SECONDS
from voicemesh.audio import Encoder, Encoding
from voicemesh.carriers.dialect import Clear, Command, Mark, Marks, Play

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from voicemesh.audio import AudioFormat, Chunk
    from voicemesh.carriers.dialect import Capabilities

MARK_SECONDS = 0.4
"""Audio between two marks."""
MOST_MARKS = 32
"""Marks that may be on their way; a carrier that returns none gets no more of them."""
MOST_LAG_SECONDS = 2.0
_SILENCE: Mapping[Encoding, bytes] = {
    Encoding.LINEAR16: b"\x00",
    Encoding.MULAW: b"\xff",
    Encoding.ALAW: b"\xd5",
}


class CarrierVoice:
    """The bot's direction of one call."""

    def __init__(self, fmt: AudioFormat, rate: int, capabilities: Capabilities) -> None:
        """`fmt` is what the carrier plays, `rate` that of the call."""
        self.until = 0.0
        """When what was sent would have been played, by our own clock."""
        self._format = fmt
        self._rate = rate
        self._can = capabilities
        self._frame = fmt.rate * capabilities.frame_ms // 1000 * fmt.bytes_per_sample
        self._encoder = Encoder(fmt, rate)
        self._next: int | None = None
        self._held = bytearray()
        self._pending: dict[str, float] = {}
        self._marks = 0
        self._unmarked = 0.0

    def play(self, chunk: Chunk, now: float) -> Iterator[Command]:
        """Yield what is to be sent of a chunk; a gap before it is silence if it took its time."""
        if self._next is not None and chunk.offset > self._next:
            self._hold(self._silence((chunk.offset - self._next) / self._rate, now))
        self._next = chunk.end
        self._hold(self._encoder.encode(chunk.samples))
        yield from self._send(now)
        if self._unmarked >= MARK_SECONDS:
            yield from self._mark()

    def rest(self, now: float) -> Iterator[Command]:
        """Yield all that is held back, since nothing more is coming for now."""
        self._hold(self._encoder.flush())
        if self._held:
            short = -len(self._held) % self._frame
            if self._can.whole_frames or len(self._held) < self._frame:
                self._hold(_SILENCE[self._format.encoding] * short)
            yield from self._send(now)
        if self._unmarked:
            yield from self._mark()

    def clear(self, now: float) -> Iterator[Command]:
        """Yield the clear; what comes next begins anew."""
        self._encoder, self._next = Encoder(self._format, self._rate), None
        self._held.clear()
        # Whatever comes back for these says nothing: the clear may have answered them.
        self._pending.clear()
        self._unmarked = 0.0
        if self._can.clears:
            self.until = min(self.until, now)
            yield Clear()

    def reached(self, name: str, now: float) -> float | None:
        """Return how late playback is, seconds; None if this mark does not tell."""
        expected = self._pending.pop(name, None)
        return None if expected is None else min(max(now - expected, 0.0), MOST_LAG_SECONDS)

    def _silence(self, gap: float, now: float) -> bytes:
        wait = self.until + gap - now
        if not 0 < wait <= LEAD_SECONDS + self._can.frame_ms / 1000:
            return b""  # never to be played, or over already
        return self._encoder.encode(np.zeros(int(min(gap, wait) * self._rate), np.int16))

    def _hold(self, data: bytes) -> None:
        self._held += data

    def _send(self, now: float) -> Iterator[Command]:
        size = len(self._held)
        whole = size - size % self._frame if self._can.whole_frames else size
        if whole < self._frame:
            return
        step = self._frame if self._can.whole_frames else whole
        for at in range(0, whole, step):
            yield Play(bytes(self._held[at : at + step]))
        del self._held[:whole]
        seconds = whole / self._format.bytes_per_sample / self._format.rate
        self.until = max(self.until, now) + seconds
        self._unmarked += seconds

    def _mark(self) -> Iterator[Command]:
        if self._can.marks is Marks.NONE or len(self._pending) >= MOST_MARKS:
            return
        self._marks += 1
        self._unmarked = 0.0
        name = f"m{self._marks}"
        self._pending[name] = self.until
        yield Mark(name)
