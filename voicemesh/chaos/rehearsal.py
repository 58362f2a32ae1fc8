"""An undisturbed call whose words are what all others are held to: for engines nobody scripts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voicemesh.chaos.caller import FORMAT, Caller
from voicemesh.chaos.talk import GREETING, Line, RehearsedTalk
from voicemesh.client import Speaker
from voicemesh.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from voicemesh.chaos.caller import Held
    from voicemesh.chaos.mesh import Mesh
    from voicemesh.chaos.talk import Script, Talk

QUESTIONS = (
    "At what time can I come in the morning?",
    "Where can I leave my car?",
    "How do I get to you by train?",
    "Do you have parking?",
)


async def rehearsed(mesh: Mesh) -> Callable[[int, int], Talk]:
    """Hold a call in peace; return the talk of all calls that are to be like it."""
    async with Speaker.at(mesh.inner, engine="hibari") as speaker:
        lines = [Line(text, await speaker.speak(text, FORMAT), 1) for text in QUESTIONS]
    done: list[Held] = []
    first = RehearsedTalk(lines, (GREETING,), [])
    await Caller(0, mesh.edge, lambda *_: first, done.append).hold(0)
    evidence = done[0].evidence
    heard, script = _script(evidence.journal)
    if evidence.failure or len(heard) != len(lines):
        problem = evidence.failure or f"{len(heard)} of {len(lines)} questions were understood"
        raise Unavailable(f"the undisturbed call already failed: {problem}", reason="REHEARSAL")
    known = [Line(text, line.samples, 1) for text, line in zip(heard, lines, strict=True)]
    return lambda *_: RehearsedTalk(known, (GREETING,), script)


def _script(journal: Sequence[Mapping[str, Any]]) -> tuple[list[str], Script]:
    """Return what the caller was understood to say, and the sentences that answered."""
    heard: list[str] = []
    answers: dict[int, list[str]] = {}
    for entry in journal:
        said, planned = entry.get("caller_said"), entry.get("sentence_planned")
        if said and said.get("turn"):
            heard.append(said.get("text", ""))
        elif planned and planned.get("turn"):
            answers.setdefault(int(planned["turn"]), []).append(planned["text"])
    return heard, [tuple(answers.get(turn, [])) for turn in range(1, len(heard) + 1)]
