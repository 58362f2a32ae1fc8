"""Rounds of measurements: the peer and voicemesh in turn, each with nothing else running."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from bench.peers.figures import Comparison, Sample
from bench.peers.peer import running
from voicemesh.bench.mesh import scripted_mesh
from voicemesh.bench.run import Load, measure
from voicemesh.commands.bench import PROVIDERS, Delays
from voicemesh.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

GOALS = {"energy": 4.5, "silero": 7.0, "defaults": 9.0}
"""Ways for the peer to notice speech, and how many times less we want to use."""
CALLS = {"energy": 20, "silero": 15, "defaults": 5}
"""As many calls as the peer sustains on one core of a small server."""
OPTIONS = {
    "VOICEMESH_SCRIPT_STT_FINAL": "stt-final",
    "VOICEMESH_SCRIPT_LLM_FIRST_TOKEN": "llm-first-token",
    "VOICEMESH_SCRIPT_LLM_TOKEN_RATE": "llm-token-rate",
    "VOICEMESH_SCRIPT_TTS_FIRST_AUDIO": "tts-first-audio",
}
"""What our scripted engines are told, and what the peer's stubs call it."""


@dataclass(frozen=True, kw_only=True)
class Match:
    """What is compared."""

    python: Path
    """Interpreter of the peer's environment."""
    rounds: int = 5
    seconds: float = 20.0
    """How long each measurement lasts, after its calls were placed."""
    calls: Mapping[str, int] = field(default_factory=lambda: CALLS)
    """Calls at once for each way to notice speech."""
    own_calls: int = 100
    """Calls of one more measurement of voicemesh in each round; 0 for none."""
    delays: Delays = Delays.ZERO
    pin: bool = True
    """Whether what is measured and the load generator are kept on different cores."""

    def load(self, target: str, calls: int) -> Load:
        """Return the same load for either: half speech, half silence, nobody interrupts."""
        return Load(
            target=target,
            leg="twilio",
            calls=calls,
            seconds=self.seconds,
            interrupting=0.0,
            pin=self.pin,
        )

    def settings(self) -> dict[str, str]:
        """Return what scripted engines are told."""
        return PROVIDERS if self.delays is Delays.PROVIDERS else {}

    def count(self) -> int:
        """Return how many measurements it takes."""
        return self.rounds * (2 * len(self.calls) + bool(self.own_calls))


@dataclass
class Result:
    """Every round's samples."""

    comparisons: tuple[Comparison, ...]
    own: tuple[Sample, ...]
    """voicemesh with the calls of `Match.own_calls`."""


async def compare(match: Match, note: Callable[[str, Sample | None], None]) -> Result:
    """Measure everything; `note` is told what is measured next, and then how it went.

    Who is first alternates, so that a machine that becomes slower or faster favours nobody.
    """
    found = {setting: Comparison(setting, n, (), (), GOALS[setting]) for setting, n in _all(match)}
    own: list[Sample] = []
    for number in range(match.rounds):
        for setting, calls in _all(match):
            pair = {}
            for who in ("peer", "ours") if number % 2 == 0 else ("ours", "peer"):
                shown = f"{'Pipecat, ' + setting if who == 'peer' else 'voicemesh'}, {calls} calls"
                note(shown, None)
                pair[who] = await (
                    _peer(match, setting, calls) if who == "peer" else _ours(match, calls)
                )
                note(shown, pair[who])
            so_far = found[setting]
            found[setting] = replace(
                so_far,
                peer=(*so_far.peer, pair["peer"]),
                ours=(*so_far.ours, pair["ours"]),
            )
        if match.own_calls:
            shown = f"voicemesh, {match.own_calls} calls"
            note(shown, None)
            own.append(await _ours(match, match.own_calls))
            note(shown, own[-1])
    return Result(tuple(found.values()), tuple(own))


def _all(match: Match) -> list[tuple[str, int]]:
    return [(setting, match.calls[setting]) for setting in GOALS if setting in match.calls]


async def _peer(match: Match, setting: str, calls: int) -> Sample:
    options = [f"--{OPTIONS[name]}={value}" for name, value in match.settings().items()]
    async with running(match.python, setting, options) as peer:
        return Sample.of(await measure(match.load(peer.address, calls), peer))


async def _ours(match: Match, calls: int) -> Sample:
    async with scripted_mesh(match.settings()) as mesh:
        there = await mesh.members()
        if there is None:
            raise Unavailable("the mesh ended before it was measured")
        return Sample.of(await measure(match.load(there.edge_target, calls), mesh))
