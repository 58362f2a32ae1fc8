"""What happens to a call. Offsets count samples at the call's rate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from gateway.reports import Wish

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voicemesh.api.journal.v1.turn_pb2 import TurnReport
    from voicemesh.audio import Chunk, Samples
    from voicemesh.errors import VoicemeshError
    from voicemesh.journal import Entry


# From the caller's leg.


@dataclass(frozen=True, slots=True, eq=False)
class CallerSounded:
    """The caller sent audio; the offset is the leg's own, at the call's rate."""

    offset: int
    samples: Samples


@dataclass(frozen=True, slots=True)
class CallerPressed:
    """The caller pressed a key."""

    digit: str


@dataclass(frozen=True, slots=True)
class CallerLeft:
    """The caller is gone: hung up, or (`vanished`) cut off."""

    vanished: bool = False


@dataclass(frozen=True, slots=True)
class PlaybackLagged:
    """The caller hears the bot so much later than the playout clock says."""

    seconds: float


@dataclass(frozen=True, slots=True)
class CallerMoved:
    """The caller goes on with the call elsewhere."""


# From voice activity, from an application, and from the clock.


@dataclass(frozen=True, slots=True)
class WindowHeard:
    """Voice activity looked at a window."""

    end: int
    probability: float


@dataclass(frozen=True, slots=True)
class ApplicationWished:
    """An application asks for something, or a leg of text tells what the caller said."""

    key: str
    wish: Wish
    argument: str = ""


@dataclass(frozen=True, slots=True)
class MuteSet:
    """An application lets the bot hear nothing of the caller, or ends that."""

    muted: bool


@dataclass(frozen=True, slots=True)
class HoldSet:
    """Neither side is to hear the other, or that ends: for an application or the caller's phone."""

    on_hold: bool


@dataclass(frozen=True, slots=True, eq=False)
class SoundGiven:
    """An application has the caller hear a sound, when nobody speaks; at the call's rate."""

    samples: Samples


@dataclass(frozen=True, slots=True)
class DigitsGiven:
    """An application sends digits to the caller's side."""

    digits: str


@dataclass(frozen=True, slots=True)
class Ticked:
    """Time passed."""

    chunk_ms: int = 100
    """How much audio a message should carry where nobody waits for it; more under load."""


# From the orchestrator, by the session link.


@dataclass(frozen=True, slots=True)
class LinkReady:
    """A session stands; it wants to be told everything from this caller offset on."""

    wanted_offset: int


@dataclass(frozen=True, slots=True)
class LinkLost:
    """The session broke; another is being opened."""


@dataclass(frozen=True, slots=True)
class LinkFailed:
    """There will be no session any more."""

    error: VoicemeshError


@dataclass(frozen=True, slots=True)
class EntriesCame:
    """Journal entries to keep."""

    entries: Sequence[Entry]


@dataclass(frozen=True, slots=True, eq=False)
class BotSounded:
    """The bot's audio."""

    chunk: Chunk


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """The orchestrator has the caller up to one offset, and the journal up to another."""

    received: int
    committed: int


@dataclass(frozen=True, slots=True)
class FlushTold:
    """A range of the bot's audio is never to be played."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class PlayOnTold:
    """A barge-in was none."""


@dataclass(frozen=True, slots=True)
class WordsCame:
    """Words to be shown."""

    bot: bool
    text: str
    final: bool
    turn: int
    start_offset: int


@dataclass(frozen=True, slots=True)
class HangUpTold:
    """End the call once the bot was played up to an offset."""

    key: str
    after_offset: int


@dataclass(frozen=True, slots=True)
class TransferTold:
    """Hand the call over once the bot was played up to an offset."""

    key: str
    after_offset: int
    target: str


@dataclass(frozen=True, slots=True)
class DigitsTold:
    """Send digits once the bot was played up to an offset."""

    key: str
    after_offset: int
    digits: str


@dataclass(frozen=True, slots=True)
class TurnMeasured:
    """The orchestrator's part of a turn's waterfall."""

    report: TurnReport


@dataclass(frozen=True, slots=True)
class ByeSaid:
    """The session ended on purpose, because the call is over."""


ActionTold: TypeAlias = HangUpTold | TransferTold | DigitsTold
LegEvent: TypeAlias = (
    CallerSounded
    | CallerPressed
    | ApplicationWished
    | PlaybackLagged
    | HoldSet
    | CallerLeft
    | CallerMoved
)
LinkEvent: TypeAlias = (
    LinkReady
    | LinkLost
    | LinkFailed
    | EntriesCame
    | BotSounded
    | Acknowledged
    | FlushTold
    | PlayOnTold
    | WordsCame
    | ActionTold
    | TurnMeasured
    | ByeSaid
)
ApplicationEvent: TypeAlias = MuteSet | HoldSet | SoundGiven | DigitsGiven
Event: TypeAlias = LegEvent | WindowHeard | ApplicationEvent | Ticked | LinkEvent
