"""One caller: when it speaks, and what it measures. No I/O; time is an argument.

    GREETING --quiet--> PAUSING --due--> SPEAKING --last frame--> WAITING --answer--> LISTENING
                           ^                 ^                                            |
                           |                 '------------- interrupts the bot -----------+
                           '-------------------------- the bot is quiet ------------------'

A caller says its clip, is silent at least as long as it spoke, and speaks again once the bot has
been quiet for a moment. So load is half speech, half silence, whatever the bot's latency.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING

from voicemesh.bench.ear import Ear

if TYPE_CHECKING:
    from voicemesh.bench.tally import Tally

SILENT = -1
"""Instead of a frame's number: the caller says nothing."""
_GOLDEN = 0.618034
"""Multiples of it, less their whole part, are spread evenly however many there are."""


class Phase(Enum):
    """What a caller is doing."""

    CALLING = auto()
    """The call is not answered yet."""
    GREETING = auto()
    """It lets the bot say hello."""
    PAUSING = auto()
    """Nobody speaks."""
    SPEAKING = auto()
    """It says the clip."""
    WAITING = auto()
    """The bot owes an answer."""
    LISTENING = auto()
    """The bot answers."""
    OVER = auto()
    """The call has ended, well or not."""


@dataclass(frozen=True, slots=True)
class Manner:
    """How callers behave; the same for all of them. Times are seconds."""

    frames: int
    """Frames in what each says."""
    silence: float
    """How long it is silent, at least, after it spoke."""
    interrupting: float = 0.2
    """Share of the answers that are interrupted, 0 to 1."""
    interrupt_after: float = 0.6
    """How long the bot has been speaking by then."""
    quiet: float = 0.5
    """A bot that says nothing for so long is done."""
    greeting: float = 2.0
    """How long a bot may take to begin its greeting; then it has none."""
    patience: float = 10.0
    """A call without an answer for so long has failed."""


class Caller:
    """One call's side of the load."""

    __slots__ = (
        "_answered_at",
        "_due",
        "_interrupting",
        "_manner",
        "_number",
        "_onset",
        "_placed_at",
        "_position",
        "_spoken_at",
        "_tally",
        "_turn",
        "ear",
        "failure",
        "phase",
    )

    def __init__(self, number: int, manner: Manner, tally: Tally, rate: int) -> None:
        self.phase = Phase.CALLING
        self.failure = ""
        """What went wrong, if anything did."""
        self.ear = Ear(rate)
        self._number = number
        self._manner = manner
        self._tally = tally
        self._turn = 0
        self._position = 0
        self._due = 0.0
        """End of the silence that the caller owes, or when it speaks into the bot's answer."""
        self._placed_at = self._spoken_at = self._answered_at = 0.0
        self._onset: float | None = None
        """When an interruption began that the bot has not heeded yet."""
        self._interrupting = False

    def place(self, now: float) -> None:
        """Take note that the call is being placed."""
        self._placed_at = now

    def started(self, now: float) -> None:
        """Take note that the gateway has answered."""
        if self.phase is Phase.CALLING:
            self.phase = Phase.GREETING
            self._tally.set_up(now - self._placed_at)
            self._spoken_at = now

    def frame(self, now: float) -> int:
        """Return the number of the clip's frame to send now, or SILENT."""
        step = _STEPS.get(self.phase)
        if step is not None:
            step(self, now)
        if self.phase is not Phase.SPEAKING:
            return SILENT
        position = self._position
        self._position += 1
        if self._position == self._manner.frames:
            self.phase = Phase.WAITING
            self._spoken_at = now
        return position

    def heard(self, offset: int, count: int, now: float) -> None:
        """Hear bot audio."""
        late = self.ear.arrive(offset, count, now)
        if late is None:
            return
        self._tally.frame(late, now)
        if self.ear.new_stretch and self.phase is Phase.WAITING:
            self._answered_at = now
            self._tally.turn(now - self._spoken_at, self._spoken_at)
            self.phase = Phase.LISTENING
            self._turn += 1
            self._interrupting = self._is_interrupting()
        elif self.ear.new_stretch and self.phase is Phase.SPEAKING:
            self._tally.early(now)

    def cleared(self, offset: int, now: float) -> None:
        """Take note that the bot was cut off."""
        self.ear.clear(offset, now)
        if self._onset is not None:
            self._tally.interruption(now - self._onset, self._onset)
            self._onset = None

    def fail(self, why: str) -> None:
        """End a call that has gone wrong; only the first reason counts."""
        if self.phase is not Phase.OVER:
            self.phase = Phase.OVER
            self.failure = why
            self._tally.failed(why)

    def may_end(self) -> bool:
        """Return whether nothing that is being measured would be cut off by hanging up."""
        return self.phase is not Phase.WAITING and self.phase is not Phase.CALLING

    def hang_up(self) -> None:
        """End a call that went well."""
        self.phase = Phase.OVER

    def _is_interrupting(self) -> bool:
        """Spread interruptions over calls and turns; the same ones in every run."""
        share = self._manner.interrupting
        place = self._number * _GOLDEN + self._turn * share
        return place % 1.0 < share

    def _speak(self, now: float) -> None:
        if self._onset is not None:
            self._tally.unheeded(self._onset)
        self._onset = now if now < self.ear.audible_until else None
        self._position = 0
        self.phase = Phase.SPEAKING

    def _in_greeting(self, now: float) -> None:
        done = self.ear.audible_until or self._spoken_at + self._manner.greeting
        if now >= done + self._manner.quiet:
            self.phase = Phase.PAUSING
            # Callers who all speak at once would measure a crowd that no telephone network has.
            self._due = now + self._number * _GOLDEN % 1.0 * self._manner.silence

    def _in_pause(self, now: float) -> None:
        if now >= self._due:
            self._speak(now)

    def _in_waiting(self, now: float) -> None:
        if now - self._spoken_at >= self._manner.patience:
            self.fail("NO_ANSWER")

    def _in_answer(self, now: float) -> None:
        manner, audible_until = self._manner, self.ear.audible_until
        if self._interrupting and now >= self._answered_at + manner.interrupt_after:
            self._interrupting = False
            if now < audible_until:
                self._speak(now)
                return
        if now >= audible_until + manner.quiet:
            self.phase = Phase.PAUSING
            self._due = self._spoken_at + manner.silence

    def _in_calling(self, now: float) -> None:
        if self._placed_at and now - self._placed_at >= self._manner.patience:
            self.fail("NOT_STARTED")


_STEPS = {
    Phase.CALLING: Caller._in_calling,
    Phase.GREETING: Caller._in_greeting,
    Phase.PAUSING: Caller._in_pause,
    Phase.WAITING: Caller._in_waiting,
    Phase.LISTENING: Caller._in_answer,
}
