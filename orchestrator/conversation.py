"""A conversation: the journal comes in, events come in, commands come out. No I/O, no clock.

Its parts share a ledger: ``Hearing`` (the caller's utterances), ``Thinking`` (the brain and its
tools), ``Speaking`` (the voice), ``Floor`` (who may speak), ``Turns`` (what leads to what) and
smaller ones. Everything it knows beyond one utterance is in the journal, so that any replica can go
on from there: ``start`` looks at the memory and takes up whatever is owed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orchestrator import events
from orchestrator.commands import GoAway, Leave
from orchestrator.course import Course
from orchestrator.digits import DIGITS, Digits
from orchestrator.endings import Endings
from orchestrator.floor import BARGE_IN, Floor
from orchestrator.hearing import ENDPOINT, PRE_ROLL_SECONDS, TRANSCRIPT, Hearing
from orchestrator.ledger import Ledger
from orchestrator.measure import Measure
from orchestrator.silence import SILENCE, Silence
from orchestrator.speaking import SOUND, Speaking
from orchestrator.standing import Standings
from orchestrator.thinking import FILLER, WORDS, Thinking
from orchestrator.turns import COMMIT, LAST_WORDS, REPLAY, Parts, Turns
from orchestrator.wishes import Wishes
from voicemesh.api.journal.v1 import journal_pb2
from voicemesh.bots import HANG_UP

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchestrator.commands import Command
    from orchestrator.events import Event
    from voicemesh.bots import Bot
    from voicemesh.journal import Memory

LONGEST = "longest"
_COMMANDS = {"hear": Turns.told, "hush": Turns.hushed}
"""What a leg of text tells; whatever else comes so is an application's wish."""


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
    text: bool = False
    """Whether the leg is of text: it speaks what is shown."""
    tells_kept: bool = False
    """Whether the gateway says when it has kept a tool's intent."""
    takes_batches: bool = False
    """Whether the gateway takes several messages as one."""


