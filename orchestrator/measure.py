"""Follows one turn at a time from the end of the caller's speech to the bot's first audio."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.commands import Report
from voicemesh.api.journal.v1 import turn_pb2

if TYPE_CHECKING:
    from orchestrator.ledger import Ledger
    from orchestrator.waterfall import Waterfall


class Measure:
    """Closes the stages of the turn that is being answered, and reports them once."""

    def __init__(self, ledger: Ledger, replica: str) -> None:
        self._ledger = ledger
        self._replica = replica
        self._waterfall: Waterfall | None = None
        self._tool_seconds = 0.0
        """How long the brain worked for a tool that it wants, before any words."""

    def begin(self, waterfall: Waterfall | None, turn: int, caller_text: str) -> None:
        """Follow a turn; the one before it, if it was not answered, is forgotten."""
        self._waterfall = waterfall
        self._tool_seconds = 0.0
        if waterfall:
            waterfall.turn, waterfall.caller_text = turn, caller_text

    def reply_began(self, turn: int) -> None:
        """Forget a turn that something else is said in the place of."""
        if self._waterfall and self._waterfall.turn != turn:
            self._waterfall = None

    def words_came(self, engine_seconds: float, engine: str) -> None:
        """Take note of the brain's words; only the first count, unless it had spoken before."""
        if self._waterfall and not self._has_sentences:
            self._close(turn_pb2.STAGE_FIRST_TOKEN, engine_seconds, engine)

    def tool_wanted(self, engine_seconds: float) -> None:
        """Take note of the brain's wish for a tool."""
        self._tool_seconds = max(self._tool_seconds, engine_seconds)

    def words_planned(self, engine: str) -> None:
        """Take note that words may have become a sentence."""
        if self._has_sentences:
            # What is said while a tool works was no word of the brain's: its wish was the first.
            self._close(turn_pb2.STAGE_FIRST_TOKEN, self._tool_seconds, engine)
            # Words come as fast as the engine makes them: all of this wait is its own.
            self._close(turn_pb2.STAGE_FIRST_SENTENCE, float("inf"), engine)

    def tools_answered(self) -> None:
        """Take note that the brain is asked again; counts where nothing was said before."""
        waterfall = self._waterfall
        said = self._has_sentences or (waterfall and waterfall.has(turn_pb2.STAGE_FIRST_TOKEN))
        if waterfall and not said:
            waterfall.extend(turn_pb2.STAGE_TOOLS, self._ledger.now)

    def sound_began(self, turn: int, engine_seconds: float, engine: str) -> None:
        """Take note that a sentence of this turn begins to sound."""
        if self._waterfall and self._waterfall.turn == turn:
            self._close(turn_pb2.STAGE_FIRST_AUDIO, engine_seconds, engine)

    def sound_sent(self) -> None:
        """Report the turn once its first audio was sent."""
        waterfall = self._waterfall
        if waterfall and waterfall.has(turn_pb2.STAGE_FIRST_AUDIO):
            self._waterfall = None
            self._ledger.emit(Report(waterfall.report(self._replica)))

    def _close(
        self, stage: turn_pb2.Stage.ValueType, engine_seconds: float = 0.0, engine: str = ""
    ) -> None:
        if self._waterfall:
            self._waterfall.close(stage, self._ledger.now, engine_seconds, engine)

    @property
    def _has_sentences(self) -> bool:
        turn = self._ledger.memory.turn
        return turn is not None and bool(turn.sentences)
