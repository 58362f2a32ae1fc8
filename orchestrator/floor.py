"""Who has the floor: barge-ins judged, the bot cut off or let go on, utterances made turns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.commands import PlayOn, Show
from orchestrator.endpointing import has_words, is_backchannel
from voicemesh.api.journal.v1 import journal_pb2

if TYPE_CHECKING:
    from orchestrator.events import BargedIn, PlayoutReported
    from orchestrator.hearing import Hearing, Utterance
    from orchestrator.ledger import Ledger
    from orchestrator.speaking import Speaking
    from orchestrator.thinking import Thinking
    from voicemesh.bots import Bot

BARGE_IN = "barge_in"

BARGE_IN_SECONDS = 4.0
"""How long a pause may last undecided; then the caller is taken at their word."""
MUCH_LEFT_SECONDS = 1.0
""""Yes" close to the end of what the bot says is an answer; before that it means "go on"."""


class Floor:
    """Judges who may speak; knows what was played."""

    def __init__(
        self, ledger: Ledger, bot: Bot, hearing: Hearing, thinking: Thinking, speaking: Speaking
    ) -> None:
        self._ledger = ledger
        self._may_interrupt = bot.barge_in.enabled
        self._hearing = hearing
        self._thinking = thinking
        self._speaking = speaking
        self._barge_in: BargedIn | None = None
        self._bot_had_much_to_say = False
        self.played = 0
        """Bot offset behind the last sample known to be played."""

    @property
    def quiet(self) -> bool:
        """Whether neither side speaks or is about to."""
        return not (self._hearing.active or self._bot_has_the_floor())

    def caller_began(self, rate: int) -> None:
        """Take note of what the bot was doing; keep back a reply that was not heard yet."""
        left = self._speaking.cursor - self.played
        busy = self._thinking.turn is not None or not self._speaking.idle
        self._bot_had_much_to_say = busy or left > MUCH_LEFT_SECONDS * rate
        if busy and not self._speaking.sounding_now:
            self._speaking.withhold()

    def playout_reported(self, event: PlayoutReported) -> None:
        """Take note of what was played."""
        self.played = max(self.played, event.played_offset)

    def barged_in(self, event: BargedIn) -> None:
        """Judge a barge-in as soon as there are words; playout waits until then."""
        self.played = max(self.played, event.heard_offset)
        if event.offset <= self._ledger.memory.barge_in_offset:
            self._speaking.flush(event.heard_offset)
            return
        self._barge_in = event
        self._ledger.set_deadline(BARGE_IN, BARGE_IN_SECONDS)
        self.words_came()

    def words_came(self) -> None:
        """Cut the bot off once the words are more than a sign of listening."""
        utterance = self._hearing.utterance
        if utterance is None or not self._bot_has_the_floor() or not self._may_interrupt:
            return
        if not is_backchannel(utterance.text):
            self.cut_off()

    def cut_off(self) -> None:
        """Have the bot fall silent; of what it said only what was heard counts."""
        barge_in = self._barge_in
        self._ledger.clear_deadline(BARGE_IN)
        self._barge_in = None
        heard = barge_in.heard_offset if barge_in else self.played
        offset = barge_in.offset if barge_in else self._ledger.received
        turns = self._speaking.unheard(heard)
        self._thinking.stop()
        if turns or barge_in:
            self._speaking.interrupt(turns, heard, offset)

    def starts_turn(self, utterance: Utterance) -> bool:
        """Whether an utterance that is over is an answer, or only a noise or a nod."""
        if not has_words(utterance.text):
            return False
        if not self._bot_has_the_floor():
            return True
        nod = is_backchannel(utterance.text) and self._bot_had_much_to_say
        return self._may_interrupt and not nod

    def note(self, utterance: Utterance, turn: int) -> None:
        """Journal an utterance; ``turn`` 0 where it starts none, and the bot goes on."""
        if turn and self._bot_has_the_floor():
            self.cut_off()
        said = journal_pb2.CallerSaid(
            turn=turn,
            text=utterance.text,
            start_offset=utterance.start_offset,
            end_offset=utterance.end_offset,
        )
        self._ledger.write("caller_said", said, utterance.next_offset)
        if turn:
            show = Show(False, utterance.text, True, turn, utterance.start_offset)
            self._ledger.emit(show)
        elif self._barge_in:
            self._barge_in = None
            self._ledger.clear_deadline(BARGE_IN)
            self._ledger.emit(PlayOn())
        self._speaking.release()

    def _bot_has_the_floor(self) -> bool:
        return (
            self._barge_in is not None
            or self._thinking.turn is not None
            or not self._speaking.idle
            or self.played < self._speaking.cursor
        )
