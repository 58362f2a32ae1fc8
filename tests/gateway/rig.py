"""A call driven in memory: loudness for voice activity, and a clock that the test moves."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from gateway import commands as do, events as on
from gateway.call import Call, CallSettings, Phase
from gateway.hearing import Feed, Skip
from gateway.vad import WINDOW_MS, Window
from voicemesh.api.journal.v1 import journal_pb2
from voicemesh.audio import Chunk, Samples
from voicemesh.errors import OutOfOrder

if TYPE_CHECKING:
    from collections.abc import Iterable

FRAME = 0.02
RATE = 8000
LOUD = 500


class Loudness:
    """Stands in for the model of all calls: a window is speech if it is loud."""

    def __init__(self) -> None:
        self._rows: dict[int, tuple[int, int, Samples]] = {}
        self._count = 0
        self.looked_at = 0

    def open(self, rate: int) -> int:
        self._count += 1
        self._rows[self._count] = rate * WINDOW_MS // 1000, 0, np.empty(0, np.int16)
        return self._count

    def close(self, slot: int) -> None:
        del self._rows[slot]

    def feed(self, slot: int, samples: Samples) -> None:
        window, begin, held = self._rows[slot]
        self._rows[slot] = window, begin, np.concatenate([held, samples])

    def skip(self, slot: int, gap: int) -> list[Window]:
        window, _, held = self._rows[slot]
        missing = -held.size % window
        self.feed(slot, np.zeros(min(gap, missing), np.int16))
        if gap <= missing:
            return []
        found = self._step(slot)
        window, begin, held = self._rows[slot]
        assert not held.size
        self._rows[slot] = window, begin + gap - missing, held
        return found

    def run(self) -> list[Window]:
        return [window for slot in self._rows for window in self._step(slot)]

    def _step(self, slot: int) -> list[Window]:
        window, begin, held = self._rows[slot]
        found = []
        while held.size >= window:
            self.looked_at += 1
            begin += window
            found.append(Window(slot, begin, float(np.abs(held[:window]).mean() > LOUD)))
            held = held[window:]
        self._rows[slot] = window, begin, held
        return found


def speech(seconds: float, start: int = 0, rate: int = RATE) -> Samples:
    """Return loud samples, each of which tells where it belongs."""
    return ((np.arange(round(seconds * rate)) + start) % 20000 + 1000).astype(np.int16)


def silence(seconds: float, rate: int = RATE) -> Samples:
    return np.zeros(round(seconds * rate), np.int16)


@dataclass
class Rig:
    """One call, its voice activity and its time; `out` is what came out, and when."""

    settings: CallSettings = field(default_factory=lambda: CallSettings(rate=RATE))
    now: float = 100.0
    acking: bool = True
    """Whether an orchestrator acknowledges at once what it receives, without committing it."""
    out: list[tuple[float, do.Command]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.call = Call(self.settings, self.now)
        self.vad = Loudness()
        self.slot = self.vad.open(self.settings.rate)
        self.sent_offset = 0
        self.sequence = 0

    def handle(self, event: on.Event) -> list[do.Command]:
        """Give the call an event, as the shell would, and return what came of it."""
        found: list[do.Command] = []
        for command in self.call.handle(event, self.now):
            if isinstance(command, Feed):
                self.vad.feed(self.slot, command.samples)
            elif isinstance(command, Skip):
                for window in self.vad.skip(self.slot, command.samples):
                    found += self.handle(on.WindowHeard(window.end, window.probability))
            else:
                found.append(command)
                self.out.append((self.now, command))
        return found

    def tick(self) -> list[do.Command]:
        found = []
        for window in self.vad.run():
            if self.call.phase is not Phase.ENDED:
                found += self.handle(on.WindowHeard(window.end, window.probability))
        if self.call.phase is not Phase.ENDED:
            found += self.handle(on.Ticked())
        return found

    def hear(self, samples: Samples, chunk: float = FRAME) -> list[do.Command]:
        """Have the caller send this in real time, without a gap."""
        found = []
        size = round(chunk * self.settings.rate)
        for begin in range(0, samples.size, size):
            piece = samples[begin : begin + size]
            self.now += piece.size / self.settings.rate
            if self.call.phase is not Phase.ENDED:
                found += self.handle(on.CallerSounded(self.sent_offset, piece))
            self.sent_offset += piece.size
            found += self.tick()
            found += self._acknowledge(found)
        return found

    def wait(self, seconds: float) -> list[do.Command]:
        """Let time pass while the caller sends nothing."""
        found = []
        for _ in range(round(seconds / FRAME)):
            self.now += FRAME
            found += self.tick()
            found += self._acknowledge(found)
        return found

    def _acknowledge(self, found: list[do.Command]) -> list[do.Command]:
        ends = [message.end for message in messages(found) if isinstance(message, Chunk)]
        if not self.acking or not ends or self.call.phase is not Phase.LIVE:
            return []
        return self.handle(on.Acknowledged(ends[-1], 0))

    def ready(self, wanted: int = 0) -> list[do.Command]:
        return self.handle(on.LinkReady(wanted))

    def journal(self, **event: object) -> list[do.Command]:
        """Have the orchestrator journal an event, named as in the entry's oneof."""
        entry = journal_pb2.Entry(sequence=self.sequence, **event)  # type: ignore[arg-type]
        self.sequence += 1
        return self.handle(on.EntriesCame([entry]))

    def plan(self, turn: int = 1, sentence: int = 0) -> None:
        planned = journal_pb2.SentencePlanned(turn=turn, sentence=sentence, text="Hello.")
        self.journal(sentence_planned=planned)

    def sent(self) -> list[object]:
        return messages(command for _, command in self.out)


def messages(commands: Iterable[do.Command]) -> list[object]:
    """Return what was sent to the orchestrator."""
    return [command.message for command in commands if isinstance(command, do.Send)]


def refused(rig: Rig, event: on.Event) -> bool:
    """Whether the call does not allow the event."""
    try:
        rig.handle(event)
    except OutOfOrder:
        return True
    return False
