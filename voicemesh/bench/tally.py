"""What the callers of one process have measured, small enough to be handed to another process."""

from __future__ import annotations

import base64
from array import array
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Self

SERIES = ("turns", "mesh", "lateness", "setups", "interruptions", "ticks")


def _floats() -> array[float]:
    return array("f")


@dataclass
class Tally:
    """Counts what happens between `begin` and `end`; set-ups and failures always. Seconds."""

    begin: float = 0.0
    """When the measurement begins."""
    end: float = float("inf")
    """When it ends."""
    turns: array[float] = field(default_factory=_floats)
    """End of the caller's speech to the bot's first audio."""
    mesh: array[float] = field(default_factory=_floats)
    """The part of each turn that neither silence nor an engine took, as the gateway reports it."""
    lateness: array[float] = field(default_factory=_floats)
    """Of each of the bot's frames, against an ideal clock."""
    setups: array[float] = field(default_factory=_floats)
    """From placing a call to its being answered."""
    interruptions: array[float] = field(default_factory=_floats)
    """From the caller's first word to the bot's being cut off."""
    ticks: array[float] = field(default_factory=_floats)
    """Lateness of the load generator's own clock."""
    unheeded_interruptions: int = 0
    """The bot talked on until the caller spoke again."""
    early_answers: int = 0
    """The bot began to speak while the caller spoke."""
    failures: Counter[str] = field(default_factory=Counter)
    """Calls that failed, by reason."""
    placed: int = 0
    """Calls placed."""
    session_seconds: float = 0.0
    """Time that all calls together have lasted."""

    def turn(self, seconds: float, spoken_at: float) -> None:
        """Note an answer of the bot."""
        if self.begin <= spoken_at < self.end:
            self.turns.append(seconds)

    def mesh_share(self, seconds: float, now: float) -> None:
        """Note where a turn's time went."""
        if self.begin <= now < self.end:
            self.mesh.append(seconds)

    def frame(self, late: float, now: float) -> None:
        """Note a frame of the bot's."""
        if self.begin <= now < self.end:
            self.lateness.append(late)

    def set_up(self, seconds: float) -> None:
        """Note that a call was answered."""
        self.setups.append(seconds)

    def interruption(self, seconds: float, onset: float) -> None:
        """Note that the bot was cut off by its caller."""
        if self.begin <= onset < self.end:
            self.interruptions.append(seconds)

    def unheeded(self, onset: float) -> None:
        """Note that the bot was not cut off by its caller."""
        if self.begin <= onset < self.end:
            self.unheeded_interruptions += 1

    def early(self, now: float) -> None:
        """Note that the bot began to speak while its caller spoke."""
        if self.begin <= now < self.end:
            self.early_answers += 1

    def tick(self, late: float, now: float) -> None:
        """Note how late the load generator itself is."""
        if self.begin <= now < self.end:
            self.ticks.append(late)

    def live(self, seconds: float, now: float) -> None:
        """Note how long calls have gone on, added up."""
        if self.begin <= now < self.end:
            self.session_seconds += seconds

    def failed(self, why: str) -> None:
        """Note a call that failed."""
        self.failures[why] += 1

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        told: dict[str, Any] = {
            name: base64.b64encode(getattr(self, name).tobytes()).decode() for name in SERIES
        }
        return told | {
            "unheeded": self.unheeded_interruptions,
            "early": self.early_answers,
            "failures": dict(self.failures),
            "placed": self.placed,
            "session_seconds": self.session_seconds,
        }

    @classmethod
    def joined(cls, told: Iterable[dict[str, Any]]) -> Self:
        """Return the sum of what several processes told."""
        whole = cls()
        for one in told:
            for name in SERIES:
                getattr(whole, name).frombytes(base64.b64decode(one[name]))
            whole.unheeded_interruptions += one["unheeded"]
            whole.early_answers += one["early"]
            whole.failures.update(one["failures"])
            whole.placed += one["placed"]
            whole.session_seconds += one["session_seconds"]
        return whole
