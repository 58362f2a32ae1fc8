"""The caller's side of a conversation: utterances, their words, and when they are over."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.commands import Conclude, Hear, Listen, Show, StopListening
from orchestrator.endpointing import PATIENCE, completeness
from orchestrator.events import AudioArrived, SpeechEnded, SpeechStarted
from orchestrator.race import Race
from orchestrator.utterance import AWAITING_WORDS, TRANSITIONS, Phase, Utterance
from orchestrator.waterfall import Waterfall
from voicemesh.api.journal.v1 import turn_pb2
from voicemesh.errors import OutOfOrder

if TYPE_CHECKING:
    from orchestrator.course import Course
    from orchestrator.events import Recognised
    from orchestrator.ledger import Ledger
    from voicemesh.bots import Bot, RecognitionChoice

ENDPOINT = "endpoint"
TRANSCRIPT = "transcript"

MAX_UTTERANCE_SECONDS = 28
"""A recogniser takes 30 s; whoever speaks longer is cut into turns."""
PRE_ROLL_SECONDS = 0.5
"""Audio before the start of speech that the gateway may send; never more."""
UNTOLD_SECONDS = 0.02
"""Less than this is how messages are spaced on their way."""
TAIL_SECONDS = 1.0
"""Audio behind the end of speech that the gateway may send; never so much."""
SURE_SECONDS = 0.5
"""Whoever spoke for so long may have said something; less was a cough."""


class Hearing:
    """Follows utterances and has them recognised; ``take_over`` gives one that is complete."""

    def __init__(
        self, ledger: Ledger, bot: Bot, rate: int, course: Course[RecognitionChoice]
    ) -> None:
        self._ledger = ledger
        self._race: Race[RecognitionChoice, tuple[int, int]]
        self._race = Race(course, ledger, TRANSCRIPT, self)
        self._patience = PATIENCE[bot.patience]
        self._rate = rate
        self.phase = Phase.QUIET
        self.utterance: Utterance | None = None
        self._count = 0
        self._kept: list[AudioArrived | SpeechStarted | SpeechEnded] = []
        self._known_offset = ledger.memory.said_offset
        """Speech before it was in the journal when this session began."""

    @property
    def repeated(self) -> bool:
        """Whether what comes was heard by another session, and is in the journal."""
        return self.phase is Phase.KNOWN

    @property
    def active(self) -> bool:
        """Whether an utterance is under way."""
        return self.utterance is not None

    @property
    def first_offset(self) -> int | None:
        """Offset of the first audio that is not in the journal yet."""
        return self.utterance.first_offset if self.utterance else None

    # What the caller does.

    def speech_started(self, event: SpeechStarted) -> None:
        """Begin an utterance, or go on with the one that had paused."""
        if self._keep(event) or self._begins_again(event.start_offset):
            return
        self._move("started")
        self._ledger.clear_deadline(ENDPOINT)
        self._race.settle()
        utterance = self.utterance or self._begin(event.start_offset)
        utterance.next_offset = event.offset + 1
        utterance.final = utterance.endpointed = False
        utterance.waterfall, utterance.untold_silence = None, 0.0

    def audio_arrived(self, event: AudioArrived) -> None:
        """Keep audio and pass it on."""
        if self._keep(event):
            return
        if self.repeated or self._begins_again(event.offset):
            self._pass_over(event)
            return
        self._move("audio")
        utterance = self.utterance or self._begin(event.offset)
        if utterance.chunks:
            event = event.since(utterance.audio_offset)
        if not event.data:
            return
        start = utterance.chunks[0].offset if utterance.chunks else event.offset
        if event.end_offset - start > MAX_UTTERANCE_SECONDS * self._rate:
            self._cut(utterance)
            self._keep(event)
            return
        utterance.first_offset = min(utterance.first_offset, event.offset)
        utterance.chunks.append(event)
        utterance.next_offset = max(utterance.next_offset, event.end_offset)
        utterance.final = False
        for key in self._race.runners():
            self._ledger.emit(Hear(*key, event.offset, event.data))

    def speech_ended(self, event: SpeechEnded) -> None:
        """Ask for the words, and wait whether the caller goes on."""
        if self._keep(event):
            return
        if self.repeated:
            self._end_again(event)
        self._move("ended")
        utterance = self.utterance
        if utterance is None:
            return
        utterance.end_offset = max(event.end_offset, utterance.start_offset + 1)
        utterance.next_offset = max(utterance.next_offset, event.offset + 1)
        utterance.waterfall = Waterfall(self._ledger.now, utterance.end_offset)
        self._ask_for_words(utterance)
        if not utterance.gave_up:
            self._set_endpoint(utterance, (event.offset - event.end_offset) / self._rate)

    def clock_passed(self, offset: int) -> None:
        """Take note that the caller said nothing more before an offset.

        Whoever takes a call over is told of the end of speech as fast as it can be sent: the
        silence behind it began earlier than that.
        """
        utterance = self.utterance
        if utterance is None or self.phase is not Phase.PAUSED or not utterance.waterfall:
            return
        told = self._ledger.now - utterance.waterfall.reported
        untold = (offset - utterance.next_offset) / self._rate - told
        if untold >= utterance.untold_silence + UNTOLD_SECONDS:
            utterance.untold_silence = untold
            if not utterance.endpointed:
                self._set_endpoint(utterance, self._silence(utterance, utterance.waterfall))

    # What recognisers say.

    def recognised(self, event: Recognised) -> None:
        """Take words in."""
        utterance, key = self.utterance, (event.utterance, event.attempt)
        final = self._is_final(event)
        if final and self._is_doubtful(event) and self._race.unsatisfied(key, to_blame=False):
            return
        counts = self._race.result(key) if final else self._race.leads(key)
        if utterance is None or not counts:
            return
        # One that began anew has yet to hear what is known already.
        if event.end_offset < utterance.words_offset or (utterance.final and not event.final):
            return
        utterance.text, utterance.words_offset = event.text, event.end_offset
        self._show(utterance)
        if self.phase not in AWAITING_WORDS:
            return
        if final:
            utterance.final = True
            utterance.engine_seconds = event.engine_seconds
            utterance.engine = self._race.choice.name
            self._race.settle()
        if not utterance.endpointed and utterance.waterfall:
            self._set_endpoint(utterance, self._silence(utterance, utterance.waterfall))

    def _is_final(self, event: Recognised) -> bool:
        """Whether these are the words that are waited for, if they are of this utterance.

        A final that was asked for before the caller went on is only a partial by now.
        """
        utterance = self.utterance
        if utterance is None or utterance.number != event.utterance:
            return event.final
        heard_all = event.end_offset >= utterance.audio_offset
        return event.final and heard_all and self.phase in AWAITING_WORDS

    def _is_doubtful(self, event: Recognised) -> bool:
        """Whether somebody spoke and no words were found."""
        utterance = self.utterance
        if utterance is None or utterance.final or event.text.strip():
            return False
        return utterance.end_offset - utterance.start_offset >= SURE_SECONDS * self._rate

    def failed(self, number: int, attempt: int, problem: str, *, lasting: bool = False) -> None:
        """Give the whole utterance to the next recogniser; without one the words so far count."""
        if not self._race.failed((number, attempt), problem, lasting=lasting):
            self._nobody_is_left()

    def tick(self) -> None:
        """Turn to another recogniser: one is silent, slow, or was waited with."""
        if not self._race.tick():
            self._nobody_is_left()

    def _nobody_is_left(self) -> None:
        if self.utterance:
            self.utterance.gave_up = True
            self._end_without_words(self.utterance)

    def conclude_now(self) -> None:
        """Ask for the words at once: nothing follows any more."""
        if self.utterance and self.phase is Phase.SPEAKING:
            self._cut(self.utterance)
        elif self.utterance:
            self.utterance.endpointed = True

    def give_up(self) -> None:
        """Take the words so far for final."""
        if self.utterance:
            self.utterance.final = self.utterance.endpointed = True

    # When it is over.

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
            engine = self._race.choice.name
            utterance.waterfall.close(
                turn_pb2.STAGE_TRANSCRIPT, self._ledger.now, utterance.engine_seconds, engine
            )
        self._move("over")
        self.drop()
        return utterance

    def drop(self) -> None:
        """Forget the utterance."""
        self.utterance = None
        self._ledger.clear_deadline(ENDPOINT)
        self._race.stop()

    def go_on(self) -> None:
        """Take up what came while an utterance that was too long waited for its words."""
        kept, self._kept = self._kept, []
        for event in kept:
            match event:
                case SpeechStarted():
                    self.speech_started(event)
                case AudioArrived():
                    self.audio_arrived(event)
                case SpeechEnded():
                    self.speech_ended(event)

    def _keep(self, event: AudioArrived | SpeechStarted | SpeechEnded) -> bool:
        if self.phase is not Phase.CUT:
            return False
        self._kept.append(event)
        return True

    def knows(self, offset: int) -> bool:
        """Whether speech from an offset on is a replay of what is in the journal."""
        return self.phase is Phase.QUIET and offset < self._known_offset

    def _begins_again(self, offset: int) -> bool:
        known = self.knows(offset)
        if known:
            self._move("began again")
        return known

    def _pass_over(self, event: AudioArrived) -> None:
        """Leave out what is known; what follows may be the silence behind it."""
        if event.end_offset <= self._known_offset:
            return
        self._kept.append(event.since(self._known_offset))
        if event.end_offset - self._known_offset > TAIL_SECONDS * self._rate:
            self._take_the_rest()

    def _end_again(self, event: SpeechEnded) -> None:
        if event.end_offset > self._known_offset:
            self._take_the_rest()
        self._kept.clear()

    def _take_the_rest(self) -> None:
        """Hear the rest of an utterance that was too long; its beginning is in the journal."""
        self._move("went on")
        self.go_on()

    def _begin(self, start_offset: int) -> Utterance:
        self._count += 1
        margin = int(PRE_ROLL_SECONDS * self._rate)
        first = max(self._ledger.memory.consumed_offset, start_offset - margin)
        self.utterance = Utterance(self._count, first, start_offset)
        self._race.begin()
        return self.utterance

    def open(self, entry: RecognitionChoice) -> tuple[int, int]:
        """Give a recogniser everything that was heard of the utterance."""
        utterance = self.utterance
        if utterance is None:
            raise AssertionError("there is no utterance")
        key = utterance.number, utterance.attempts
        utterance.attempts += 1
        self._ledger.emit(Listen(*key, entry))
        for chunk in utterance.chunks:
            self._ledger.emit(Hear(*key, chunk.offset, chunk.data))
        if self.phase in AWAITING_WORDS and not utterance.final:
            self._ledger.emit(Conclude(*key))
        return key

    def close(self, key: tuple[int, int]) -> None:
        """Let a recogniser go."""
        self._ledger.emit(StopListening(*key))

    def leave(self) -> None:
        """Let all go: the call is over."""
        self._race.stop()

    def _ask_for_words(self, utterance: Utterance) -> None:
        if utterance.gave_up:
            self._end_without_words(utterance)
            return
        for key in self._race.runners():
            self._ledger.emit(Conclude(*key))
        self._race.wait()

    def _end_without_words(self, utterance: Utterance) -> None:
        # Whoever is still speaking is let finish first.
        if self.phase in AWAITING_WORDS:
            utterance.final = utterance.endpointed = True

    def _silence(self, utterance: Utterance, waterfall: Waterfall) -> float:
        """Return how long the caller has been silent, seconds."""
        heard = (utterance.next_offset - utterance.end_offset) / self._rate
        return heard + utterance.untold_silence + self._ledger.now - waterfall.reported

    def _set_endpoint(self, utterance: Utterance, silence_so_far: float) -> None:
        wanted = self._patience.silence(completeness(utterance.text))
        self._ledger.set_deadline(ENDPOINT, max(0.0, wanted - silence_so_far))

    def _end_point(self, utterance: Utterance) -> None:
        utterance.endpointed = True
        self._ledger.clear_deadline(ENDPOINT)
        if utterance.waterfall:
            utterance.waterfall.close(turn_pb2.STAGE_ENDPOINT, self._ledger.now)

    def _cut(self, utterance: Utterance) -> None:
        """End an utterance that is too long here; what follows begins the next one."""
        self._move("cut")
        end = max(utterance.audio_offset, utterance.start_offset + 1)
        utterance.end_offset = utterance.next_offset = end
        utterance.endpointed = True
        self._ask_for_words(utterance)

    def _show(self, utterance: Utterance) -> None:
        turn = self._ledger.memory.turn
        number = turn.number + 1 if turn else 1
        self._ledger.emit(Show(False, utterance.text, False, number, utterance.start_offset))

    def _move(self, happening: str) -> None:
        try:
            self.phase = TRANSITIONS[self.phase, happening]
        except KeyError:
            raise OutOfOrder(
                "message", f"speech {happening} while the caller is {self.phase.value}"
            ) from None
