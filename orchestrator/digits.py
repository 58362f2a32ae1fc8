"""Keys that the caller presses, gathered into one input."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from orchestrator.events import DigitPressed
    from orchestrator.ledger import Ledger

DIGITS = "digits"

PAUSE_SECONDS = 2.5
"""Silence of the keys after which the input is complete."""
TERMINATOR = "#"
MAX_DIGITS = 64


class Digits:
    """Gathers keys until the terminator, a pause, or 64 of them."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._pressed: list[DigitPressed] = []

    @property
    def first_offset(self) -> int | None:
        """Offset of the first key that is not in the journal yet."""
        return self._pressed[0].offset if self._pressed else None

    @property
    def complete(self) -> bool:
        """Whether nothing can follow."""
        last = self._pressed[-1].digit if self._pressed else ""
        return last == TERMINATOR or len(self._pressed) >= MAX_DIGITS

    def pressed(self, event: DigitPressed) -> bool:
        """Take a key; return False if it is in the journal already."""
        if event.offset <= self._ledger.memory.digits_offset:
            return False
        self._pressed.append(event)
        self._ledger.set_deadline(DIGITS, PAUSE_SECONDS)
        return True

    def take(self) -> tuple[str, int] | None:
        """Return (digits, offset of the last), and begin anew; None if there are none."""
        self._ledger.clear_deadline(DIGITS)
        pressed, self._pressed = self._pressed, []
        if not pressed:
            return None
        digits = "".join(event.digit for event in pressed)
        return digits.removesuffix(TERMINATOR) or TERMINATOR, pressed[-1].offset
