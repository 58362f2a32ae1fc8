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


@dataclass
class _Hearing:
    """One stream of a recogniser."""

    of: commands.Listen
    budget: Budget
    start: int = -1
    end: int = -1
    partial: int = -1


class ModelEar:
    """Understands the caller's words by where they lie."""

    def __init__(self, words: list[Word], deliver: Deliver, faults: Faults) -> None:
        self._words, self._deliver, self._faults = words, deliver, faults
        self._streams: dict[tuple[int, int], _Hearing] = {}

    def listen(self, command: commands.Listen) -> None:
        key = command.utterance, command.attempt
        assert key not in self._streams, "opened twice"
        stream = self._streams[key] = _Hearing(command, Budget(self._faults.next("stt")))
        if stream.budget.refused:
            self._fail(stream, "refused")

    def hear(self, command: commands.Hear) -> None:
        stream = self._streams[command.utterance, command.attempt]
        if stream.start < 0:
            stream.start = stream.partial = command.offset
        assert command.offset >= stream.end, "audio went back"
        stream.end = command.offset + len(command.data) // 2
        if stream.end - stream.partial >= PARTIAL_EVERY_SECONDS * RATE:
            stream.partial = stream.end
            self._say(stream, 0.05, final=False)

    def conclude(self, command: commands.Conclude) -> None:
        stream = self._streams[command.utterance, command.attempt]
        self._say(stream, FINAL_SECONDS, final=True)

    def stop(self, command: commands.StopListening) -> None:
        del self._streams[command.utterance, command.attempt]

    def _say(self, stream: _Hearing, seconds: float, *, final: bool) -> None:
        if stream.budget.dead:
            return
        if stream.budget.spent():
            if not stream.budget.silent:
                self._fail(stream, "died")
            return
        said = [word.text for word in self._words if stream.start <= word.end - 1 < stream.end]
        text, end, now = " ".join(said), max(stream.end, 0), stream.of
        heard = events.Recognised(now.utterance, now.attempt, text, final, end, seconds / 2)
        self._deliver(seconds, heard)

    def _fail(self, stream: _Hearing, problem: str) -> None:
        now, lasting = stream.of, stream.budget.lasting
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


@dataclass
class _Speech:
    """One stream of a voice."""

    number: int
    budget: Budget
    free: float


class ModelVoice:
    """Speaks one sentence after the other, ten times as fast as they are heard."""

    def __init__(
        self,
        clock: Clock,
        deliver: Deliver,
        faults: Faults,
        sound: Callable[[str, str], Samples] = lambda _, text: sound_of(text),
    ) -> None:
        """``sound`` makes an engine's sound of a text."""
        self._clock, self._deliver, self._faults = clock, deliver, faults
        self._sound = sound
        self._streams: dict[int, _Speech] = {}
        self._engines: dict[int, str] = {}

    def speak(self, command: commands.Speak) -> None:
        budget = Budget(self._faults.next("tts"))
        stream = _Speech(command.speech, budget, self._clock.now)
        assert command.speech not in self._engines, "opened twice"
        self._streams[command.speech] = stream
        self._engines[command.speech] = command.choice.name
        if budget.refused:
            self._fail(stream, 0.01)

    def say(self, command: commands.Say) -> None:
        stream = self._streams[command.speech]
        if stream.budget.dead:
            return
        engine = self._engines[command.speech]
        sound = self._sound(engine, command.text).astype("<i2").tobytes()
        size = int(CHUNK_SECONDS * RATE) * 2
        at = max(stream.free, self._clock.now) - self._clock.now + FIRST_AUDIO_SECONDS
        began: events.Event = events.SentenceSounding(stream.number, command.sentence, 0.05)
        self._deliver(at, began)
        for begin in range(0, len(sound), size):
            if stream.budget.spent():
                if not stream.budget.silent:
                    self._fail(stream, at)
                return
            self._deliver(at, events.SoundArrived(stream.number, sound[begin : begin + size]))
            at += CHUNK_SECONDS / 10
        self._deliver(at, events.SentenceSounded(stream.number, command.sentence))
        stream.free = self._clock.now + at

    def finish(self, command: commands.FinishSpeaking) -> None:
        stream = self._streams.pop(command.speech)
        self._fail(stream, max(0.0, stream.free - self._clock.now) + 0.01)

    def stop(self, command: commands.StopSpeaking) -> None:
        del self._streams[command.speech]

    def _fail(self, stream: _Speech, seconds: float) -> None:
        lasting = stream.budget.lasting
        self._deliver(seconds, events.SpeechFailed(stream.number, "broke off", lasting))


class ModelTools:
    """HTTP services that do each key once, however often they are asked."""

    def __init__(self) -> None:
        self.results: dict[str, str] = {}
        self.errors: dict[str, str] = {}
        self.seconds = TOOL_SECONDS
        self.done: dict[str, tuple[str, str]] = {}
        """By key, in order: which tool was called with which arguments."""
        self.cancelled: list[str] = []
        self.calls = 0
        """How often anybody asked."""

    def call(self, command: commands.CallTool, deliver: Deliver) -> None:
        self.calls += 1
        known = self.done.setdefault(command.key, (command.name, command.arguments_json))
        assert known == (command.name, command.arguments_json), "a key for two things"
        error = self.errors.get(command.name, "")
        result = "" if error else self.results.get(command.name, "{}")
        deliver(self.seconds, events.ToolReturned(command.key, result, error))
