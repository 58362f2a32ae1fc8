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
from orchestrator.commands import GoAway, Leave, Report, StopListening
from orchestrator.digits import DIGITS, Digits
from orchestrator.endings import Endings
from orchestrator.endpointing import has_words
from orchestrator.floor import BARGE_IN, Floor
from orchestrator.hearing import ENDPOINT, TRANSCRIPT, Hearing
from orchestrator.ledger import Ledger
from orchestrator.speaking import SOUND, Speaking
from orchestrator.thinking import WORDS, Thinking
from voicemesh.api.journal.v1 import journal_pb2, turn_pb2
from voicemesh.bots import HANG_UP, TRANSFER
from voicemesh.journal import ReplyState

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchestrator.commands import Command
    from orchestrator.events import Event
    from orchestrator.hearing import Utterance
    from orchestrator.waterfall import Waterfall
    from voicemesh.bots import Bot
    from voicemesh.journal import Memory

SILENCE = "silence"
LONGEST = "longest"

ACK_SECONDS = 0.1
"""Audio after which its arrival is acknowledged."""
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
        self._floor.played = facts.played_offset
        self._endings = Endings(ledger, facts.call_id, self._speaking)
        self._digits = Digits(ledger)
        self._waterfall: Waterfall | None = None
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
        for name in self._ledger.due():
            self._due[name]()
        return self._settle()

    def _handlers(self) -> dict[type, Callable[[Any], object]]:
        hearing, thinking, speaking = self._hearing, self._thinking, self._speaking
        return {
            events.AudioArrived: self._audio_arrived,
            events.SpeechStarted: self._speech_started,
            events.SpeechEnded: self._speech_ended,
            events.PlayoutReported: self._floor.playout_reported,
            events.BargedIn: self._barged_in,
            events.DigitPressed: self._digit_pressed,
            events.Commanded: self._commanded,
            events.CallerGone: self._caller_gone,
            events.DrainAsked: lambda event: self._ledger.emit(GoAway(event.seconds)),
            events.Recognised: self._recognised,
            events.RecognitionFailed: lambda event: hearing.failed(event.utterance, event.attempt),
            events.TextArrived: self._text_arrived,
            events.ToolRequested: thinking.tool_requested,
            events.ThoughtFinished: self._thought_finished,
            events.ThoughtFailed: lambda event: self._thought_failed(event.thought),
            events.ToolReturned: self._tool_returned,
            events.SentenceSounding: self._sentence_sounding,
            events.SoundArrived: self._sound_arrived,
            events.SentenceSounded: speaking.sounded,
            events.SpeechFailed: lambda event: self._speech_failed(event.speech),
        }

    def _timers(self) -> dict[str, Callable[[], object]]:
        return {
            ENDPOINT: self._hearing.endpoint_due,
            TRANSCRIPT: self._hearing.transcript_missed,
            WORDS: lambda: self._thought_failed(self._thinking.thought),
            SOUND: lambda: self._speech_failed(self._speaking.speech),
            BARGE_IN: self._floor.cut_off,
            DIGITS: self._enter_digits,
            SILENCE: self._break_silence,
            LONGEST: lambda: self._endings.want(HANG_UP),
        }

    # What comes in.

    def _audio_arrived(self, event: events.AudioArrived) -> None:
        self._arrived(event.offset + len(event.data) // 2)
        self._hearing.audio_arrived(event)

    def _speech_started(self, event: events.SpeechStarted) -> None:
        self._arrived(event.offset + 1)
        self._floor.caller_began(self._facts.rate)
        self._hearing.speech_started(event)

    def _speech_ended(self, event: events.SpeechEnded) -> None:
        self._arrived(event.offset + 1)
        self._hearing.speech_ended(event)

    def _barged_in(self, event: events.BargedIn) -> None:
        self._arrived(event.offset + 1)
        self._floor.barged_in(event)

    def _recognised(self, event: events.Recognised) -> None:
        self._hearing.recognised(event)
        self._floor.words_came()

    def _thought_finished(self, event: events.ThoughtFinished) -> None:
        self._thinking.finished(event.thought)
        self._mark_first_sentence()

    def _tool_returned(self, event: events.ToolReturned) -> None:
        if self._thinking.tool_returned(event):
            self._mark(turn_pb2.STAGE_TOOLS)

    def _sentence_sounding(self, event: events.SentenceSounding) -> None:
        if self._speaking.sounding(event):
            engine = self._speaking.choice.name
            self._mark(turn_pb2.STAGE_FIRST_AUDIO, event.engine_seconds, engine)

    def _sound_arrived(self, event: events.SoundArrived) -> None:
        self._speaking.sound_arrived(event)
        self._report()

    def _speech_failed(self, speech: int) -> None:
        if not self._speaking.failed(speech):
            self._end_in_failure()

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
            self._reply(0, self._bot.greeting)

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
        elif newest and newest.reply is ReplyState.NONE and self._bot.replies:
            self._reply(newest.number)

    # What follows from what came in.

    def _settle(self) -> list[Command]:
        """Do whatever the new state calls for; return all that is to be done."""
        if not self.memory.end_reason:
            utterance = self._hearing.take_over()
            if utterance:
                self._utterance_over(utterance)
            if self._thinking.turn is None and self._speaking.idle:
                self._speaking.finish()
                self._endings.order_what_is_owed()
            self._watch_silence()
        self._ledger.acknowledge(int(ACK_SECONDS * self._facts.rate))
        return self._ledger.take()

    def _arrived(self, offset: int) -> None:
        self._ledger.received = max(self._ledger.received, offset)

    def _utterance_over(self, utterance: Utterance) -> None:
        unheard = not has_words(utterance.text) and self._hearing.gave_up(utterance)
        if not unheard and not self._floor.starts_turn(utterance):
            self._floor.note(utterance, 0)
            self._report()
            return
        number = self._next_turn()
        self._floor.note(utterance, number)
        self._waterfall = utterance.waterfall
        if self._waterfall:
            self._waterfall.turn, self._waterfall.caller_text = number, utterance.text
        if self._bot.replies:
            self._reply(number, NOT_CAUGHT if unheard else "")

    def _reply(self, turn: int, literal: str = "") -> None:
        started = journal_pb2.ReplyStarted(turn=turn, literal=literal)
        self._ledger.write("reply_started", started)
        newest = self.memory.turn
        if newest:
            self._thinking.answer(newest)

    def _next_turn(self) -> int:
        newest = self.memory.turn
        return newest.number + 1 if newest else 1

    def _text_arrived(self, event: events.TextArrived) -> None:
        if self._thinking.text_arrived(event.thought, event.text):
            engine = self._thinking.choice.name
            self._mark(turn_pb2.STAGE_FIRST_TOKEN, event.engine_seconds, engine)
            self._mark_first_sentence()

    def _mark_first_sentence(self) -> None:
        if self._waterfall and self._waterfall.has(turn_pb2.STAGE_FIRST_TOKEN):
            newest = self.memory.turn
            if newest and newest.sentences:
                # Words come as fast as the engine makes them: all of this wait is its own.
                since = float("inf")
                self._mark(turn_pb2.STAGE_FIRST_SENTENCE, since, self._thinking.choice.name)

    def _mark(
        self, stage: turn_pb2.Stage.ValueType, engine_seconds: float = 0.0, engine: str = ""
    ) -> None:
        if self._waterfall:
            self._waterfall.close(stage, self._ledger.now, engine_seconds, engine)

    def _report(self) -> None:
        waterfall = self._waterfall
        if waterfall and waterfall.has(turn_pb2.STAGE_FIRST_AUDIO) and not self._speaking.withheld:
            self._waterfall = None
            self._ledger.emit(Report(waterfall.report(self._facts.replica)))

    def _thought_failed(self, thought: int) -> None:
        if self._thinking.failed(thought):
            return
        self._thinking.give_up()
        self._reply_on_own(self._bot.fallback.line)
        self._end_in_failure()

    def _end_in_failure(self) -> None:
        target = self._bot.fallback.transfer
        self._thinking.give_up()
        self._endings.want(TRANSFER if target else HANG_UP, target)

    def _reply_on_own(self, literal: str) -> None:
        self._reply(self._next_turn(), literal)

    def _watch_silence(self) -> None:
        waiting = self._bot.replies and self._floor.quiet and not self._endings.wanted
        if not waiting:
            self._ledger.clear_deadline(SILENCE)
        elif not self._ledger.has_deadline(SILENCE):
            self._ledger.set_deadline(SILENCE, self._bot.silence.reprompt_after_seconds)

    def _break_silence(self) -> None:
        silence = self._bot.silence
        asked = 0
        for turn in reversed(self.memory.turns):
            if turn.literal != silence.reprompt:
                break
            asked += 1
        if asked >= silence.hang_up_after:
            self._endings.want(HANG_UP)
        else:
            self._reply_on_own(silence.reprompt)

    def _digit_pressed(self, event: events.DigitPressed) -> None:
        complete = self._digits.pressed(event)
        self._floor.cut_off()
        if complete:
            self._enter_digits()

    def _enter_digits(self) -> None:
        entered = self._digits.take()
        if entered is None:
            return
        digits, offset = entered
        turn = self._next_turn()
        pressed = journal_pb2.DigitsPressed(turn=turn, digits=digits, end_offset=offset)
        consumed = self._hearing.safe_offset(offset + 1)
        self._ledger.write("digits_pressed", pressed, consumed)
        if self._bot.replies:
            self._reply(turn)

    def _commanded(self, event: events.Commanded) -> None:
        note = f"command.{event.key}"
        if note in self.memory.notes:
            return
        consumed = self._hearing.safe_offset(event.offset + 1)
        noted = journal_pb2.BrainNoted(name=note, value_json="true")
        self._ledger.write("brain_noted", noted, consumed)
        if event.kind == "say" and self._thinking.turn:
            self._thinking.add(event.argument)
        elif event.kind == "say":
            self._reply_on_own(event.argument)
        else:
            self._endings.want(event.kind, event.argument)

    def _caller_gone(self, event: events.CallerGone) -> None:
        self._arrived(event.offset + 1)
        self._floor.cut_off()
        self._ledger.emit(StopListening())
        ended = journal_pb2.CallEnded(reason=event.reason)
        self._ledger.write("call_ended", ended, event.offset + 1)
        self._ledger.clear_all_deadlines()
        self._ledger.emit(Leave())
