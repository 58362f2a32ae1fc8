"""What a gateway says by itself while no orchestrator is there, between what the bot says.

Such a line is in no journal and has no place in the bot's offsets. What a caller is sent is one
stream all the same, without a gap where a line was said: its offsets are the bot's, and as many
more as samples of lines were said before.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from gateway.playout import Clear, Play, Playout, PlayoutCommand
from voicemesh.audio import Chunk

if TYPE_CHECKING:
    from collections.abc import Iterable

    from voicemesh.audio import Samples


@dataclass(slots=True, eq=False)
class Lines:
    """What can be said for one bot at one rate; None until somebody has spoken it."""

    holding: Samples | None = None
    """That it takes a moment."""
    apology: Samples | None = None
    """That the bot cannot go on."""


class Holding:
    """Says one line at a time; `now` is in seconds."""

    def __init__(self, rate: int, ahead: float = 0.0) -> None:
        self.said = 0
        """Samples of lines that were heard so far."""
        self._rate = rate
        self._ahead = ahead
        self._begin = 0
        self._playout: Playout | None = None

    @property
    def sounding(self) -> bool:
        """Whether a line is being said."""
        return self._playout is not None

    def say(self, line: Samples, heard: int, now: float) -> list[PlayoutCommand]:
        """Say a line; the bot was heard up to `heard` and is silent until it is over."""
        self._begin = heard + self.said
        self._playout = Playout(self._rate, self._ahead)
        return _moved(self._playout.add(Chunk(0, line), now), self._begin)

    def tick(self, now: float) -> list[PlayoutCommand]:
        """Go on."""
        if self._playout is None:
            return []
        commands = _moved(self._playout.tick(now), self._begin)
        if self._playout.idle:
            self._end(now)
        return commands

    def stop(self, now: float) -> list[PlayoutCommand]:
        """Fall silent at once."""
        if self._playout is None:
            return []
        commands = [] if self._playout.idle else _moved(self._playout.pause(now), self._begin)
        self._end(now)
        return commands

    def place(self, commands: Iterable[PlayoutCommand]) -> list[PlayoutCommand]:
        """Return what is to be sent of the bot's, at its place in the caller's stream."""
        return _moved(commands, self.said)

    def _end(self, now: float) -> None:
        if self._playout is not None:
            self.said += self._playout.heard(now)
            self._playout = None


def _moved(commands: Iterable[PlayoutCommand], by: int) -> list[PlayoutCommand]:
    return [_move(command, by) for command in commands] if by else [*commands]


def _move(command: PlayoutCommand, by: int) -> PlayoutCommand:
    match command:
        case Play(chunk):
            return Play(replace(chunk, offset=chunk.offset + by))
        case Clear(offset):
            return Clear(offset + by)
    return command
