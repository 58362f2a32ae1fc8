"""Whose turn it is: what the caller's words, keys and silence lead to, and how a call ends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator import built_in
from orchestrator.commands import GoAway, Leave, Show
from orchestrator.digits import DIGITS
from orchestrator.endpointing import has_words
from orchestrator.silence import SILENCE
from voicemesh.api.journal.v1 import journal_pb2
from voicemesh.bots import HANG_UP, TRANSFER
from voicemesh.journal import ReplyState

if TYPE_CHECKING:
    from orchestrator.digits import Digits
    from orchestrator.endings import Endings
    from orchestrator.events import CallerGone, Commanded, DigitPressed
    from orchestrator.floor import Floor
    from orchestrator.hearing import Hearing
    from orchestrator.ledger import Ledger
    from orchestrator.measure import Measure
    from orchestrator.silence import Silence
    from orchestrator.speaking import Speaking
    from orchestrator.thinking import Thinking
    from orchestrator.utterance import Utterance
    from orchestrator.wishes import Wishes
    from voicemesh.bots import Bot

COMMIT = "commit"
REPLAY = "replay"
LAST_WORDS = "last_words"

COMMIT_SECONDS = 1.0
"""How long keys and commands stay un-committed: the sound of speech that began before one may
still be on its way."""
REPLAY_SECONDS = 0.2
"""After a resume nothing new is begun for so long: what the caller said meanwhile comes first."""
LAST_WORDS_SECONDS = 1.0
"""How long the end of a call waits for the words that the caller was saying."""
HAND_OVER_SECONDS = 5.0
"""How long the gateway may take to open the call anew for another bot; it does so at a pause."""
NOT_CAUGHT = "I'm sorry, I didn't catch that."


@dataclass(frozen=True, slots=True)
class Parts:
    """What a conversation is made of."""

    ledger: Ledger
    hearing: Hearing
    thinking: Thinking
    speaking: Speaking
    floor: Floor
    endings: Endings
    wishes: Wishes
    silence: Silence
    digits: Digits
    measure: Measure


class Turns:
    """Starts turns and replies."""

    def __init__(self, bot: Bot, parts: Parts) -> None:
        self._bot = bot
        self._parts = parts
        self._ledger = parts.ledger
        self._memory = parts.ledger.memory
        self._dealt_with = self._memory.consumed_offset
        """Behind the caller's last word, key or command that is in the journal."""
        self._gone: CallerGone | None = None
        self._leaving = False
        """Whether the gateway was asked to open the call anew, for another bot."""

    # What leads to a reply, or to an end.

    def greet(self) -> None:
        """Have the bot's first words said."""
        if self._bot.greeting or self._bot.brain.opens:
            self._start_reply(0, "" if self._bot.brain.opens else self._bot.greeting)

    def take_up(self) -> None:
        """Do what the journal owes."""
        self._ledger.set_deadline(REPLAY, REPLAY_SECONDS)
        for turn in self._memory.turns:
            for sentence in turn.sentences:
                if sentence.end_offset is None and turn.reply is not ReplyState.INTERRUPTED:
                    self._parts.speaking.say(turn.number, sentence)
        self._parts.endings.repeat()
        self._parts.thinking.resume_tools()
        newest = self._memory.turn
        if newest and newest.reply is ReplyState.OPEN:
            self._parts.thinking.answer(newest)
        elif newest and newest.reply is ReplyState.NONE:
            self._reply(newest.number, "" if newest.caller_text else NOT_CAUGHT)
        if built_in.owes_greeting(self._memory) and not self._handed_over:
            self._introduce()

    def _introduce(self) -> None:
        """Have the first words said of a bot that has taken over."""
        noted = journal_pb2.BrainNoted(name=built_in.BOT, value_json=built_in.greeted(self._memory))
        self._ledger.write("brain_noted", noted)
        speaks = self._bot.greeting or self._bot.brain.opens
        if speaks and self._parts.thinking.turn is None:
            self._reply_on_own("" if self._bot.brain.opens else self._bot.greeting)

    @property
    def _handed_over(self) -> bool:
        """Whether another bot is in charge: the call is to be opened anew, with that one."""
        return built_in.bot_in_charge(self._memory) not in ("", self._bot.name)

    def digit_pressed(self, event: DigitPressed) -> None:
        """Take a key; it may interrupt the bot."""
        if not self._parts.digits.pressed(event):
            return
        if self._parts.floor.bot_has_it and self._bot.keypad.interrupts:
            self._parts.floor.cut_off()
        if self._parts.digits.complete:
            self.answer_digits()

    def answer_digits(self) -> None:
        """Answer the keys that were pressed, now or when the bot has ended."""
        if self._parts.floor.bot_has_it and not self._bot.keypad.interrupts:
            self._parts.digits.hold()
        elif self._enter_digits():
            self._reply(self._memory.turns[-1].number)

    def told(self, event: Commanded) -> None:
        """Take what the caller said, in words: a turn, unless the journal has it already."""
        self._commit_soon(event.offset + 1)
        if event.offset < self._memory.said_offset:
            return
        while self._enter_digits():
            pass
        if self._parts.floor.bot_has_it:
            self._parts.floor.cut_off()
        number = self._next_turn()
        self._dealt_with = max(self._dealt_with, event.offset + 1)
        said = journal_pb2.CallerSaid(
            turn=number,
            text=event.argument,
            start_offset=event.offset,
            end_offset=event.offset + 1,
        )
        self._ledger.write("caller_said", said, self._reflected(event.offset + 1))
        self._ledger.emit(Show(False, event.argument, True, number, event.offset))
        self._reply(number)

    def hushed(self, event: Commanded) -> None:
        """Have the bot fall silent: the caller spoke over it."""
        self._commit_soon(event.offset + 1)
        repeated = event.offset <= self._memory.barge_in_offset
        if self._parts.floor.bot_has_it and not repeated:
            self._parts.floor.cut_off()

    def commanded(self, event: Commanded) -> None:
        """Do what an application asks for."""
        self._commit_soon(event.offset + 1)
        if self._parts.wishes.take(event) and event.kind != "say":
            self._parts.endings.want(event.kind, event.argument)

    def break_silence(self) -> None:
        """Ask whether the caller is still there, or give up."""
        if self._parts.silence.asked_enough:
            self._parts.endings.want(HANG_UP)
        else:
            self._reply_on_own(self._parts.silence.reprompt)

    def mind_is_gone(self) -> None:
        """End the call with the fallback's line: no brain is left."""
        self._parts.thinking.give_up()
        if self._bot.fallback.line:
            self._reply_on_own(self._bot.fallback.line)
        self.voice_is_gone()

    def voice_is_gone(self) -> None:
        """End the call: no voice is left."""
        self._parts.thinking.give_up()
        target = self._bot.fallback.transfer
        self._parts.endings.want(TRANSFER if target else HANG_UP, target)

    def caller_gone(self, event: CallerGone) -> None:
        """End the call as soon as the caller's last words are known."""
        if self._gone:
            return
        self._gone = event
        if self._parts.floor.bot_has_it:
            self._parts.floor.cut_off()
        self._ledger.clear_deadline(DIGITS, SILENCE)
        self._ledger.set_deadline(LAST_WORDS, LAST_WORDS_SECONDS)
        self._parts.hearing.conclude_now()

    def last_words_missed(self) -> None:
        """End the call with the words that are known."""
        self._parts.hearing.give_up()

    def heard_again(self, offset: int) -> None:
        """Take note that an utterance before ``offset`` is in the journal already."""
        self._commit_soon(offset)

    def commit(self) -> None:
        """Let the gateway forget keys and commands that are in the journal."""
        self._ledger.commit(self._reflected(self._dealt_with))

    # What follows.

    def react(self) -> None:
        """Do whatever the new state calls for."""
        parts = self._parts
        while utterance := parts.hearing.take_over():
            self._utterance_over(utterance)
            parts.hearing.go_on()
            if self._gone:
                parts.hearing.conclude_now()
            elif parts.hearing.active:
                parts.floor.caller_began()
        if self._gone is None:
            self._go_on()
        elif not parts.hearing.active:
            self._end_call(self._gone)

    def _go_on(self) -> None:
        parts = self._parts
        busy = parts.thinking.turn or parts.hearing.active or self._ledger.has_deadline(REPLAY)
        if parts.wishes.waiting and not busy:
            self._reply_on_own(parts.wishes.next_words())
        if parts.thinking.turn is None and parts.speaking.idle:
            if not parts.wishes.waiting:
                parts.speaking.finish()
                parts.endings.order_what_is_owed()
            if self._handed_over and not self._leaving:
                self._leaving = True
                self._ledger.emit(GoAway(HAND_OVER_SECONDS))
            self._ledger.compact_if_due()
        parts.silence.watch(quiet=parts.floor.quiet and not parts.endings.wanted)

    def _utterance_over(self, utterance: Utterance) -> None:
        unheard = utterance.gave_up and not has_words(utterance.text)
        starts_turn = unheard or self._parts.floor.starts_turn(utterance)
        if starts_turn:
            # Keys pressed before are inputs of their own, answered together with the words.
            while self._enter_digits():
                pass
        number = self._next_turn() if starts_turn else 0
        self._dealt_with = max(self._dealt_with, utterance.next_offset)
        self._parts.floor.note(utterance, number, self._reflected(utterance.next_offset))
        if starts_turn:
            self._parts.measure.begin(utterance.waterfall, number, utterance.text)
            self._reply(number, NOT_CAUGHT if unheard else "")

    def _enter_digits(self) -> bool:
        entered = self._parts.digits.take()
        if entered is None:
            return False
        if self._parts.floor.bot_has_it:
            self._parts.floor.cut_off()
        turn = self._next_turn()
        pressed = journal_pb2.DigitsPressed(
            turn=turn, digits=entered.digits, end_offset=entered.end_offset, meaning=entered.meaning
        )
        self._ledger.write("digits_pressed", pressed)
        self._commit_soon(entered.end_offset + 1)
        self._parts.digits.written()
        return True

    def _end_call(self, event: CallerGone) -> None:
        while self._enter_digits():
            pass
        self._parts.hearing.leave()
        ended = journal_pb2.CallEnded(reason=event.reason)
        self._ledger.write("call_ended", ended, event.offset + 1)
        self._ledger.clear_all_deadlines()
        self._ledger.acknowledge()
        self._ledger.emit(Leave())

    def _reply(self, turn: int, literal: str = "") -> None:
        """Answer the caller, unless this bot does not, or the call is about to end anyway."""
        over = self._gone or self._handed_over or self._parts.endings.decided
        if self._bot.replies and not over:
            self._start_reply(turn, literal)

    def _reply_on_own(self, literal: str) -> None:
        self._start_reply(self._next_turn(), literal)

    def _start_reply(self, turn: int, literal: str) -> None:
        started = journal_pb2.ReplyStarted(turn=turn, literal=literal)
        self._ledger.write("reply_started", started)
        self._parts.measure.reply_began(turn)
        self._parts.thinking.answer(self._memory.turns[-1])

    def _next_turn(self) -> int:
        newest = self._memory.turn
        return newest.number + 1 if newest else 1

    def _commit_soon(self, offset: int) -> None:
        self._dealt_with = max(self._dealt_with, offset)
        self._ledger.set_deadline(COMMIT, COMMIT_SECONDS)

    def _reflected(self, offset: int) -> int:
        """Return how far the caller is reflected when all before ``offset`` was dealt with."""
        pending = (self._parts.hearing.first_offset, self._parts.digits.first_offset)
        return min([offset, *(first for first in pending if first is not None)])
