"""Engines and tools to try conversations on: deterministic, and each can be made to fail."""

from __future__ import annotations

import json
import zlib
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from orchestrator import commands, events
from tests.orchestrator.model_gateway import RATE, Word
from voicemesh.api.language.v1 import language_pb2

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.orchestrator.clock import Clock
    from voicemesh.audio import Samples

SAMPLES_PER_CHARACTER = 400
FIRST_TOKEN_SECONDS = 0.1
TOKEN_SECONDS = 0.02
FINAL_SECONDS = 0.08
PARTIAL_EVERY_SECONDS = 0.4
FIRST_AUDIO_SECONDS = 0.1
CHUNK_SECONDS = 0.2
TOOL_SECONDS = 0.3

Deliver: TypeAlias = "Callable[[float, events.Event], None]"
"""Brings an event to the conversation after so many seconds, if it still lives then."""


@dataclass
class Fault:
    """What is wrong with one stream: ``refuse``, ``reject`` (for good), ``die`` or ``hang``."""

    kind: str
    after: int = 0
    """Results that still come before it."""


@dataclass
class Faults:
    """Faults of the streams to come, one each; None lets a stream be."""

    stt: deque[Fault | None] = field(default_factory=deque)
    llm: deque[Fault | None] = field(default_factory=deque)
    tts: deque[Fault | None] = field(default_factory=deque)

    def next(self, sense: str) -> Fault | None:
        waiting: deque[Fault | None] = getattr(self, sense)
        return waiting.popleft() if waiting else None


@dataclass(frozen=True)
class Call:
    """A tool that the brain wants."""

    name: str
    arguments: dict[str, Any] = field(default_factory=dict)


Line: TypeAlias = "Sequence[str | Call]"


def sound_of(text: str) -> Samples:
    """Return what a sentence sounds like: long as its text, and unlike every other."""
    size = len(text) * SAMPLES_PER_CHARACTER
    tone = np.arange(size, dtype=np.int64) // 50 + zlib.crc32(text.encode())
    return np.asarray(tone % 20011 + 1, dtype=np.int16)


class Budget:
    """Counts a stream's results until its fault shows."""

    def __init__(self, fault: Fault | None) -> None:
        self.fault = fault
        self._left = fault.after if fault and fault.kind in ("die", "hang") else -1

    @property
    def refused(self) -> bool:
        return self.fault is not None and self.fault.kind in ("refuse", "reject")

    @property
    def lasting(self) -> bool:
        return self.fault is not None and self.fault.kind == "reject"

    def spent(self) -> bool:
        """Whether one more result is one too many."""
        self._left -= 1
        return self.fault is not None and self._left < 0

    @property
    def silent(self) -> bool:
        return self.fault is not None and self.fault.kind == "hang" and self._left < 0

    @property
    def dead(self) -> bool:
        """Whether nothing comes any more, and everybody knows."""
        return self.refused or (self.fault is not None and self._left < 0)


class ModelEar:
    """Understands the caller's words by where they lie."""

    def __init__(self, words: list[Word], deliver: Deliver, faults: Faults) -> None:
        self._words, self._deliver, self._faults = words, deliver, faults
        self._stream = 0
        self._listening: commands.Listen | None = None
        self._budget = Budget(None)
        self._start = self._end = self._partial = 0

    def listen(self, command: commands.Listen) -> None:
        self._listening = command
        self._budget = Budget(self._faults.next("stt"))
        self._start = self._end = self._partial = -1
        if self._budget.refused:
            self._fail("refused")

    def hear(self, command: commands.Hear) -> None:
        assert self._listening, "audio for nobody"
        if self._start < 0:
            self._start = self._partial = command.offset
        assert command.offset >= self._end, "audio went back"
        self._end = command.offset + len(command.data) // 2
        if self._end - self._partial >= PARTIAL_EVERY_SECONDS * RATE:
            self._partial = self._end
            self._say(0.05, final=False)

    def conclude(self) -> None:
        assert self._listening, "conclude for nobody"
        self._say(FINAL_SECONDS, final=True)

    def stop(self) -> None:
        self._listening = None

    def _say(self, seconds: float, *, final: bool) -> None:
        now = self._listening
        if now is None or self._budget.dead:
            return
        if self._budget.spent():
            if not self._budget.silent:
                self._fail("died")
            return
        said = [word.text for word in self._words if self._start <= word.end - 1 < self._end]
        text, end = " ".join(said), max(self._end, 0)
        heard = events.Recognised(now.utterance, now.attempt, text, final, end, seconds / 2)
        self._deliver(seconds, heard)

    def _fail(self, problem: str) -> None:
        now = self._listening
        assert now is not None
        lasting = self._budget.lasting
        self._deliver(0.01, events.RecognitionFailed(now.utterance, now.attempt, problem, lasting))


