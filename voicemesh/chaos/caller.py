"""Holds calls that check themselves: speaks its lines, waits for each answer, hangs up."""

from __future__ import annotations

import asyncio
import math
import time
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from voicemesh.audio import tonetext
from voicemesh.chaos.gaps import Heard
from voicemesh.chaos.talk import EXTRAS
from voicemesh.chaos.verdict import RATE, Evidence, Said
from voicemesh.client import FORMATS, Call
from voicemesh.errors import Refused, VoicemeshError

if TYPE_CHECKING:
    from collections.abc import Callable

    from voicemesh.chaos.talk import Line, Talk
    from voicemesh.client.playback import Piece

FORMAT = FORMATS["pcmu"]
ANSWER_SECONDS = 25.0
"""A call that is not answered for so long goes no further."""
HALT_SECONDS = 0.25
"""Between two frames: a gateway waits 0.4 s for what a network delays, and takes what comes later
for silence. A mesh on a busy machine needs some of that itself."""
QUIET_SECONDS = 0.1
"""Silence after which it is worth looking whether the answer is complete."""
HEARD_OUT_SECONDS = 2.5
"""Silence after which an answer is taken to be complete that cannot be read, or not to its end."""
GOODBYE_SECONDS = 15.0
AGAIN_SECONDS = 1.0
"""How long somebody whose call was lost takes to dial again."""
_END = "."
"""How every sentence of the bot ends."""


@dataclass(eq=False)
class Held:
    """One call that is over."""

    evidence: Evidence
    row: int
    began: float
    ended: float = 0.0
    answers: list[Heard] = field(default_factory=list)
    tools: list[str] = field(default_factory=list)
    """Words of each line that asked for the tool."""
    stood: bool = False
    """Whether the mesh had taken it."""
    refused: bool = False
    """Whether it never stood because the mesh said that it was busy; the caller tried again."""


class Caller:
    """One of the callers of a run: one call after another until the time is over."""

    def __init__(
        self,
        row: int,
        target: str,
        talk: Callable[[int, int], Talk],
        done: Callable[[Held], None],
    ) -> None:
        self._row = row
        self._target = target
        self._talk = talk
        self._done = done

    async def run(self, until: float) -> None:
        """Hold calls until `until`; the last one is ended in peace."""
        number = 0
        while not number or time.monotonic() < until:
            if not await self.hold(number, until):
                await asyncio.sleep(AGAIN_SECONDS)
            number += 1

    async def hold(self, number: int, until: float = math.inf) -> bool:
        """Hold one call, to the end of its talk or until `until`; return whether it went well."""
        talk = self._talk(self._row, number)
        evidence = Evidence(f"caller {self._row} call {number}", talk)
        held = Held(evidence, self._row, time.monotonic())
        try:
            await self._hold(held, until)
        except VoicemeshError as error:
            held.refused = isinstance(error, Refused) and not held.stood
            if not held.refused:
                evidence.failure = f"{type(error).__name__} {error.reason}: {error}"
        held.ended = time.monotonic()
        self._done(held)
        return not (evidence.failure or held.refused)

    async def _hold(self, held: Held, until: float) -> None:
        async with Call.place(self._target, bot="chaos", caller_format=FORMAT) as call:
            held.evidence.call, held.stood = call.started.call_id, True
            try:
                await _Conversation(call, held).run(until)
            finally:
                evidence = held.evidence
                evidence.heard_samples = call.playback.heard_samples
            call.hang_up()
            ended = await call.wait_ended(GOODBYE_SECONDS)
        evidence.journal = ended.journal
        if ended.reason != "caller_hung_up":
            evidence.failure = f"ended: {ended.reason}"


