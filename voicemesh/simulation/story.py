"""What happens to a world: how many calls there are to be, and what is lost when."""

from __future__ import annotations

from dataclasses import dataclass

from voicemesh.errors import InvalidInput


@dataclass(frozen=True)
class Story:
    """A rush of calls. Times are seconds from its beginning."""

    calls: float = 1_000_000
    """Calls that go on at once at the peak, if none is refused."""
    ramp: float = 1800.0
    """How long their number grows, evenly, from none."""
    seconds: float = 2700.0
    """How long is simulated."""
    call_seconds: float = 180.0
    """How long a call lasts on average; its length is exponentially distributed."""
    lost: str = ""
    """Region that is lost; empty for none."""
    lost_at: float = 1800.0
    lost_share: float = 1.0
    """Share of its orchestrators and engines; 1 takes its gateways and their calls, too."""
    step: float = 1.0
    """How far apart batches of calls are."""
    sample: float = 60.0
    """How far apart is what is reported."""
    seed: int = 1

    def __post_init__(self) -> None:
        for name, least, most in (
            ("calls", 1, 100_000_000),
            ("ramp", 0, 86_400),
            ("seconds", 1, 86_400),
            ("call_seconds", 1, 86_400),
            ("lost_at", 0, 86_400),
            ("lost_share", 0, 1),
            ("step", 0.01, 60),
        ):
            value = getattr(self, name)
            if not least <= value <= most:
                raise InvalidInput(name, f"is {value:g}, not from {least:g} to {most:g}")
        if self.seconds / self.step > 500_000:
            raise InvalidInput("step", f"is {self.step:g}: more than 500000 steps")

    def wanted(self, now: float) -> float:
        """Return how many calls there would be if none was ever refused."""
        return self.calls * min(now / self.ramp, 1.0) if self.ramp else self.calls

    def rate(self, now: float) -> float:
        """Return how many calls begin per second: what ends, and what the ramp adds."""
        growth = self.calls / self.ramp if now < self.ramp else 0.0
        return growth + self.wanted(now) / self.call_seconds
