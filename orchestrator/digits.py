"""Keys that the caller presses, gathered into inputs."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from orchestrator.built_in import KEYPAD, keypad
from voicemesh.api.journal.v1 import journal_pb2

if TYPE_CHECKING:
    from orchestrator.events import DigitPressed
    from orchestrator.ledger import Ledger
    from voicemesh.bots import Keypad

DIGITS = "digits"
MASK = "****"
"""What is written of a secret input."""
HELD_SECONDS = 0.2
"""How often it is looked whether the bot has ended, for which an input waits."""


class Input(NamedTuple):
    """Keys that belong together."""

    digits: str
    """The keys, or `MASK`."""
    meaning: str
    """What the caller is taken to have said; empty: the digits."""
    end_offset: int
    """Offset of the last key."""


class Digits:
    """Gathers keys until the terminator, a pause, or as many as there may be."""

    def __init__(self, ledger: Ledger, keypad: Keypad) -> None:
        self._ledger = ledger
        self._usual = keypad
        self._pressed: list[DigitPressed] = []

    @property
    def _keypad(self) -> Keypad:
        """How the keys are taken that come next: as the brain asked for them, or as usual."""
        return keypad(self._ledger.memory, self._usual)

    @property
    def first_offset(self) -> int | None:
        """Offset of the first key that is not in the journal yet."""
        return self._pressed[0].offset if self._pressed else None

    @property
    def complete(self) -> bool:
        """Whether nothing can follow."""
        return self._end() is not None

    def pressed(self, event: DigitPressed) -> bool:
        """Take a key; return False if it is in the journal already."""
        if event.offset <= self._ledger.memory.digits_offset:
            return False
        self._pressed.append(event)
        self._ledger.set_deadline(DIGITS, self._keypad.pause_seconds)
        return True

    def hold(self) -> None:
        """Let the input wait a little."""
        self._ledger.set_deadline(DIGITS, HELD_SECONDS)

    def take(self) -> Input | None:
        """Return the next input, and begin anew; None if there is none."""
        self._ledger.clear_deadline(DIGITS)
        end = self._end() or len(self._pressed)
        pressed, self._pressed = self._pressed[:end], self._pressed[end:]
        if not pressed:
            return None
        taken = self._keypad
        if self._pressed:
            # More was pressed while this input had to wait.
            self._ledger.set_deadline(DIGITS, taken.pause_seconds)
        keys = "".join(event.digit for event in pressed)
        digits = keys.removesuffix(taken.terminator) or keys
        offset = pressed[-1].offset
        if digits in taken.menu:
            return Input(digits, taken.menu[digits], offset)
        if taken.secret:
            self._ledger.secret = digits
            return Input(MASK, taken.secret_meaning, offset)
        return Input(digits, "", offset)

    def written(self) -> None:
        """Take keys as usual again: the input that the brain asked for is in the journal."""
        if KEYPAD in self._ledger.memory.notes:
            self._ledger.write("brain_noted", journal_pb2.BrainNoted(name=KEYPAD))

    def _end(self) -> int | None:
        """Return how many keys the first input has; None if it may go on."""
        most = self._keypad.most_digits
        for count, event in enumerate(self._pressed[:most], 1):
            if event.digit == self._keypad.terminator:
                return count
        return most if len(self._pressed) >= most else None
