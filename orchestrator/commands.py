"""What a conversation wants done, in order. The shell does it and knows no reasons."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from orchestrator.prompt import Prompt
    from voicemesh.api.journal.v1.turn_pb2 import TurnReport
    from voicemesh.bots import LanguageChoice, RecognitionChoice, SynthesisChoice
    from voicemesh.journal import Entry


@dataclass(frozen=True, slots=True)
class Write:
    """Have the gateway keep an entry."""

    entry: Entry


@dataclass(frozen=True, slots=True)
class SendAudio:
    """Send the bot's audio (LINEAR16)."""

    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Flush:
    """Have this range of the bot's audio never played."""

    start_offset: int
    end_offset: int


@dataclass(frozen=True, slots=True)
class PlayOn:
    """End a pause: the barge-in was none."""


@dataclass(frozen=True, slots=True)
class Show:
    """Show words."""

    bot: bool
    text: str
    final: bool
    turn: int
    start_offset: int


@dataclass(frozen=True, slots=True)
class Act:
    """Have the gateway do something, once, when ``after_offset`` was played."""

    key: str
    kind: str
    argument: str
    after_offset: int


@dataclass(frozen=True, slots=True)
class Report:
    """Tell where the time of a turn went."""

    report: TurnReport


@dataclass(frozen=True, slots=True)
class Ack:
    """Say what of the caller has arrived and what may be forgotten."""

    received_offset: int
    committed_offset: int


@dataclass(frozen=True, slots=True)
class GoAway:
    """Ask the gateway to open elsewhere within ``seconds``."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Leave:
    """The call is over: say goodbye to the gateway."""


@dataclass(frozen=True, slots=True)
class Listen:
    """Open a recogniser for an utterance."""

    utterance: int
    attempt: int
    choice: RecognitionChoice


@dataclass(frozen=True, slots=True)
class Hear:
    """Give a recogniser audio."""

    utterance: int
    attempt: int
    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Conclude:
    """Ask a recogniser for a final transcript of what it has heard."""

    utterance: int
    attempt: int


@dataclass(frozen=True, slots=True)
class StopListening:
    """Let a recogniser go."""

    utterance: int
    attempt: int


@dataclass(frozen=True, slots=True)
class Think:
    """Ask the brain."""

    thought: int
    prompt: Prompt
    choice: LanguageChoice


@dataclass(frozen=True, slots=True)
class StopThinking:
    """Let the brain go that is at this thought."""

    thought: int


@dataclass(frozen=True, slots=True)
class Speak:
    """Open a voice."""

    speech: int
    choice: SynthesisChoice


@dataclass(frozen=True, slots=True)
class Say:
    """Give a voice a sentence, or what is left to be said of it."""

    speech: int
    sentence: int
    text: str


@dataclass(frozen=True, slots=True)
class FinishSpeaking:
    """Tell a voice that no sentence follows."""

    speech: int


@dataclass(frozen=True, slots=True)
class StopSpeaking:
    """Let a voice go."""

    speech: int


@dataclass(frozen=True, slots=True)
class CallTool:
    """Call a tool of the bot's file."""

    key: str
    name: str
    arguments_json: str
    secret: str = field(default="", repr=False)
    """Newest secret input of the keypad; empty if there was none, or it is not known any more."""


@dataclass(frozen=True, slots=True)
class CancelTool:
    """Give the call of a tool up: what it answers is of no use any more."""

    key: str


@dataclass(frozen=True, slots=True)
class Blame:
    """Note that an engine failed: ``sense`` is stt, llm or tts."""

    sense: str
    engine: str
    problem: str


class Outcome(enum.Enum):
    """What became of one attempt of an engine."""

    WORKED = "worked"
    """It had a first result."""
    LOST = "lost"
    """Another one was first."""
    EMPTY = "empty"
    """It found nothing where there should have been something."""
    FAILED = "failed"
    MISSED = "missed"
    """It was silent past its deadline."""
    HEDGED = "hedged"
    """It was started beside one that is slow."""


@dataclass(frozen=True, slots=True)
class Note:
    """Count an attempt of an engine."""

    sense: str
    engine: str
    outcome: Outcome
    seconds: float | None
    """From the need to its first result, where it had one."""
    broken: bool
    """Whether its circuit is open now."""


Command: TypeAlias = (
    Write
    | SendAudio
    | Flush
    | PlayOn
    | Show
    | Act
    | Report
    | Ack
    | GoAway
    | Leave
    | Listen
    | Hear
    | Conclude
    | StopListening
    | Think
    | StopThinking
    | Speak
    | Say
    | FinishSpeaking
    | StopSpeaking
    | CallTool
    | CancelTool
    | Blame
    | Note
)
