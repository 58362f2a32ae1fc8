"""Who has the floor: barge-ins judged, the bot cut off or let go on, utterances made turns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.commands import Flush, PlayOn, Show
from orchestrator.endpointing import has_words, is_backchannel
from voicemesh.api.journal.v1 import journal_pb2

if TYPE_CHECKING:
    from orchestrator.events import BargedIn, PlayoutReported
    from orchestrator.hearing import Hearing
    from orchestrator.ledger import Ledger
    from orchestrator.speaking import Speaking
    from orchestrator.thinking import Thinking
    from orchestrator.utterance import Utterance
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
        self._played = 0
        self._playing_since: float | None = None
        self._rate = 0
        self._on_hold = False

    def begin(self, rate: int, played_offset: int) -> None:
        """Take note of where playout stands; flush what a broken session could not."""
        self._rate, self._played = rate, played_offset
        owed = self._ledger.memory.owed_flush
        if owed:
            self._ledger.emit(Flush(*owed))
            self._played = max(self._played, owed[1])

    @property
    def quiet(self) -> bool:
        """Whether neither side speaks or is about to, though each could."""
        return not (self._hearing.active or self.bot_has_it or self._on_hold)

    @property
    def bot_has_it(self) -> bool:
        """Whether the bot speaks, or is about to, or something of it is still to be heard."""
        return (
            self._barge_in is not None
            or self._thinking.turn is not None
            or not self._speaking.idle
            or self._played < self._speaking.cursor
        )

    # What happens.

    def caller_began(self) -> None:
        """Take note of what the bot was doing; begin no sentence while the caller speaks."""
        self._look_at_what_is_left()
        self._speaking.hold()

    def playout_reported(self, event: PlayoutReported) -> None:
        """Take note of what was played, and whether it can be at all."""
        self._on_hold = event.on_hold
        self._played = max(self._played, event.played_offset)
        playing = event.played_offset < event.buffered_offset
        self._playing_since = self._ledger.now if playing else None

    def barged_in(self, event: BargedIn) -> None:
        """Judge a barge-in as soon as there are words; playout waits until then."""
        self._played = max(self._played, event.heard_offset)
        # One that is in the journal was judged; the flush that it led to was sent again. So was
        # one whose words are there.
        if event.offset <= self._ledger.memory.barge_in_offset or self._hearing.repeated:
            return
        if not self._may_interrupt:
            self._ledger.emit(PlayOn())
            return
        self._barge_in = event
        self._look_at_what_is_left()
        self._ledger.set_deadline(BARGE_IN, BARGE_IN_SECONDS)
        self.words_came()

    def words_came(self) -> None:
        """Cut the bot off once the words are more than a sign of listening."""
        utterance = self._hearing.utterance
        if utterance is None or not self._may_interrupt:
            return
        if self.bot_has_it and not is_backchannel(utterance.text):
            self.cut_off()

    # What follows.

    def cut_off(self) -> None:
        """Have the bot fall silent; of what it said only what was heard counts."""
        heard = self._heard()
        offset = self._barge_in.offset if self._barge_in else self._ledger.received
        turns = self._speaking.unheard(heard)
        self._thinking.stop()
        if turns or self._barge_in:
            self._speaking.interrupt(turns, heard, offset)
            self._played = self._speaking.cursor
        self._barge_in = self._playing_since = None
        self._ledger.clear_deadline(BARGE_IN)

    def starts_turn(self, utterance: Utterance) -> bool:
        """Whether an utterance that is over is an answer, or only a noise or a nod."""
        if not has_words(utterance.text):
            return False
        if not self.bot_has_it:
            return True
        nod = is_backchannel(utterance.text) and self._bot_had_much_to_say
        return self._may_interrupt and not nod

    def note(self, utterance: Utterance, turn: int, consumed_offset: int) -> None:
        """Journal an utterance; ``turn`` 0 where it starts none, and the bot goes on."""
        if turn and self.bot_has_it:
            self.cut_off()
        if self._barge_in:
            # Before the entry: once the gateway has that, it never tells of the barge-in again.
            self._barge_in = None
            self._ledger.clear_deadline(BARGE_IN)
            self._ledger.emit(PlayOn())
        said = journal_pb2.CallerSaid(
            turn=turn,
            text=utterance.text,
            start_offset=utterance.start_offset,
            end_offset=utterance.end_offset,
            engine=utterance.engine,
        )
        self._ledger.write("caller_said", said, consumed_offset)
        if turn:
            show = Show(False, utterance.text, True, turn, utterance.start_offset)
            self._ledger.emit(show)
        self._speaking.release()

    def _look_at_what_is_left(self) -> None:
        left = self._speaking.cursor - self._heard()
        busy = self._thinking.turn is not None or not self._speaking.idle
        self._bot_had_much_to_say = busy or left > MUCH_LEFT_SECONDS * self._rate

    def _heard(self) -> int:
        """Return the bot offset up to which the caller heard, as far as can be told."""
        if self._barge_in:
            return self._barge_in.heard_offset
        if self._playing_since is None:
            return self._played
        # Reports come every half second; between them playout goes on in real time.
        since = int((self._ledger.now - self._playing_since) * self._rate)
        return max(self._played, min(self._played + since, self._speaking.cursor))
