"""What an application asks for: things to be said, each once, when it is the bot's turn."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from voicemesh.api.journal.v1 import journal_pb2

if TYPE_CHECKING:
    from orchestrator.events import Commanded
    from orchestrator.ledger import Ledger

PREFIX = "command."
DONE = "true"
FORGOTTEN = ""
MAX_DONE = 64
"""Wishes that are remembered once they are done; who asks for an older one again, gets it again."""


class Wishes:
    """Keeps in the journal what was asked for, so that a wish survives a resume and is done once.

    A note by the command's key holds the words until they are planned.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._waiting = [
            name
            for name, value in ledger.memory.notes.items()
            if name.startswith(PREFIX) and value != DONE
        ]

    @property
    def waiting(self) -> bool:
        """Whether words are still to be said."""
        return bool(self._waiting)

    def take(self, event: Commanded) -> bool:
        """Journal a command; return False if it is there already."""
        name = PREFIX + event.key
        if name in self._ledger.memory.notes:
            return False
        says = event.kind == "say"
        self._note(name, json.dumps(event.argument) if says else DONE)
        if says:
            self._waiting.append(name)
        self._forget_oldest()
        return True

    def next_words(self) -> str:
        """Return the words of the oldest wish; it counts as done."""
        name = self._waiting.pop(0)
        words = str(json.loads(self._ledger.memory.notes[name]))
        self._note(name, DONE)
        return words

    def _forget_oldest(self) -> None:
        notes = self._ledger.memory.notes
        done = [name for name, value in notes.items() if name.startswith(PREFIX) and value == DONE]
        for name in done[:-MAX_DONE]:
            self._note(name, FORGOTTEN)

    def _note(self, name: str, value_json: str) -> None:
        noted = journal_pb2.BrainNoted(name=name, value_json=value_json)
        self._ledger.write("brain_noted", noted)
