"""What is done when nobody says anything: the bot asks, and in the end hangs up."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from orchestrator.ledger import Ledger
    from voicemesh.bots import Bot

SILENCE = "silence"


class Silence:
    """Watches for silence; a bot without a reprompt bears it."""

    def __init__(self, ledger: Ledger, bot: Bot) -> None:
        self._ledger = ledger
        self._settings = bot.silence
        self._watching = bot.replies and bool(bot.silence.reprompt)

    @property
    def reprompt(self) -> str:
        """What the bot asks."""
        return self._settings.reprompt

    def watch(self, *, quiet: bool) -> None:
        """Begin to wait when it has become quiet; stop when it is not any more."""
        if not (quiet and self._watching):
            self._ledger.clear_deadline(SILENCE)
        elif not self._ledger.has_deadline(SILENCE):
            self._ledger.set_deadline(SILENCE, self._settings.reprompt_after_seconds)

    @property
    def asked_enough(self) -> bool:
        """Whether the newest turns are so many reprompts that another is useless."""
        asked = 0
        for turn in reversed(self._ledger.memory.turns):
            if turn.literal != self.reprompt or turn.caller_text:
                break
            asked += 1
        return asked >= self._settings.hang_up_after