class ModelMind:
    """Answers by a script, always the same to the same prompt."""

    def __init__(
        self, script: Callable[[commands.Think], Line], deliver: Deliver, faults: Faults
    ) -> None:
        self._script, self._deliver, self._faults = script, deliver, faults

    def think(self, command: commands.Think) -> None:
        thought, budget = command.thought, Budget(self._faults.next("llm"))
        pieces = [] if budget.refused else list(self._script(command))
        seconds = FIRST_TOKEN_SECONDS
        for piece in [*pieces, None]:
            if budget.refused or budget.spent():
                break
            self._deliver(seconds, _thought(thought, piece, seconds))
            seconds += TOKEN_SECONDS
        else:
            return
        if not budget.silent:
            self._deliver(seconds, events.ThoughtFailed(thought, "broke off", budget.lasting))

    def stop(self) -> None:
        """Whatever still comes is of no thought that anybody waits for."""


def _thought(thought: int, piece: str | Call | None, seconds: float) -> events.Event:
    match piece:
        case None:
            return events.ThoughtFinished(thought)
        case str():
            return events.TextArrived(thought, piece, seconds / 2)
        case Call():
            return events.ToolRequested(thought, piece.name, json.dumps(piece.arguments))


def last_message(command: commands.Think) -> language_pb2.Message:
    return command.prompt.messages[-1]


class ModelVoice:
    """Speaks one sentence after the other, ten times as fast as they are heard."""

    def __init__(self, clock: Clock, deliver: Deliver, faults: Faults) -> None:
        self._clock, self._deliver, self._faults = clock, deliver, faults
        self._speech = 0
        self._budget = Budget(None)
        self._free = 0.0
        self._open = False
        self.engine = ""

    def speak(self, command: commands.Speak) -> None:
        self._speech, self._budget = command.speech, Budget(self._faults.next("tts"))
        self._free, self._open, self.engine = self._clock.now, True, command.choice.name
        if self._budget.refused:
            self._fail(0.01)

    def say(self, command: commands.Say) -> None:
        assert self._open, "a sentence for nobody"
        if self._budget.dead:
            return
        sound = sound_of(command.text).astype("<i2").tobytes()
        size = int(CHUNK_SECONDS * RATE) * 2
        at = max(self._free, self._clock.now) - self._clock.now + FIRST_AUDIO_SECONDS
        began: events.Event = events.SentenceSounding(self._speech, command.sentence, 0.05)
        self._deliver(at, began)
        for begin in range(0, len(sound), size):
            if self._budget.spent():
                if not self._budget.silent:
                    self._fail(at)
                return
            self._deliver(at, events.SoundArrived(self._speech, sound[begin : begin + size]))
            at += CHUNK_SECONDS / 10
        self._deliver(at, events.SentenceSounded(self._speech, command.sentence))
        self._free = self._clock.now + at

    def finish(self) -> None:
        assert self._open, "nothing to finish"
        self._open = False
        self._fail(max(0.0, self._free - self._clock.now) + 0.01)

    def stop(self) -> None:
        assert self._open, "nothing to stop"
        self._open = False

    def _fail(self, seconds: float) -> None:
        lasting = self._budget.lasting
        self._deliver(seconds, events.SpeechFailed(self._speech, "broke off", lasting))


class ModelTools:
    """HTTP services that do each key once, however often they are asked."""

    def __init__(self) -> None:
        self.results: dict[str, str] = {}
        self.errors: dict[str, str] = {}
        self.seconds = TOOL_SECONDS
        self.done: dict[str, tuple[str, str]] = {}
        """By key, in order: which tool was called with which arguments."""
        self.calls = 0
        """How often anybody asked."""

    def call(self, command: commands.CallTool, deliver: Deliver) -> None:
        self.calls += 1
        known = self.done.setdefault(command.key, (command.name, command.arguments_json))
        assert known == (command.name, command.arguments_json), "a key for two things"
        error = self.errors.get(command.name, "")
        result = "" if error else self.results.get(command.name, "{}")
        deliver(self.seconds, events.ToolReturned(command.key, result, error))
