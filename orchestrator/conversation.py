"""A conversation: the journal comes in, events come in, commands come out. No I/O, no clock.

Its parts share a ledger: ``Hearing`` (the caller's utterances), ``Thinking`` (the brain and its
tools), ``Speaking`` (the voice), ``Floor`` (who may speak) and ``Endings``. Everything it knows
beyond one utterance is in the journal, so that any replica can go on from there: ``start`` looks
at the memory and takes up whatever is owed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orchestrator import events
from orchestrator.commands import GoAway, Leave, StopListening
from orchestrator.digits import DIGITS, Digits
from orchestrator.endings import Endings
from orchestrator.endpointing import has_words
from orchestrator.floor import BARGE_IN, Floor
from orchestrator.hearing import ENDPOINT, LISTEN_AGAIN, PRE_ROLL_SECONDS, TRANSCRIPT, Hearing
from orchestrator.ledger import Ledger
from orchestrator.measure import Measure
from orchestrator.silence import SILENCE, Silence
from orchestrator.speaking import SOUND, SPEAK_AGAIN, Speaking
from orchestrator.thinking import THINK_AGAIN, WORDS, Thinking
from orchestrator.wishes import Wishes
from voicemesh.api.journal.v1 import journal_pb2
from voicemesh.bots import HANG_UP, TRANSFER
from voicemesh.journal import ReplyState

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchestrator.commands import Command
    from orchestrator.events import Event
    from orchestrator.hearing import Utterance
    from voicemesh.bots import Bot
    from voicemesh.journal import Memory

LONGEST = "longest"
COMMIT = "commit"

COMMIT_SECONDS = 1.0
"""How long keys and commands stay un-committed: the sound of speech that began before one may
still be on its way."""
NOT_CAUGHT = "I'm sorry, I didn't catch that."


@dataclass(frozen=True, slots=True)
class CallFacts:
    """What is known of a call from its start, and where its media stand."""

    call_id: str
    bot: str
    rate: int
    replica: str
    caller: str = ""
    callee: str = ""
    residency: str = ""
    variables: tuple[tuple[str, str], ...] = ()
    buffered_offset: int = 0
    played_offset: int = 0


class Conversation:
    """Conducts one call."""

    def __init__(self, bot: Bot, facts: CallFacts, memory: Memory, wall_offset: float) -> None:
        """``wall_offset`` added to the ``now`` of all methods gives Unix time."""
        self._bot = bot
        self._facts = facts
        self._wall_offset = wall_offset
        ledger = self._ledger = Ledger(memory, wall_offset)
        self._hearing = Hearing(ledger, bot, facts.rate)
        self._speaking = Speaking(ledger, bot, facts.rate, facts.buffered_offset)
        self._thinking = Thinking(ledger, bot, facts.call_id, self._speaking)
        self._floor = Floor(ledger, bot, self._hearing, self._thinking, self._speaking)
        self._endings = Endings(ledger, facts.call_id, self._speaking)
        self._wishes = Wishes(ledger)
        self._silence = Silence(ledger, bot)
        self._digits = Digits(ledger)
        self._measure = Measure(ledger, facts.replica)
        self._dealt_with = memory.consumed_offset
        """Behind the caller's last word, key or command that is in the journal."""
        self._on = self._handlers()
        self._due = self._timers()

    @property
    def memory(self) -> Memory:
        """What the journal adds up to."""
        return self._ledger.memory

    @property
    def next_deadline(self) -> float | None:
        """When ``handle_timer`` is to be called, or None."""
        return self._ledger.next_deadline

    def start(self, now: float) -> list[Command]:
        """Begin the call, or take up what its journal owes."""
        self._ledger.now = now
        if self.memory.end_reason:
            self._ledger.emit(Leave())
            return self._ledger.take()
        self._floor.begin(self._facts.rate, self._facts.played_offset)
        if self.memory.next_sequence == 0:
            self._begin()
        else:
            self._take_up()
        elapsed = now + self._wall_offset - self.memory.started_seconds
        self._ledger.set_deadline(LONGEST, max(0.0, self._bot.max_call_seconds - elapsed))
        return self._settle()

    def handle(self, event: Event, now: float) -> list[Command]:
        """Take one event in. Raise OutOfOrder for one that the contract does not allow."""
        self._ledger.now = now
        if self.memory.end_reason:
            return []
        self._on[type(event)](event)
        return self._settle()

    def handle_timer(self, now: float) -> list[Command]:
        """Do what has fallen due."""
        self._ledger.now = now
        while (name := self._ledger.take_due()) is not None:
            self._due[name]()
            self._react()
        return self._settle()

    def _handlers(self) -> dict[type, Callable[[Any], object]]:
        return {
            events.AudioArrived: self._audio_arrived,
            events.SpeechStarted: self._speech_started,
            events.SpeechEnded: self._speech_ended,
            events.PlayoutReported: self._floor.playout_reported,
            events.BargedIn: self._floor.barged_in,
            events.DigitPressed: self._digit_pressed,
            events.Commanded: self._commanded,
            events.CallerGone: self._caller_gone,
            events.DrainAsked: lambda event: self._ledger.emit(GoAway(event.seconds)),
            events.Recognised: self._recognised,
            events.RecognitionFailed: self._recognition_failed,
            events.TextArrived: self._text_arrived,
            events.ToolRequested: self._thinking.tool_requested,
            events.ThoughtFinished: self._thought_finished,
            events.ThoughtFailed: self._thought_failed,
            events.ToolReturned: self._tool_returned,
            events.SentenceSounding: self._sentence_sounding,
            events.SoundArrived: self._sound_arrived,
            events.SentenceSounded: lambda e: self._or_end(self._speaking.sounded(e)),
            events.SpeechFailed: self._speech_failed,
        }

    def _timers(self) -> dict[str, Callable[[], object]]:
        return {
            ENDPOINT: self._hearing.endpoint_due,
            TRANSCRIPT: self._hearing.transcript_missed,
            LISTEN_AGAIN: self._hearing.listen_again,
            WORDS: lambda: self._or_apologise(self._thinking.words_missed()),
            THINK_AGAIN: self._thinking.think_again,
            SOUND: lambda: self._or_end(self._speaking.sound_missed()),
            SPEAK_AGAIN: self._speaking.speak_again,
            BARGE_IN: self._floor.cut_off,
            DIGITS: self._enter_digits,
            SILENCE: self._break_silence,
            LONGEST: lambda: self._endings.want(HANG_UP),
            COMMIT: lambda: self._ledger.commit(self._reflected(self._dealt_with)),
        }

    # What the caller does.

    def _audio_arrived(self, event: events.AudioArrived) -> None:
        self._ledger.receive(event.end_offset)
        self._hearing.audio_arrived(event)

    def _speech_started(self, event: events.SpeechStarted) -> None:
        # The sound from just before the start is still to come.
        margin = int(PRE_ROLL_SECONDS * self._facts.rate)
        self._ledger.receive(event.start_offset - margin)
        self._floor.caller_began()
        self._hearing.speech_started(event)

    def _speech_ended(self, event: events.SpeechEnded) -> None:
        self._ledger.receive(event.offset + 1)
        self._hearing.speech_ended(event)

    def _digit_pressed(self, event: events.DigitPressed) -> None:
        self._ledger.receive(event.offset + 1)
        if not self._digits.pressed(event):
            return
        if self._floor.bot_has_it:
            self._floor.cut_off()
        if self._digits.complete:
            self._enter_digits()

    def _enter_digits(self) -> None:
        entered = self._digits.take()
        if entered is None:
            return
        digits, offset = entered
        if self._floor.bot_has_it:
            self._floor.cut_off()
        turn = self._next_turn()
        pressed = journal_pb2.DigitsPressed(turn=turn, digits=digits, end_offset=offset)
        self._ledger.write("digits_pressed", pressed)
        self._commit_soon(offset + 1)
        self._reply(turn)

    def _commanded(self, event: events.Commanded) -> None:
        self._ledger.receive(event.offset + 1)
        self._commit_soon(event.offset + 1)
        if self._wishes.take(event) and event.kind != "say":
            self._endings.want(event.kind, event.argument)

    def _caller_gone(self, event: events.CallerGone) -> None:
        self._ledger.receive(event.offset + 1)
        utterance = self._hearing.utterance
        if utterance and has_words(utterance.text):
            # Nobody will answer, but the call's record has the last words.
            utterance.end_offset = max(utterance.audio_offset, utterance.start_offset + 1)
            self._floor.note(utterance, self._next_turn(), utterance.next_offset)
        if self._floor.bot_has_it:
            self._floor.cut_off()
        self._ledger.emit(StopListening())
        ended = journal_pb2.CallEnded(reason=event.reason)
        self._ledger.write("call_ended", ended, event.offset + 1)
        self._ledger.clear_all_deadlines()
        self._ledger.acknowledge()
        self._ledger.emit(Leave())

    def _commit_soon(self, offset: int) -> None:
        self._dealt_with = max(self._dealt_with, offset)
        self._ledger.set_deadline(COMMIT, COMMIT_SECONDS)

    def _reflected(self, offset: int) -> int:
        """Return how far the caller is reflected when all before ``offset`` was dealt with."""
        pending = (self._hearing.first_offset, self._digits.first_offset)
        return min([offset, *(first for first in pending if first is not None)])

    # What the senses say.

    def _recognised(self, event: events.Recognised) -> None:
        self._hearing.recognised(event)
        self._floor.words_came()

    def _recognition_failed(self, event: events.RecognitionFailed) -> None:
        self._hearing.failed(event.utterance, event.attempt, event.problem, lasting=event.lasting)

    def _text_arrived(self, event: events.TextArrived) -> None:
        engine = self._thinking.choice.name
        if self._thinking.waits_for(event.thought):
            self._measure.words_came(event.engine_seconds, engine)
        self._thinking.text_arrived(event.thought, event.text)
        self._measure.words_planned(engine)

    def _thought_finished(self, event: events.ThoughtFinished) -> None:
        engine = self._thinking.choice.name
        self._or_apologise(self._thinking.finished(event.thought))
        self._measure.words_planned(engine)

    def _thought_failed(self, event: events.ThoughtFailed) -> None:
        self._or_apologise(
            self._thinking.failed(event.thought, event.problem, lasting=event.lasting)
        )

    def _tool_returned(self, event: events.ToolReturned) -> None:
        if self._thinking.tool_returned(event):
            self._measure.tools_answered()

    def _sentence_sounding(self, event: events.SentenceSounding) -> None:
        turn = self._speaking.due_turn
        if self._speaking.sounding(event) and turn is not None:
            self._measure.sound_began(turn, event.engine_seconds, self._speaking.choice.name)

    def _sound_arrived(self, event: events.SoundArrived) -> None:
        self._speaking.sound_arrived(event)
        self._measure.sound_sent()

    def _speech_failed(self, event: events.SpeechFailed) -> None:
        self._or_end(self._speaking.failed(event.speech, event.problem, lasting=event.lasting))

    def _or_apologise(self, going_on: bool) -> None:
        """End the call with the fallback's line if no brain is left."""
        if going_on:
            return
        self._thinking.give_up()
        if self._bot.fallback.line:
            self._reply_on_own(self._bot.fallback.line)
        self._or_end(going_on)

    def _or_end(self, going_on: bool) -> None:
        """End the call if no voice is left."""
        if not going_on:
            self._thinking.give_up()
            target = self._bot.fallback.transfer
            self._endings.want(TRANSFER if target else HANG_UP, target)

    # Beginning and taking up.

    def _begin(self) -> None:
        facts = self._facts
        started = journal_pb2.CallStarted(
            bot=facts.bot,
            sample_rate_hertz=facts.rate,
            caller=facts.caller,
            callee=facts.callee,
            residency=facts.residency,
            variables=dict(facts.variables),
        )
        self._ledger.write("call_started", started)
        if self._bot.greeting:
            self._start_reply(0, self._bot.greeting)

    def _take_up(self) -> None:
        for turn in self.memory.turns:
            for sentence in turn.sentences:
                if sentence.end_offset is None and turn.reply is not ReplyState.INTERRUPTED:
                    self._speaking.say(turn.number, sentence)
        self._endings.repeat()
        self._thinking.resume_tools()
        newest = self.memory.turn
        if newest and newest.reply is ReplyState.OPEN:
            self._thinking.answer(newest)
        elif newest and newest.reply is ReplyState.NONE:
            self._reply(newest.number, "" if newest.caller_text else NOT_CAUGHT)

    # What follows.

    def _settle(self) -> list[Command]:
        """Do whatever the new state calls for; return all that is to be done."""
        self._react()
        self._ledger.acknowledge()
        return self._ledger.take()

    def _react(self) -> None:
        if self.memory.end_reason:
            return
        while utterance := self._hearing.take_over():
            self._utterance_over(utterance)
            self._hearing.go_on()
            if self._hearing.active:
                self._floor.caller_began()
        if self._thinking.turn is None and not self._hearing.active and self._wishes.waiting:
            self._reply_on_own(self._wishes.next_words())
        if self._thinking.turn is None and self._speaking.idle and not self._wishes.waiting:
            self._speaking.finish()
            self._endings.order_what_is_owed()
        self._silence.watch(quiet=self._floor.quiet and not self._endings.wanted)

    def _utterance_over(self, utterance: Utterance) -> None:
        unheard = utterance.gave_up and not has_words(utterance.text)
        starts_turn = unheard or self._floor.starts_turn(utterance)
        if starts_turn:
            # Keys pressed before are an input of their own.
            self._enter_digits()
        number = self._next_turn() if starts_turn else 0
        self._dealt_with = max(self._dealt_with, utterance.next_offset)
        self._floor.note(utterance, number, self._reflected(utterance.next_offset))
        if starts_turn:
            self._measure.begin(utterance.waterfall, number, utterance.text)
            self._reply(number, NOT_CAUGHT if unheard else "")

    def _reply(self, turn: int, literal: str = "") -> None:
        """Answer the caller, unless this bot does not, or the call is about to end anyway."""
        if self._bot.replies and not self._endings.decided:
            self._start_reply(turn, literal)

    def _reply_on_own(self, literal: str) -> None:
        self._start_reply(self._next_turn(), literal)

    def _start_reply(self, turn: int, literal: str) -> None:
        started = journal_pb2.ReplyStarted(turn=turn, literal=literal)
        self._ledger.write("reply_started", started)
        self._measure.reply_began(turn)
        self._thinking.answer(self.memory.turns[-1])

    def _next_turn(self) -> int:
        newest = self.memory.turn
        return newest.number + 1 if newest else 1

    def _break_silence(self) -> None:
        if self._silence.asked_enough:
            self._endings.want(HANG_UP)
        else:
            self._reply_on_own(self._silence.reprompt)
