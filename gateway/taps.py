"""What follows a live call without taking part in it: recordings, and whoever is told of events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.commands import LegCommand
    from voicemesh.audio import Samples
    from voicemesh.journal import Entry


class Tap(Protocol):
    """Follows one call; `now` is in seconds. Nothing here waits, or fails a call."""

    def heard(self, samples: Samples, now: float) -> None:
        """Take the caller's audio, as the bot hears it; silence may be left out."""

    def gave(self, command: LegCommand, now: float) -> None:
        """Take note of what the caller's leg was given."""

    def wrote(self, entries: Sequence[Entry], now: float) -> None:
        """Take note of new journal entries."""

    def ticked(self, now: float) -> None:
        """Let time pass."""

    def over(self, now: float) -> None:
        """Take note that the call is not held here any more."""
