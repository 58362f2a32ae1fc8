"""What the gateway reports to the orchestrator besides audio.

Each report but `PlayoutReport` is kept until the orchestrator has committed it, and is replayed if
the session breaks. Its offset is the number of the last caller sample that the clock had passed; of
all these reports of a call no two have the same, and a later one has a higher one.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from voicemesh.audio import Chunk


class Wish(StrEnum):
    """What an application may ask of a live call."""

    SAY = "say"
    HANG_UP = "hang_up"
    TRANSFER = "transfer"
    HEAR = "hear"
    """From a leg of text: what the caller said."""
    HUSH = "hush"
    """From a leg of text: the caller spoke over the bot."""


@dataclass(frozen=True, slots=True)
class SpeechBegan:
    """The caller began to speak; the audio of it follows."""

    offset: int
    start_offset: int
    """Caller offset at which speech began."""


@dataclass(frozen=True, slots=True)
class SpeechOver:
    """The caller stopped speaking; all audio of it came before."""

    offset: int
    end_offset: int
    """Caller offset at which speech ended."""


@dataclass(frozen=True, slots=True)
class BargedIn:
    """The caller spoke while the bot did; playout stands still."""

    offset: int
    heard_offset: int
    """Bot offset up to which the caller heard the bot."""


@dataclass(frozen=True, slots=True)
class DigitPressed:
    """The caller pressed a key."""

    offset: int
    digit: str
    """One of 0-9, *, #, A-D."""


@dataclass(frozen=True, slots=True)
class Wished:
    """An application asks for something."""

    offset: int
    key: str
    """Identity: carried out once."""
    wish: Wish
    """What."""
    argument: str
    """The words to say or to be heard, or the transfer's target."""


@dataclass(frozen=True, slots=True)
class CallOver:
    """The call is over at the caller's side; nothing follows."""

    offset: int
    reason: str
    """As in the journal's CallEnded."""


@dataclass(frozen=True, slots=True)
class PlayoutReport:
    """What was played; only the newest matters, so it is never replayed."""

    offset: int
    """Caller offset before which everything was sent."""
    played_offset: int
    """Bot offset behind the last sample played."""
    buffered_offset: int
    """Bot offset behind the last sample held."""
    kept_sequence: int = 0
    """Number of the journal's next entry, if all before it are to be known as kept; 0: not said."""
    on_hold: bool = False
    """Whether neither side hears the other."""


def end_of(item: Chunk | Report) -> int:
    """Return the caller offset behind something that the caller said or did."""
    return item.end if isinstance(item, Chunk) else item.offset + 1


Report: TypeAlias = SpeechBegan | SpeechOver | BargedIn | DigitPressed | Wished | CallOver
