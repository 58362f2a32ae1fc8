"""The caller's side of a conversation: utterances, their words, and when they are over."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from orchestrator.commands import Conclude, Hear, Listen, Show, StopListening
from orchestrator.endpointing import PATIENCE, completeness
from orchestrator.waterfall import Waterfall
from voicemesh.api.journal.v1 import turn_pb2
from voicemesh.errors import OutOfOrder

if TYPE_CHECKING:
    from orchestrator.events import AudioArrived, Recognised, SpeechEnded, SpeechStarted
    from orchestrator.ledger import Ledger
    from voicemesh.bots import Bot, RecognitionChoice

ENDPOINT = "endpoint"
TRANSCRIPT = "transcript"

MAX_UTTERANCE_SECONDS = 28
"""A recogniser takes 30 s; whoever speaks longer is cut into turns."""
PRE_ROLL_SECONDS = 0.5
"""Audio before the start of speech that the gateway may send; never more."""


class Phase(enum.Enum):
    """What the caller is doing."""

    QUIET = "quiet"
    SPEAKING = "speaking"
    PAUSED = "paused"


# (phase, what happens) -> phase. Anything else is against the contract.
TRANSITIONS: dict[tuple[Phase, str], Phase] = {
    (Phase.QUIET, "started"): Phase.SPEAKING,
    # Audio without a start: the rest of an utterance that was too long, or cut by a resume.
    (Phase.QUIET, "audio"): Phase.SPEAKING,
    # The end of an utterance that is in the journal already.
    (Phase.QUIET, "ended"): Phase.QUIET,
    (Phase.SPEAKING, "audio"): Phase.SPEAKING,
    (Phase.SPEAKING, "ended"): Phase.PAUSED,
    (Phase.SPEAKING, "over"): Phase.QUIET,
    (Phase.PAUSED, "started"): Phase.SPEAKING,
    (Phase.PAUSED, "over"): Phase.QUIET,
}


@dataclass(slots=True)
class Utterance:
    """What the caller is saying; kept whole until it is in the journal."""

    number: int
    first_offset: int
    """Nothing from here on may be acknowledged as committed yet."""
    start_offset: int
    end_offset: int = 0
    next_offset: int = 0
    """Behind everything that belongs to it, its last event included."""
    chunks: list[tuple[int, bytes]] = field(default_factory=list)
    samples: int = 0
    text: str = ""
    text_offset: int = 0
    """Behind the audio that the text takes into account."""
    attempt: int = 0
    final: bool = False
    """Whether the text is final for everything heard."""
    endpointed: bool = False
    """Whether the silence was long enough."""
    engine_seconds: float = 0.0
    waterfall: Waterfall | None = None

    @property
    def audio_offset(self) -> int:
        """Behind the last audio that arrived."""
        if not self.chunks:
            return 0
        offset, data = self.chunks[-1]
        return offset + len(data) // 2


class Hearing:
    """Follows utterances and has them recognised; ``over`` holds one that is complete."""

    def __init__(self, ledger: Ledger, bot: Bot, rate: int) -> None:
        self._ledger = ledger
        self._choices = bot.engines.stt
        self._patience = PATIENCE[bot.patience]
        self._rate = rate
        self.phase = Phase.QUIET
        self.utterance: Utterance | None = None
        self._count = 0
        self._carried: list[tuple[int, bytes]] = []

    @property
    def active(self) -> bool:
        """Whether an utterance is under way."""
        return self.utterance is not None

    def safe_offset(self, offset: int) -> int:
        """Return how far the caller is reflected when all before ``offset`` was dealt with."""
        return min(offset, self.utterance.first_offset) if self.utterance else offset

    def speech_started(self, event: SpeechStarted) -> None:
        """Begin an utterance, or go on with the one that had paused."""
        self._move("started")
        self._ledger.clear_deadline(ENDPOINT, TRANSCRIPT)
        utterance = self.utterance or self._begin(event.start_offset)
        utterance.next_offset = event.offset + 1
        utterance.final = utterance.endpointed = False

    def audio_arrived(self, event: AudioArrived) -> None:
        """Keep audio and pass it on."""
        self._move("audio")
        utterance = self.utterance or self._begin(event.offset)
        utterance.first_offset = min(utterance.first_offset, event.offset)
        utterance.chunks.append((event.offset, event.data))
        utterance.samples += len(event.data) // 2
        utterance.final = False
        self._ledger.emit(Hear(event.offset, event.data))
        if utterance.samples >= MAX_UTTERANCE_SECONDS * self._rate:
            self._cut(utterance)

    def speech_ended(self, event: SpeechEnded) -> None:
        """Ask for the words, and wait whether the caller goes on."""
        self._move("ended")
        utterance = self.utterance
        if utterance is None:
            return
        utterance.end_offset, utterance.next_offset = event.end_offset, event.offset + 1
        self._pause(utterance)
        self._set_endpoint(utterance, (event.offset - event.end_offset) / self._rate)

    def _pause(self, utterance: Utterance) -> None:
        self.phase = Phase.PAUSED
        utterance.waterfall = Waterfall(self._ledger.now, utterance.end_offset)
        self._ledger.emit(Conclude())
        self._ledger.set_deadline(TRANSCRIPT, self.choice(utterance).deadline_seconds)

    def recognised(self, event: Recognised) -> None:
        """Take words in."""
        utterance = self._current(event.utterance, event.attempt)
        # A final that was asked for before the caller went on is only a partial by now.
        if utterance is None:
            return
        utterance.text, utterance.text_offset = event.text, event.end_offset
        self._show(utterance, final=False)
        if self.phase is not Phase.PAUSED:
            return
        if event.final and event.end_offset >= utterance.audio_offset:
            utterance.final = True
            utterance.engine_seconds = event.engine_seconds
            self._ledger.clear_deadline(TRANSCRIPT)
        if not utterance.endpointed and utterance.waterfall:
            heard_silence = utterance.next_offset - utterance.end_offset
            waited = self._ledger.now - utterance.waterfall.reported
            self._set_endpoint(utterance, heard_silence / self._rate + waited)

    def failed(self, number: int, attempt: int) -> bool:
        """Try the next recogniser; return False when none is left, and the words so far count."""
        utterance = self._current(number, attempt)
        if utterance is None:
            return True
        utterance.attempt += 1
        if utterance.attempt > len(self._choices):
            utterance.final = utterance.endpointed = True
            self._ledger.clear_deadline(ENDPOINT, TRANSCRIPT)
            return False
        self._listen(utterance)
        for offset, data in utterance.chunks:
            self._ledger.emit(Hear(offset, data))
        if self.phase is Phase.PAUSED:
            self._ledger.emit(Conclude())
            self._ledger.set_deadline(TRANSCRIPT, self.choice(utterance).deadline_seconds)
        return True

    def transcript_missed(self) -> None:
        """Give up on the recogniser: its final words did not come in time."""
        if self.utterance:
            self.failed(self.utterance.number, self.utterance.attempt)

    def gave_up(self, utterance: Utterance) -> bool:
        """Whether no recogniser was left for the utterance."""
        return utterance.attempt > len(self._choices)

    def endpoint_due(self) -> None:
        """End the utterance: the silence was long enough."""
        if self.utterance:
            self._end_point(self.utterance)

    def take_over(self) -> Utterance | None:
        """Return the utterance if it is over and its words are final; it is forgotten here."""
        utterance = self.utterance
        if utterance is None or not (utterance.final and utterance.endpointed):
            return None
        if utterance.waterfall:
            engine = self.choice(utterance).name
            utterance.waterfall.close(
                turn_pb2.STAGE_TRANSCRIPT, self._ledger.now, utterance.engine_seconds, engine
            )
        self.drop()
        return utterance

    def drop(self) -> None:
        """Forget the utterance."""
        if self.phase is not Phase.QUIET:
            self._move("over")
        self.utterance = None
        self._ledger.clear_deadline(ENDPOINT, TRANSCRIPT)
        self._ledger.emit(StopListening())

    def choice(self, utterance: Utterance) -> RecognitionChoice:
        """Return the engine that the utterance is with."""
        return self._choices[utterance.attempt % len(self._choices)]

    def _begin(self, start_offset: int) -> Utterance:
        self._count += 1
        margin = int(PRE_ROLL_SECONDS * self._rate)
        first = max(self._ledger.memory.consumed_offset, start_offset - margin)
        if self._carried:
            first = min(first, self._carried[0][0])
        self.utterance = Utterance(self._count, first, start_offset)
        self._listen(self.utterance)
        carried, self._carried = self._carried, []
        for chunk in carried:
            self.utterance.chunks.append(chunk)
            self._ledger.emit(Hear(*chunk))
        return self.utterance

    def _listen(self, utterance: Utterance) -> None:
        self._ledger.emit(Listen(utterance.number, utterance.attempt, self.choice(utterance)))

    def _set_endpoint(self, utterance: Utterance, silence_so_far: float) -> None:
        wanted = self._patience.silence(completeness(utterance.text))
        self._ledger.set_deadline(ENDPOINT, max(0.0, wanted - silence_so_far))

    def _end_point(self, utterance: Utterance) -> None:
        utterance.endpointed = True
        self._ledger.clear_deadline(ENDPOINT)
        if utterance.waterfall:
            utterance.waterfall.close(turn_pb2.STAGE_ENDPOINT, self._ledger.now)

    def _current(self, number: int, attempt: int) -> Utterance | None:
        utterance = self.utterance
        if utterance and (utterance.number, utterance.attempt) == (number, attempt):
            return utterance
        return None

    def _cut(self, utterance: Utterance) -> None:
        """End an utterance that is too long; what its words do not cover begins the next."""
        uncovered = [chunk for chunk in utterance.chunks if chunk[0] >= utterance.text_offset]
        utterance.chunks = [chunk for chunk in utterance.chunks if chunk not in uncovered]
        utterance.end_offset = utterance.next_offset = utterance.audio_offset
        utterance.final = utterance.endpointed = True
        self._carried = uncovered

    def _show(self, utterance: Utterance, *, final: bool) -> None:
        turn = self._ledger.memory.turn
        number = turn.number + 1 if turn else 1
        self._ledger.emit(Show(False, utterance.text, final, number, utterance.start_offset))

    def _move(self, happening: str) -> None:
        try:
            self.phase = TRANSITIONS[self.phase, happening]
        except KeyError:
            raise OutOfOrder(
                "message", f"speech {happening} while the caller is {self.phase.value}"
            ) from None