class Conversation:
    """Conducts one call."""

    def __init__(
        self,
        bot: Bot,
        facts: CallFacts,
        memory: Memory,
        wall_offset: float,
        standings: Standings | None = None,
    ) -> None:
        """``wall_offset`` added to the ``now`` of all methods gives Unix time.

        ``standings``: what all conversations of a process know of its engines.
        """
        known = Standings() if standings is None else standings
        self._bot = bot
        self._facts = facts
        self._wall_offset = wall_offset
        ledger = self._ledger = Ledger(memory, wall_offset, told=facts.tells_kept)
        self._hearing = Hearing(ledger, bot, facts.rate, _course("stt", bot, known))
        self._speaking = Speaking(
            ledger, facts.rate, facts.buffered_offset, _course("tts", bot, known)
        )
        self._thinking = Thinking(
            ledger, bot, facts.call_id, self._speaking, _course("llm", bot, known)
        )
        self._floor = Floor(ledger, bot, self._hearing, self._thinking, self._speaking)
        self._endings = Endings(ledger, facts.call_id, self._speaking)
        self._measure = Measure(ledger, facts.replica)
        parts = Parts(
            ledger=ledger,
            hearing=self._hearing,
            thinking=self._thinking,
            speaking=self._speaking,
            floor=self._floor,
            endings=self._endings,
            wishes=Wishes(ledger),
            silence=Silence(ledger, bot),
            digits=Digits(ledger, bot.keypad),
            measure=self._measure,
        )
        self._turns = Turns(bot, parts)
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
            self._write_start()
            self._turns.greet()
        else:
            self._turns.take_up()
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
            self._turns.react()
        return self._settle()

    def _settle(self) -> list[Command]:
        if not self.memory.end_reason:
            self._turns.react()
        self._ledger.acknowledge()
        return self._ledger.take()

    def _write_start(self) -> None:
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

    def _handlers(self) -> dict[type, Callable[[Any], object]]:
        return {
            events.AudioArrived: self._audio_arrived,
            events.SpeechStarted: self._speech_started,
            events.SpeechEnded: self._speech_ended,
            events.PlayoutReported: self._playout_reported,
            events.BargedIn: self._floor.barged_in,
            events.DigitPressed: self._digit_pressed,
            events.Commanded: self._commanded,
            events.CallerGone: self._caller_gone,
            events.DrainAsked: lambda event: self._ledger.emit(GoAway(event.seconds)),
            events.Recognised: self._recognised,
            events.RecognitionFailed: self._recognition_failed,
            events.TextArrived: self._text_arrived,
            events.ToolRequested: self._tool_requested,
            events.ThoughtFinished: self._thought_finished,
            events.ThoughtFailed: self._thought_failed,
            events.ToolReturned: self._tool_returned,
            events.SentenceSounding: self._sentence_sounding,
            events.SoundArrived: self._sound_arrived,
            events.SentenceSounded: self._sentence_sounded,
            events.SpeechFailed: self._speech_failed,
        }

    def _timers(self) -> dict[str, Callable[[], object]]:
        return {
            ENDPOINT: self._hearing.endpoint_due,
            TRANSCRIPT: self._hearing.tick,
            FILLER: self._thinking.bridge,
            WORDS: self._words_due,
            SOUND: self._sound_due,
            BARGE_IN: self._floor.cut_off,
            DIGITS: self._turns.answer_digits,
            SILENCE: self._turns.break_silence,
            COMMIT: self._turns.commit,
            # Only that it is over counts.
            REPLAY: lambda: None,
            LAST_WORDS: self._turns.last_words_missed,
            LONGEST: lambda: self._endings.want(HANG_UP),
        }

    # What the caller does.

    def _playout_reported(self, event: events.PlayoutReported) -> None:
        self._ledger.kept(event.kept_sequence)
        self._hearing.clock_passed(event.offset)
        self._floor.playout_reported(event)

    def _audio_arrived(self, event: events.AudioArrived) -> None:
        self._ledger.receive(event.end_offset)
        speaking = self._hearing.active
        self._hearing.audio_arrived(event)
        if self._hearing.active and not speaking:
            # The rest of an utterance whose beginning is in the journal.
            self._floor.caller_began()

    def _speech_started(self, event: events.SpeechStarted) -> None:
        # The sound from just before the start is still to come.
        margin = int(PRE_ROLL_SECONDS * self._facts.rate)
        self._ledger.receive(event.start_offset - margin)
        if not self._hearing.knows(event.start_offset):
            self._floor.caller_began()
        self._hearing.speech_started(event)

    def _speech_ended(self, event: events.SpeechEnded) -> None:
        self._ledger.receive(event.offset + 1)
        if self._hearing.repeated:
            self._turns.heard_again(event.offset + 1)
        self._hearing.speech_ended(event)

    def _digit_pressed(self, event: events.DigitPressed) -> None:
        self._ledger.receive(event.offset + 1)
        self._turns.digit_pressed(event)

    def _commanded(self, event: events.Commanded) -> None:
        self._ledger.receive(event.offset + 1)
        _COMMANDS.get(event.kind, Turns.commanded)(self._turns, event)

    def _caller_gone(self, event: events.CallerGone) -> None:
        self._ledger.receive(event.offset + 1)
        self._turns.caller_gone(event)

    # What the senses say.

    def _recognised(self, event: events.Recognised) -> None:
        self._hearing.recognised(event)
        self._floor.words_came()

    def _recognition_failed(self, event: events.RecognitionFailed) -> None:
        self._hearing.failed(event.utterance, event.attempt, event.problem, lasting=event.lasting)

    def _text_arrived(self, event: events.TextArrived) -> None:
        if self._thinking.takes(event.thought, event.text):
            engine = self._thinking.choice.name
            self._measure.words_came(event.engine_seconds, engine)
            self._thinking.text_arrived(event.text)
            self._measure.words_planned(engine)

    def _tool_requested(self, event: events.ToolRequested) -> None:
        if self._thinking.takes(event.thought):
            self._measure.tool_wanted(event.engine_seconds)
            self._thinking.tool_requested(event)

    def _thought_finished(self, event: events.ThoughtFinished) -> None:
        engine = self._thinking.choice.name
        if not self._thinking.finished(event.thought):
            self._turns.mind_is_gone()
        self._measure.words_planned(engine)

    def _thought_failed(self, event: events.ThoughtFailed) -> None:
        if not self._thinking.failed(event.thought, event.problem, lasting=event.lasting):
            self._turns.mind_is_gone()

    def _words_due(self) -> None:
        if not self._thinking.tick():
            self._turns.mind_is_gone()

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

    def _sentence_sounded(self, event: events.SentenceSounded) -> None:
        if not self._speaking.sounded(event):
            self._turns.voice_is_gone()

    def _speech_failed(self, event: events.SpeechFailed) -> None:
        if not self._speaking.failed(event.speech, event.problem, lasting=event.lasting):
            self._turns.voice_is_gone()

    def _sound_due(self) -> None:
        if not self._speaking.tick():
            self._turns.voice_is_gone()


def _course(sense: str, bot: Bot, standings: Standings) -> Course[Any]:
    """Return what all races of one sense have in common."""
    budget = standings.budget(sense, bot.name, getattr(bot.engines.hedge, sense))
    entries = bot.minds if sense == "llm" else getattr(bot.engines, sense)
    return Course(sense, entries, standings, budget)
