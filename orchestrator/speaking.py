"""The bot's voice: planned sentences become audio at its place in the bot's direction."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from orchestrator.commands import FinishSpeaking, Flush, Say, SendAudio, Show, Speak, StopSpeaking
from orchestrator.heard import SECONDS_PER_CHARACTER, Pace, Spoken, heard_text, too_short
from orchestrator.race import Race
from orchestrator.voices import Voice, label
from voicemesh.api.journal.v1 import journal_pb2
from voicemesh.journal import ReplyState

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.course import Course
    from orchestrator.events import SentenceSounded, SentenceSounding, SoundArrived
    from orchestrator.ledger import Ledger
    from voicemesh.bots import SynthesisChoice
    from voicemesh.journal import Sentence, Turn

SOUND = "sound"

MAX_GIVEN = 32
"""Sentences given to a voice ahead of their sound; it refuses 64."""


class Speaking:
    """Has sentences spoken, in order, each exactly once at the caller.

    The sentence that is due begins at the memory's ``bot_offset``. Whatever of its audio lies
    before ``cursor`` was sent already, by this voice or by one before it. Where another voice goes
    on with it, that voice says the rest of the words, from ``cursor`` on.
    """

    def __init__(
        self, ledger: Ledger, rate: int, held_offset: int, course: Course[SynthesisChoice]
    ) -> None:
        """``held_offset``: behind the last bot sample that the gateway holds already."""
        self._ledger = ledger
        self._rate = rate
        self._queue: deque[tuple[int, Sentence]] = deque()
        self._race: Race[SynthesisChoice, int] = Race(course, ledger, SOUND, self)
        self._voices: dict[int, Voice] = {}
        """Those that are open."""
        self._speech = 0
        self._held = False
        self._pace = Pace()
        self._said_by: SynthesisChoice | None = None
        """Who made the audio of the sentence that is due, where that is known."""
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
        return self._race.choice

    def hold(self) -> None:
        """Begin no sentence while the caller speaks; one that has begun goes on."""
        self._held = True
        if self._queue and not self._begun:
            self._race.stop()

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
        if self._queue or not self._race.won:
            return
        [speech] = self._race.runners()
        self._ledger.emit(FinishSpeaking(speech))
        del self._voices[speech]
        self._race.finish()

    # What the voice says.

    def sounding(self, event: SentenceSounding) -> bool:
        """Begin a sentence's audio; return False if it is not the one that is due."""
        voice = self._voices.get(event.speech)
        leads = self._race.leads(event.speech)
        if voice is None or (leads and not self._is_due(event.sentence)):
            return False
        voice.begin()
        if leads and not self._begun:
            turn, sentence = self._queue[0]
            start = self._ledger.memory.bot_offset
            self._ledger.emit(Show(True, sentence.text, True, turn, start))
        return leads

    def sound_arrived(self, event: SoundArrived) -> bool:
        """Send what of the audio the gateway does not hold yet; return whether anything was."""
        voice = self._voices.get(event.speech)
        if voice is None or not voice.sounding:
            return False
        data = voice.audible(event.data)
        if not data or not self._race.result(event.speech):
            return False
        begin, count = voice.take(len(data) // 2), len(data) // 2
        known = max(0, self.cursor - begin)
        if known >= count:
            return False
        self._take_over(voice)
        self._ledger.emit(SendAudio(begin + known, data[2 * known :]))
        self.cursor = begin + count
        return True

    def sounded(self, event: SentenceSounded) -> bool:
        """End the audio of the sentence that is due; return False if no voice can say it."""
        voice = self._voices.get(event.speech)
        if voice is None or not self._is_due(event.sentence):
            return True
        if not voice.heard:
            return self.failed(event.speech, "a sentence made no sound", lasting=True)
        seconds = (voice.made - voice.start) / self._rate
        if too_short(voice.text, seconds) and self._race.unsatisfied(event.speech, to_blame=True):
            return True
        self._pace.learn(voice.label, voice.text, seconds)
        self.cursor = max(self.cursor, voice.made)
        self._finish_sentence(voice.entry.name)
        voice.given -= 1
        self._race.renew()
        self._race.settle()
        if voice.given:
            self._place(voice)
            self._race.wait()
        self._give()
        return True

    def failed(self, speech: int, problem: str, *, lasting: bool = False) -> bool:
        """Try the next voice from where this one was; return False if none is left."""
        if not self._queue and self._race.leads(speech):
            # Nothing is lost with it: the next sentence opens another.
            self._race.stop()
            return True
        return self._going_on(self._race.failed(speech, problem, lasting=lasting))

    def tick(self) -> bool:
        """Turn to another voice: one is silent, slow, or was waited with."""
        return self._going_on(self._race.tick())

    def _going_on(self, so: bool) -> bool:
        if not so:
            self._race.stop()
            self._queue.clear()
        return so

    # What the caller heard.

    def interrupt(self, turns: list[Turn], heard_offset: int, barge_in_offset: int) -> None:
        """Cut the bot off: of these turns only what was heard counts from now on."""
        texts = [heard_text(self._spoken(turn), heard_offset) for turn in turns]
        self._race.stop()
        self._queue.clear()
        self._said_by = None
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
        """Have voices say what they were not given yet."""
        held = self._held and not self._begun
        if not self._queue or self._race.pausing or held:
            return
        if not self._race.running:
            self._race.begin()
            self._race.wait()
            return
        voices = [self._voices[key] for key in self._race.runners()]
        idle = not any(voice.given for voice in voices)
        for voice in voices:
            self._give_to(voice)
        if idle:
            self._race.wait()

    def open(self, entry: SynthesisChoice) -> int:
        """Open a voice and have it say everything that has no sound yet."""
        self._speech += 1
        voice = self._voices[self._speech] = Voice(self._speech, entry)
        self._ledger.emit(Speak(voice.speech, entry))
        self._give_to(voice)
        return voice.speech

    def close(self, key: int) -> None:
        """Let a voice go."""
        del self._voices[key]
        self._ledger.emit(StopSpeaking(key))

    def _give_to(self, voice: Voice) -> None:
        while voice.given < min(len(self._queue), MAX_GIVEN):
            _, sentence = self._queue[voice.given]
            text = sentence.text
            if not voice.given:
                self._place(voice)
                text = voice.text
            if text:
                self._ledger.emit(Say(voice.speech, sentence.number, text))
                voice.given += 1
            else:
                # Only the end of it was missing, and no word.
                self._finish_sentence((self._said_by or voice.entry).name)

    # Who says which words.

    def _place(self, voice: Voice) -> None:
        """Find what a voice is to say of the sentence that is due, and from where on."""
        _, sentence = self._queue[0]
        start, character = sentence.taken_over or (self._ledger.memory.bot_offset, 0)
        before = self._said_by
        if self._begun and before and not before.sounds_like(voice.entry):
            said = (self.cursor - start) / self._rate
            character += self._pace.rest(label(before), sentence.text[character:], said)
            start = self.cursor
        voice.place(sentence.text[character:], character, start)

    def _take_over(self, voice: Voice) -> None:
        """Journal that a voice goes on with words that another one began."""
        before, self._said_by = self._said_by, voice.entry
        if before is None or before is voice.entry:
            return
        _, sentence = self._queue[0]
        taken_over = journal_pb2.SentenceTakenOver(
            sentence=sentence.number,
            engine=voice.entry.name,
            offset=self.cursor,
            character=voice.character,
            start_offset=voice.start,
        )
        self._ledger.write("sentence_taken_over", taken_over)

    def _finish_sentence(self, engine: str) -> None:
        _, sentence = self._queue.popleft()
        self._said_by = None
        finished = journal_pb2.SentenceFinished(
            sentence=sentence.number,
            start_offset=self._ledger.memory.bot_offset,
            end_offset=self.cursor,
            engine=engine,
        )
        self._ledger.write("sentence_finished", finished)

    def _is_due(self, sentence: int) -> bool:
        return bool(self._queue) and sentence == self._queue[0][1].number


def _unheard(turn: Turn, played_offset: int) -> bool:
    return any(
        sentence.end_offset is None or sentence.end_offset > played_offset
        for sentence in turn.sentences
    )
