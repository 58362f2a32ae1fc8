"""Which fault strikes when, by the seed alone: the same seed gives the same schedule, anywhere."""

from __future__ import annotations

import random
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from voicemesh.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Sequence

_JITTER = 0.25
"""Faults come this much earlier or later than evenly, as a share of their distance."""
BLOCK_SECONDS = 1.0
"""How long a blocked event loop is blocked."""


class Kind(StrEnum):
    """What is done to a process."""

    KILL = "kill"
    """SIGKILL."""
    HANG = "hang"
    """SIGSTOP, and SIGCONT after a while: a ghost wakes up."""
    LOOP = "loop"
    """Its event loop is blocked; its other threads run on."""
    CUT = "cut"
    """Its connections swallow everything for a while."""
    DRAIN = "drain"
    """It is replaced and drains."""
    DEPLOY = "deploy"
    """Every process is replaced, one after another."""
    TOOL = "tool"
    """SIGKILL to an orchestrator when it calls a tool: at no time of the plan's, but at each."""
    PROVIDER = "provider"
    """The provider that engines ask is sick: at no time of the plan's either."""


class Target(StrEnum):
    """What is hurt."""

    ORCHESTRATOR = "orchestrator"
    STT = "stt"
    LLM = "llm"
    TTS = "tts"
    GATEWAY = "gateway"
    EDGE = "edge"
    MESH = "mesh"


ENVOYS = frozenset({Target.EDGE, Target.MESH})
_LASTS = {Kind.HANG: (1.0, 4.0), Kind.CUT: (1.0, 4.0), Kind.LOOP: (BLOCK_SECONDS, BLOCK_SECONDS)}
"""Shortest and longest; a fault that is not in here is over at once."""
_NEEDS_PYTHON = frozenset({Kind.LOOP})
_UNPLANNED = frozenset({Kind.TOOL, Kind.PROVIDER})


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that will go wrong."""

    number: int
    """From 0."""
    at: float
    """When, seconds from the first moment of chaos."""
    kind: Kind
    target: Target | None
    """What is hurt; None: everything."""
    pick: float
    """Which of its replicas: 0 to 1, over those that serve then."""
    seconds: float
    """How long it lasts; 0: it is over at once."""

    @property
    def name(self) -> str:
        """Kind and target in one."""
        return f"{self.kind} {self.target}" if self.target else str(self.kind)


def plan(
    seed: int, seconds: float, every: float, kinds: Sequence[Kind], targets: Sequence[Target]
) -> tuple[Fault, ...]:
    """Return the faults of a run, in order; raise InvalidInput where none could ever strike."""
    dice = random.Random(seed)  # noqa: S311 - a schedule, no secret
    pairs, bag = _pairs(kinds, targets), list[tuple[Kind, Target | None]]()
    faults = []
    for number in range(int(seconds / every) if pairs else 0):
        at = (number + 0.5 + dice.uniform(-_JITTER, _JITTER)) * every
        if not bag:
            # Each once before any comes again, so that a short run misses none.
            bag = dice.sample(pairs, len(pairs))
        kind, target = bag.pop()
        lasts = dice.uniform(*_LASTS.get(kind, (0.0, 0.0)))
        faults.append(Fault(number, at, kind, target, dice.random(), lasts))
    return tuple(faults)


def _pairs(kinds: Sequence[Kind], targets: Sequence[Target]) -> list[tuple[Kind, Target | None]]:
    pairs: list[tuple[Kind, Target | None]] = []
    for kind in kinds:
        if kind is Kind.DEPLOY:
            pairs.append((kind, None))
            continue
        if kind in _UNPLANNED:
            continue
        able = [each for each in targets if not (kind in _NEEDS_PYTHON and each in ENVOYS)]
        if not able:
            raise InvalidInput("--fault", f"{kind} cannot strike any of {', '.join(targets)}")
        pairs += [(kind, target) for target in able]
    if not kinds:
        raise InvalidInput("--fault", "name at least one")
    return pairs
