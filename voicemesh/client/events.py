"""What a caller is told while a call goes on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

    from voicemesh.audio import AudioFormat, Samples
    from voicemesh.waterfall import Waterfall


@dataclass(frozen=True, slots=True)
class Started:
    """The call stands."""

    call_id: str
    """Identity of the call."""
    bot_format: AudioFormat
    """Form of the audio that the caller will hear."""
    replica: str
    """Replica of the gateway that holds the call."""
    region: str
    """Region of that replica."""


@dataclass(frozen=True, slots=True)
class Resumed:
    """Another gateway holds the call from now on, because the one before died or wanted to go."""

    replica: str
    """Replica of the gateway that holds the call."""
    region: str
    """Region of that replica."""
    arrived: float
    """When it answered, on the caller's clock, seconds."""


@dataclass(frozen=True, slots=True, eq=False)
class BotAudio:
    """The bot says something."""

    offset: int
    """Number of the first sample, in the bot's direction."""
    samples: Samples
    """The sound, at the rate of the bot's format."""
    arrived: float
    """When it arrived, on the caller's clock, seconds."""


@dataclass(frozen=True, slots=True)
class Cleared:
    """The bot was interrupted: what was not played yet from `offset` on will not be."""

    offset: int
    """First sample to drop, in the bot's direction."""
    arrived: float
    """When it arrived, on the caller's clock, seconds."""


@dataclass(frozen=True, slots=True)
class Transcript:
    """Words of the caller or the bot."""

    speaker: str
    """Who spoke: "caller" or "bot"."""
    text: str
    """The words so far of this utterance or sentence."""
    final: bool
    """Whether they will not change any more."""
    turn: int
    """Turn that they belong to."""
    start_offset: int
    """Offset of the first word, at the mesh's rate, in the speaker's direction."""
    arrived: float
    """When it arrived, on the caller's clock, seconds."""


@dataclass(frozen=True, slots=True)
class Turn:
    """Where the time of a turn went."""

    report: Waterfall
    """The stages, as the gateway measured them."""
    arrived: float
    """When it arrived, on the caller's clock, seconds."""


@dataclass(frozen=True, slots=True)
class Action:
    """Something was done to the call that the caller's side carries out or should know."""

    kind: str
    """What: "transfer" or "send_digits"."""
    argument: str
    """The transfer's target, or the digits."""
    arrived: float
    """When it arrived, on the caller's clock, seconds."""


@dataclass(frozen=True, slots=True)
class Ended:
    """The call is over."""

    reason: str
    """Why: "caller_hung_up", "bot_hung_up", "transferred" or "failed"."""
    seconds: float
    """How long the call lasted."""
    journal: tuple[Mapping[str, Any], ...] = field(default=(), repr=False)
    """The call's record, each entry as a JSON object."""


Event: TypeAlias = Started | Resumed | BotAudio | Cleared | Transcript | Turn | Action | Ended
