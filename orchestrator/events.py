"""What happens to a conversation. Offsets are samples of the session's rate, times seconds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class AudioArrived:
    """The caller's audio (LINEAR16), in order, silence left out."""

    offset: int
    data: bytes

    @property
    def end_offset(self) -> int:
        """Behind its last sample."""
        return self.offset + len(self.data) // 2

    def since(self, offset: int) -> AudioArrived:
        """Return what of it lies at or behind ``offset``; its data may be empty."""
        known = max(0, offset - self.offset)
        return AudioArrived(self.offset + known, self.data[2 * known :]) if known else self


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """The caller began to speak at ``start_offset``; it was noticed at ``offset``."""

    offset: int
    start_offset: int


@dataclass(frozen=True, slots=True)
class SpeechEnded:
    """The caller stopped speaking at ``end_offset``; it was noticed at ``offset``."""

    offset: int
    end_offset: int


@dataclass(frozen=True, slots=True)
class PlayoutReported:
    """The gateway played the bot up to ``played_offset`` and holds up to ``buffered_offset``."""

    offset: int
    played_offset: int
    buffered_offset: int
    kept_sequence: int = 0
    """The gateway has every entry of the journal before this one; 0: it does not say."""
    on_hold: bool = False
    """Whether neither side hears the other for now."""


@dataclass(frozen=True, slots=True)
class BargedIn:
    """The caller spoke over the bot; playout is paused at ``heard_offset``."""

    offset: int
    heard_offset: int


@dataclass(frozen=True, slots=True)
class DigitPressed:
    """The caller pressed a key."""

    offset: int
    digit: str


@dataclass(frozen=True, slots=True)
class Commanded:
    """An application asks for something: ``kind`` is say, hang_up or transfer.

    From a leg of text: hear (what the caller said) or hush (what was heard of the bot until then).
    """

    offset: int
    key: str
    kind: str
    argument: str


@dataclass(frozen=True, slots=True)
class CallerGone:
    """The call is over at the caller's side."""

    offset: int
    reason: str


@dataclass(frozen=True, slots=True)
class DrainAsked:
    """This replica wants to go within ``seconds``."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Recognised:
    """Words of an utterance up to ``end_offset``; ``final`` answers a conclude."""

    utterance: int
    attempt: int
    text: str
    final: bool
    end_offset: int
    engine_seconds: float


@dataclass(frozen=True, slots=True)
class RecognitionFailed:
    """The recogniser of an utterance is gone."""

    utterance: int
    attempt: int
    problem: str
    lasting: bool = False
    """Whether trying the same engine again cannot help."""


@dataclass(frozen=True, slots=True)
class TextArrived:
    """Further words of the brain."""

    thought: int
    text: str
    engine_seconds: float
    """How long the engine worked for the first of them; 0 for later ones."""


@dataclass(frozen=True, slots=True)
class ToolRequested:
    """The brain wants a tool called."""

    thought: int
    name: str
    arguments_json: str
    engine_seconds: float = 0.0
    """How long the engine worked, if this is the first that came of it."""


@dataclass(frozen=True, slots=True)
class ThoughtFinished:
    """The brain has said all; with tool calls it is asked again once they are answered."""

    thought: int


@dataclass(frozen=True, slots=True)
class ThoughtFailed:
    """The brain is gone, or had nothing to say."""

    thought: int
    problem: str
    lasting: bool = False
    """Whether trying the same engine again cannot help."""


@dataclass(frozen=True, slots=True)
class SentenceSounding:
    """A sentence's audio begins."""

    speech: int
    sentence: int
    engine_seconds: float


@dataclass(frozen=True, slots=True)
class SoundArrived:
    """Audio (LINEAR16) of the sentence that is sounding."""

    speech: int
    data: bytes


@dataclass(frozen=True, slots=True)
class SentenceSounded:
    """A sentence's audio is complete."""

    speech: int
    sentence: int


@dataclass(frozen=True, slots=True)
class SpeechFailed:
    """The voice is gone."""

    speech: int
    problem: str
    lasting: bool = False
    """Whether trying the same engine again cannot help."""


@dataclass(frozen=True, slots=True)
class ToolReturned:
    """A tool answered, or failed with ``error``."""

    key: str
    result_json: str
    error: str


@dataclass(frozen=True, slots=True)
class Served:
    """A replica answered a stream. No conversation hears of it: it is for the record."""

    service: str
    region: str
    replica: str


Event: TypeAlias = (
    AudioArrived
    | SpeechStarted
    | SpeechEnded
    | PlayoutReported
    | BargedIn
    | DigitPressed
    | Commanded
    | CallerGone
    | DrainAsked
    | Recognised
    | RecognitionFailed
    | TextArrived
    | ToolRequested
    | ThoughtFinished
    | ThoughtFailed
    | SentenceSounding
    | SoundArrived
    | SentenceSounded
    | SpeechFailed
    | ToolReturned
)
