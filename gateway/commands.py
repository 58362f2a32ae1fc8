"""What a call wants done. The shells do it and know no reasons.

`Feed` and `Skip` go to voice activity, `Send` to the session, the others to the caller's leg.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from gateway.hearing import Feed, Skip
from gateway.playout import Clear, Play, Rest
from gateway.reports import PlayoutReport, Report
from voicemesh.audio import Chunk

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.events import WordsCame
    from voicemesh.api.journal.v1.turn_pb2 import TurnReport
    from voicemesh.errors import VoicemeshError
    from voicemesh.journal import Entry

__all__ = [
    "Answer",
    "Clear",
    "Command",
    "End",
    "Fail",
    "Feed",
    "GoAway",
    "LegCommand",
    "Play",
    "Release",
    "Remember",
    "Rest",
    "Send",
    "SendDigits",
    "Show",
    "Skip",
    "Tell",
    "Transfer",
]


@dataclass(frozen=True, slots=True)
class Send:
    """Tell the orchestrator."""

    message: Chunk | Report | PlayoutReport


@dataclass(frozen=True, slots=True)
class Answer:
    """The call stands: tell the caller."""


@dataclass(frozen=True, slots=True)
class Show:
    """Show the caller's side words."""

    words: WordsCame


@dataclass(frozen=True, slots=True)
class Tell:
    """Tell the caller's side where the time of a turn went."""

    report: TurnReport


@dataclass(frozen=True, slots=True)
class Transfer:
    """Have the caller's side hand the call over."""

    target: str


@dataclass(frozen=True, slots=True)
class SendDigits:
    """Have the caller's side send digits."""

    digits: str


@dataclass(frozen=True, slots=True)
class End:
    """The call is over: tell the caller, and let go of everything."""

    reason: str
    """As in the journal's CallEnded."""
    entries: Sequence[Entry]
    """The call's record."""
    seconds: float
    """How long it lasted."""


@dataclass(frozen=True, slots=True)
class Fail:
    """There is no call, or none any more: give the caller this status, let go of everything."""

    error: VoicemeshError


@dataclass(frozen=True, slots=True)
class Remember:
    """Have the caller keep this for the day on which this gateway dies."""

    segment: bytes
    """A part of the call's memory; empty where there is nothing new."""
    restarts: bool
    """Whether it replaces those before it."""
    caller_offset: int
    """What the caller sent before it, by its own count, is not needed any more."""
    digits: int
    """How many of the keys that the caller pressed are not needed any more."""


@dataclass(frozen=True, slots=True)
class GoAway:
    """Have the caller go on with another gateway."""

    seconds: float
    """How long this one will stay."""


@dataclass(frozen=True, slots=True)
class Release:
    """The caller holds the call now: let go of it, and say nothing more."""


LegCommand: TypeAlias = (
    Answer
    | Play
    | Clear
    | Rest
    | Show
    | Tell
    | Transfer
    | SendDigits
    | End
    | Fail
    | Remember
    | GoAway
    | Release
)
Command: TypeAlias = LegCommand | Send | Feed | Skip