class _Conversation:
    """One call while it goes on."""

    def __init__(self, call: Call, held: Held) -> None:
        self._call = call
        self._held = held
        self._taken = 0
        self._checked = 0
        self._late = False
        self._read: tuple[int, list[str]] = (0, [])

    async def run(self, until: float) -> None:
        call, talk = self._call, self._held.evidence.talk
        goes_on = await self._answer(len(talk.greeting))
        self._take()
        for turn in range(1, talk.turns + 1):
            if not goes_on or call.over or call.clock() >= until:
                break
            line = talk.line(turn)
            asked = await self._say(line)
            goes_on = await self._answer(line.answers, asked)
            self._note(turn, line, asked)
        self._take()

    async def _say(self, line: Line) -> float:
        call, evidence = self._call, self._held.evidence
        said = await call.say(line.samples)
        self._late = self._late or self._halted(self._checked, said.offset)
        halting, late = self._halted(said.offset, said.end), self._late
        self._late, self._checked = late or halting, said.end
        evidence.said.append(Said(line.text, said.speech_start, said.speech_end, halting, late))
        if line.uses_tool and not halting:
            self._held.tools.append(line.text)
        return call.sent.sent_at(said.speech_end) or call.clock()

    def _halted(self, start: int, end: int) -> bool:
        """Return whether frames of a stretch left so late that a gateway takes it for a pause."""
        sent, size = self._call.sent, self._call.mouth.frame_size
        times = [sent.sent_at(offset) for offset in range(start, end + size, size)]
        known = [time for time in times if time is not None]
        return any(later - time >= HALT_SECONDS for time, later in pairwise(known))

    async def _answer(self, sentences: int, asked: float | None = None) -> bool:
        """Return once the answer was heard; False if it did not come."""
        call = self._call
        began = call.clock() if asked is None else asked
        while not call.over:
            now, until = call.clock(), call.playback.audible_until
            quiet = now - until
            if quiet >= QUIET_SECONDS and self._complete(sentences, quiet):
                return True
            if now >= max(began, until) + ANSWER_SECONDS:
                return False
            # Looked at again when something comes, or when what came has been heard out.
            left = [wait - quiet for wait in (QUIET_SECONDS, HEARD_OUT_SECONDS) if wait > quiet]
            await call.change(left[0] if left else ANSWER_SECONDS)
        return False

    def _pieces(self) -> list[Piece]:
        return self._call.playback.pieces[self._taken :]

    def _complete(self, sentences: int, quiet: float) -> bool:
        pieces, heard_out = self._pieces(), quiet >= HEARD_OUT_SECONDS
        if not pieces or not self._held.evidence.talk.readable:
            return bool(pieces) and heard_out
        # What cannot be read may only lack its end, which is late.
        ends = (_END, tonetext.DAMAGED) if heard_out else _END
        whole = [text for text in self._texts(pieces) if text.endswith(ends)]
        return len([text for text in whole if text not in EXTRAS]) >= sentences

    def _texts(self, pieces: list[Piece]) -> list[str]:
        """Return the words in the sound; what was read before is not read again."""
        count = sum(piece.count for piece in pieces)
        if count != self._read[0]:
            sound = [piece.samples for piece in pieces if piece.samples is not None]
            self._read = count, tonetext.texts(np.concatenate(sound), self._call.playback.rate)
        return self._read[1]

    def _take(self) -> list[Piece]:
        """Keep the words that arrived, and return their pieces."""
        pieces = self._pieces()
        evidence = self._held.evidence
        if pieces and evidence.talk.readable:
            evidence.heard += self._texts(pieces)
        self._taken += len(pieces)
        self._read = 0, []
        return pieces

    def _note(self, turn: int, line: Line, asked: float) -> None:
        """Keep what was heard of an answer, and when."""
        pieces, rate = self._take(), self._call.playback.rate
        sounded = [(piece.play_at, piece.play_at + piece.count / rate) for piece in pieces]
        # What is still heard while the caller speaks is the end of the answer before.
        late = [run for run in sounded if run[0] < asked]
        runs = tuple(sounded[len(late) :])
        if late and self._held.answers:
            before = self._held.answers.pop()
            self._held.answers.append(replace(before, runs=(*before.runs, *late)))
        if runs:
            sort = "tool" if line.uses_tool else "plain"
            call = self._held.evidence.call
            # Who conducted this turn, and the one before.
            replicas = {each.report.replica for each in self._call.turns[-2:]}
            replicas |= self._gateways(asked)
            heard = Heard(call, self._held.row, sort, asked, runs, frozenset(replicas))
            self._held.answers.append(replace(heard, tail=self._tail(turn)))

    def _tail(self, turn: int) -> float:
        """Return how much later than it was the end of a line was heard."""
        known = [each.report for each in self._call.turns[-2:] if each.report.turn == turn]
        said = self._held.evidence.said[-1]
        return (known[-1].end_offset - said.end) / RATE if known else 0.0

    def _gateways(self, since: float) -> set[str]:
        """Return the gateways that held the call from a time on."""
        before, later = self._call.started.replica, set[str]()
        for resumed in self._call.resumes:
            if resumed.arrived < since:
                before = resumed.replica
            else:
                later.add(resumed.replica)
        return {before, *later}
