"""The bot's voice: planned sentences become audio at its place in the bot's direction."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from orchestrator.attempts import Attempts
from orchestrator.commands import (
    Blame,
    FinishSpeaking,
    Flush,
    Say,
    SendAudio,
    Show,
    Speak,
    StopSpeaking,
)
from orchestrator.heard import SECONDS_PER_CHARACTER, Spoken, heard_text
from voicemesh.api.journal.v1 import journal_pb2
from voicemesh.journal import ReplyState

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.events import SentenceSounded, SentenceSounding, SoundArrived
    from orchestrator.ledger import Ledger
    from voicemesh.bots import Bot, SynthesisChoice
    from voicemesh.journal import Sentence, Turn

SOUND = "sound"
SPEAK_AGAIN = "speak_again"

MAX_GIVEN = 32
"""Sentences given to a voice ahead of their sound; it refuses 64."""


class Speaking:
    """Has sentences spoken, in order, each exactly once at the caller.

    The sentence that is due begins at the memory's ``bot_offset``. Whatever of its audio lies
    before ``cursor`` was sent already, by this voice or by one before it.
    """

    def __init__(self, ledger: Ledger, bot: Bot, rate: int, held_offset: int) -> None:
        """``held_offset``: behind the last bot sample that the gateway holds already."""
        self._ledger = ledger
        self._choices = bot.engines.tts
        self._rate = rate
        self._queue: deque[tuple[int, Sentence]] = deque()
        self._given = 0
        """How many of the queue the open voice was given."""
        self._speech = 0
        self._open = False
        self._held = False
        self._attempts = Attempts(self._choices)
        self._sounding = False
        """Whether what comes from the open voice is the sentence that is due."""
        self._sounded = 0
        """Samples of it that the open voice has made."""
        self.cursor = max(ledger.memory.bot_offset, held_offset)
        """Bot offset behind everything that was sent."""

    @property
    def idle(self) -> bool:
        """Whether every planned sentence has become audio."""
        return not self._queue

    @property
    def due_turn(self) -> int | None:
        """Turn of the sentence that is due."""
        return self._queue[0][0] if self._queue else None

    @property
    def choice(self) -> SynthesisChoice:
        """The engine that speaks."""
        return self._attempts.choice

    def hold(self) -> None:
        """Begin no sentence while the caller speaks; one that has begun goes on."""
        self._held = True
        if self._queue and not self._begun:
            self._stop()

    def release(self) -> None:
        """Begin what was held."""
        self._held = False
        self._give()

    def say(self, turn: int, sentence: Sentence) -> None:
        """Have a planned sentence spoken after those before it."""
        self._queue.append((turn, sentence))
        self._give()

    def finish(self) -> None:
        """Let the voice go if nothing is left to be said: the reply is complete."""
        if self._open and not self._queue:
            self._open = False
            self._attempts = Attempts(self._choices)
            self._ledger.emit(FinishSpeaking())

    # What the voice says.

    def sounding(self, event: SentenceSounding) -> bool:
        """Begin a sentence's audio; return False if it is not the one that is due."""
        if not self._is_due(event.speech, event.sentence):
            return False
        self._sounding, self._sounded = True, 0
        self._await_sound()
        if not self._begun:
            turn, sentence = self._queue[0]
            start = self._ledger.memory.bot_offset
            self._ledger.emit(Show(True, sentence.text, True, turn, start))
        return True

    def sound_arrived(self, event: SoundArrived) -> bool:
        """Send what of the audio the gateway does not hold yet; return whether anything was."""
        if not (self._is_current(event.speech) and self._sounding):
            return False
        begin = self._ledger.memory.bot_offset + self._sounded
        count = len(event.data) // 2
        self._sounded += count
        self._await_sound()
        known = max(0, self.cursor - begin)
        if known >= count:
            return False
        self._ledger.emit(SendAudio(begin + known, event.data[2 * known :]))
        self.cursor = begin + count
        return True

    def sounded(self, event: SentenceSounded) -> bool:
        """End the audio of the sentence that is due; return False if no voice can say it."""
        if not self._is_due(event.speech, event.sentence):
            return True
        if not self._sounded:
            return self.failed(event.speech, "a sentence made no sound", lasting=True)
        _, sentence = self._queue.popleft()
        self._given -= 1
        start = self._ledger.memory.bot_offset
        self.cursor = max(self.cursor, start + self._sounded)
        finished = journal_pb2.SentenceFinished(
            sentence=sentence.number,
            start_offset=start,
            end_offset=self.cursor,
            engine=self.choice.name,
        )
        self._ledger.write("sentence_finished", finished)
        self._sounding, self._sounded = False, 0
        self._attempts = self._attempts.renewed()
        self._ledger.clear_deadline(SOUND)
        if self._given:
            self._await_sound()
        self._give()
        return True

    def failed(self, speech: int, problem: str, *, lasting: bool = False) -> bool:
        """Try the next voice from the sentence that is due; return False if none is left."""
        if not self._is_current(speech):
            return True
        self._ledger.emit(Blame("tts", self.choice.name, problem))
        self._stop()
        pause = self._attempts.failed(self._ledger.now, lasting=lasting)
        if pause is None:
            self._queue.clear()
            return False
        if pause:
            self._ledger.set_deadline(SPEAK_AGAIN, pause)
        else:
            self._give()
        return True

    def sound_missed(self) -> bool:
        """Give up on the voice: it fell silent. Return False if none is left."""
        return self.failed(self._speech, f"silent for {self.choice.deadline_seconds:g} s")

    def speak_again(self) -> None:
        """Try a voice again after a pause."""
        self._give()

    # What the caller heard.

    def interrupt(self, turns: list[Turn], heard_offset: int, barge_in_offset: int) -> None:
        """Cut the bot off: of these turns only what was heard counts from now on."""
        texts = [heard_text(self._spoken(turn), heard_offset) for turn in turns]
        self._stop()
        self._queue.clear()
        self._attempts = Attempts(self._choices)
        self.cursor = max(self.cursor, heard_offset)
        for turn, text in zip(turns, texts, strict=True):
            interrupted = journal_pb2.ReplyInterrupted(
                turn=turn.number,
                heard_offset=heard_offset,
                heard_text=text,
                next_offset=self.cursor,
                barge_in_offset=barge_in_offset,
            )
            self._ledger.write("reply_interrupted", interrupted)
        self._ledger.emit(Flush(heard_offset, self.cursor))

    def unheard(self, played_offset: int) -> list[Turn]:
        """Return the turns of which something is still to be said or to be heard."""
        return [
            turn
            for turn in self._ledger.memory.turns
            if turn.reply is ReplyState.OPEN
            or (turn.reply is ReplyState.FINISHED and _unheard(turn, played_offset))
        ]

    def _spoken(self, turn: Turn) -> Iterator[Spoken]:
        due = self._queue[0][1].number if self._queue else -1
        for sentence in turn.sentences:
            start, end = sentence.start_offset, sentence.end_offset
            if start is not None and end is not None:
                yield Spoken(sentence.text, start, end)
            elif sentence.number == due and self._begun:
                start = self._ledger.memory.bot_offset
                guess = int(len(sentence.text) * SECONDS_PER_CHARACTER * self._rate)
                yield Spoken(sentence.text, start, max(self.cursor, start + guess))

    # The voice that is open.

    @property
    def _begun(self) -> bool:
        """Whether audio of the sentence that is due was sent."""
        return self.cursor > self._ledger.memory.bot_offset

    def _give(self) -> None:
        waiting = self._ledger.has_deadline(SPEAK_AGAIN)
        if not self._queue or waiting or (self._held and not self._begun):
            return
        if not self._open:
            self._speech += 1
            self._open = True
            self._given = 0
            self._ledger.emit(Speak(self._speech, self.choice))
        begin = self._given == 0
        while self._given < min(len(self._queue), MAX_GIVEN):
            _, sentence = self._queue[self._given]
            self._ledger.emit(Say(sentence.number, sentence.text))
            self._given += 1
        if begin:
            self._await_sound()

    def _await_sound(self) -> None:
        """Expect the voice's next sign of life: the first audio, and all audio after it."""
        self._attempts.hurry(self._ledger.now)
        self._ledger.set_deadline(SOUND, self.choice.deadline_seconds)

    def _stop(self) -> None:
        self._ledger.clear_deadline(SOUND, SPEAK_AGAIN)
        if self._open:
            self._open = False
            self._ledger.emit(StopSpeaking())
        self._given = self._sounded = 0
        self._sounding = False

    def _is_current(self, speech: int) -> bool:
        return self._open and speech == self._speech and self._given > 0

    def _is_due(self, speech: int, sentence: int) -> bool:
        return self._is_current(speech) and sentence == self._queue[0][1].number


def _unheard(turn: Turn, played_offset: int) -> bool:
    return any(
        sentence.end_offset is None or sentence.end_offset > played_offset
        for sentence in turn.sentences
    )
