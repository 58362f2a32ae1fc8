"""The bot's voice: planned sentences become audio at its place in the bot's direction."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from orchestrator.commands import (
    FinishSpeaking,
    Flush,
    Say,
    SendAudio,
    Show,
    Speak,
    StopSpeaking,
)
from orchestrator.heard import SECONDS_PER_CHARACTER, heard_text
from voicemesh.api.journal.v1 import journal_pb2
from voicemesh.journal import ReplyState, Sentence

if TYPE_CHECKING:
    from orchestrator.events import SentenceSounded, SentenceSounding, SoundArrived
    from orchestrator.ledger import Ledger
    from voicemesh.bots import Bot, SynthesisChoice
    from voicemesh.journal import Turn

SOUND = "sound"


class Speaking:
    """Has sentences spoken, in order, each exactly once at the caller."""

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
        self._attempt = 0
        self._sounded = 0
        """Samples of the first sentence of the queue that the voice has made."""
        self.cursor = max(ledger.memory.bot_offset, held_offset)
        """Bot offset behind everything that was sent."""
        self._withheld: list[SendAudio | Show] | None = None

    @property
    def idle(self) -> bool:
        """Whether every planned sentence has become audio."""
        return not self._queue

    @property
    def speech(self) -> int:
        """Number of the last voice that was opened."""
        return self._speech

    @property
    def sounding_now(self) -> bool:
        """Whether audio of the sentence that is due was made already."""
        return self._sounded > 0

    @property
    def withheld(self) -> bool:
        """Whether audio is kept back."""
        return self._withheld is not None

    @property
    def choice(self) -> SynthesisChoice:
        """The engine that speaks."""
        return self._choices[self._attempt % len(self._choices)]

    def withhold(self) -> None:
        """Keep audio back: the caller is speaking and nothing of the reply was sent yet."""
        if self._withheld is None:
            self._withheld = []

    def release(self) -> None:
        """Send what was kept back."""
        withheld, self._withheld = self._withheld, None
        for command in withheld or ():
            self._ledger.emit(command)

    def say(self, turn: int, sentence: Sentence) -> None:
        """Have a planned sentence spoken after those before it."""
        self._queue.append((turn, sentence))
        self._give()

    def finish(self) -> None:
        """No sentence of this reply follows."""
        if self._open and not self._queue:
            self._close()

    def sounding(self, event: SentenceSounding) -> bool:
        """Begin a sentence's audio; return False if it is not the one that is due."""
        if not self._is_due(event.speech, event.sentence):
            return False
        self._sounded = 0
        self._await_sound()
        turn, sentence = self._queue[0]
        sentence.start_offset = self._ledger.memory.bot_offset
        self._send(Show(True, sentence.text, True, turn, sentence.start_offset))
        return True

    def sound_arrived(self, event: SoundArrived) -> bool:
        """Send what of the audio the gateway does not hold yet; return whether anything was."""
        if event.speech != self._speech or not self._queue:
            return False
        begin = self._ledger.memory.bot_offset + self._sounded
        count = len(event.data) // 2
        self._sounded += count
        self._await_sound()
        known = max(0, self.cursor - begin)
        if known >= count:
            return False
        self._send(SendAudio(begin + known, event.data[2 * known :]))
        self.cursor = begin + count
        return True

    def sounded(self, event: SentenceSounded) -> bool:
        """End a sentence's audio; return False if it is not the one that was due."""
        if not self._is_due(event.speech, event.sentence):
            return False
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
        self._attempt = 0
        self._sounded = 0
        self._ledger.clear_deadline(SOUND)
        if self._queue:
            self._await_sound()
        return True

    def failed(self, speech: int) -> bool:
        """Try the next voice from the sentence that was due; return False if none is left."""
        if speech != self._speech or not self._queue:
            return True
        self._stop()
        self._attempt += 1
        if self._attempt > len(self._choices):
            self._queue.clear()
            return False
        self._give()
        return True

    def interrupt(self, turns: list[Turn], heard_offset: int, barge_in_offset: int) -> None:
        """Cut the bot off: of these turns only what was heard counts from now on."""
        self._stop()
        self._estimate_ends()
        self._queue.clear()
        self._withheld = None
        next_offset = max(self.cursor, heard_offset)
        for turn in turns:
            interrupted = journal_pb2.ReplyInterrupted(
                turn=turn.number,
                heard_offset=heard_offset,
                heard_text=heard_text(turn.sentences, heard_offset),
                next_offset=next_offset,
                barge_in_offset=barge_in_offset,
            )
            self._ledger.write("reply_interrupted", interrupted)
        self.cursor = next_offset
        self.flush(heard_offset)

    def flush(self, heard_offset: int) -> None:
        """Have nothing played any more of what was sent."""
        self._ledger.emit(Flush(heard_offset, max(heard_offset, self.cursor)))

    def unheard(self, played_offset: int) -> list[Turn]:
        """Return the turns of which something is still to be said or to be heard."""
        return [
            turn
            for turn in self._ledger.memory.turns
            if turn.reply is ReplyState.OPEN
            or (turn.reply is ReplyState.FINISHED and _unheard(turn, played_offset))
        ]

    def _give(self) -> None:
        if not self._queue:
            return
        if not self._open:
            self._speech += 1
            self._open = True
            self._given = 0
            self._ledger.emit(Speak(self._speech, self.choice))
        while self._given < len(self._queue):
            _, sentence = self._queue[self._given]
            self._ledger.emit(Say(sentence.number, sentence.text))
            self._given += 1
        if not self._ledger.has_deadline(SOUND):
            self._await_sound()

    def _await_sound(self) -> None:
        """Expect the voice's next sign of life: the first audio, and all audio after it."""
        self._ledger.set_deadline(SOUND, self.choice.deadline_seconds)

    def _close(self) -> None:
        self._open = False
        self._ledger.emit(FinishSpeaking())

    def _stop(self) -> None:
        self._ledger.clear_deadline(SOUND)
        if self._open:
            self._open = False
            self._ledger.emit(StopSpeaking())
        self._given = self._sounded = 0

    def _estimate_ends(self) -> None:
        if self._queue:
            _, sentence = self._queue[0]
            if sentence.start_offset is not None:
                guess = int(len(sentence.text) * SECONDS_PER_CHARACTER * self._rate)
                start = sentence.start_offset
                sentence.end_offset = max(self.cursor, start + guess)

    def _is_due(self, speech: int, sentence: int) -> bool:
        due = self._queue[0][1].number if self._queue else -1
        return speech == self._speech and sentence == due

    def _send(self, command: SendAudio | Show) -> None:
        if self._withheld is None:
            self._ledger.emit(command)
        else:
            self._withheld.append(command)


def _unheard(turn: Turn, played_offset: int) -> bool:
    return any(
        sentence.end_offset is None or sentence.end_offset > played_offset
        for sentence in turn.sentences
    )
