"""A caller who asks and asks, for hours of virtual time, and what it costs to go on with the call.

``python -m tests.orchestrator.long_call`` says for calls of 2, 10 and 120 minutes how much a
session is opened with, and how long this machine takes to read that and to go on.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

from orchestrator import commands, events
from orchestrator.conversation import CallFacts, Conversation
from tests.orchestrator.clock import Clock
from tests.orchestrator.driver import answers
from tests.orchestrator.model_gateway import RATE, Word
from tests.orchestrator.model_senses import (
    Call,
    Faults,
    ModelEar,
    ModelMind,
    ModelTools,
    ModelVoice,
)
from voicemesh.api.session.v1 import session_pb2
from voicemesh.bots import Bot
from voicemesh.journal import Journal, Memory, fold

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from voicemesh.journal import Entry

BOT = Bot.model_validate(
    {
        "name": "desk",
        "greeting": "Good day. How can I help you?",
        "max_call_seconds": 86400,
        "tools": [{"name": "look", "description": "Looks.", "url": "http://t/"}],
    }
)
QUESTIONS = (
    "when do you open on saturday",
    "is there a table for two",
    "how do i get to you from the station",
    "look for a room with a view",
)
LINES = answers(
    {
        QUESTIONS[0]: ["On Saturday we open at nine. ", "Is there anything else?"],
        QUESTIONS[1]: ["There is one at eight, by the window."],
        QUESTIONS[3]: [Call("look", {"view": True})],
        "tool {}": ["There are three of them. ", "The one on the fourth floor is the nicest."],
    }
)
TEN_MINUTES, TWO_HOURS = 600.0, 7200.0


@dataclass
class LongCall:
    """A caller who asks one thing after the other; the link never breaks, or breaks each turn."""

    breaking: bool = False
    clock: Clock = field(default_factory=Clock)
    journal: Journal = field(default_factory=Journal)
    words: list[Word] = field(default_factory=list)
    tools: ModelTools = field(default_factory=ModelTools)
    prompts: list[commands.Think] = field(default_factory=list)
    opens: list[tuple[float, Sequence[Entry]]] = field(default_factory=list)
    """What a session would have been opened with after each turn, and when."""
    held: int = 0

    def __post_init__(self) -> None:
        self.open()

    def open(self) -> None:
        memory = fold(self.journal.open_part)
        held = self.held
        facts = CallFacts("call", BOT.name, RATE, "r", buffered_offset=held, played_offset=held)
        self.conversation = Conversation(BOT, facts, memory, 1.7e9)
        ear = ModelEar(self.words, self._deliver(), Faults())
        mind = ModelMind(LINES, self._deliver(), Faults())
        voice = ModelVoice(self.clock, self._deliver(), Faults())
        deliver = self._deliver()
        self.do: dict[type, Callable[[Any], object]] = {
            commands.Write: lambda c: self.journal.append(c.entry),
            commands.SendAudio: self._sounded,
            commands.Listen: ear.listen,
            commands.Hear: ear.hear,
            commands.Conclude: ear.conclude,
            commands.Think: lambda c: self._thinks(mind, c),
            commands.Speak: voice.speak,
            commands.Say: voice.say,
            commands.CallTool: lambda c: self.tools.call(c, deliver),
        }
        self._carry_out(self.conversation.start(self.clock.now))

    def _deliver(self) -> Callable[[float, events.Event], None]:
        def deliver(seconds: float, event: events.Event) -> None:
            conversation = self.conversation
            self.clock.after(seconds, lambda: self._handle(event, conversation))

        return deliver

    def _handle(self, event: events.Event, conversation: Conversation) -> None:
        if conversation is self.conversation:
            self._carry_out(conversation.handle(event, self.clock.now))

    def _carry_out(self, todo: list[commands.Command]) -> None:
        for command in todo:
            self.do.get(type(command), lambda _: None)(command)
        due = self.conversation.next_deadline
        if due is not None:
            self.clock.at(due, self._alarm)

    def _alarm(self) -> None:
        due = self.conversation.next_deadline
        if due is not None and due <= self.clock.now:
            self._carry_out(self.conversation.handle_timer(self.clock.now))

    def _sounded(self, command: commands.SendAudio) -> None:
        self.held = command.offset + len(command.data) // 2

    def _thinks(self, mind: ModelMind, command: commands.Think) -> None:
        self.prompts.append(command)
        mind.think(command)

    def ask(self, text: str) -> None:
        """Say something, and hear the answer."""
        start = int(self.clock.now * RATE)
        size = RATE * 3 // 10
        for number, word in enumerate(text.split()):
            self.words.append(Word(word, start + number * size, start + (number + 1) * size))
        end = self.words[-1].end
        self._tell(events.SpeechStarted(start, start))
        for begin in range(start, end, RATE):
            self._tell(events.AudioArrived(begin, b"\0\0" * min(RATE, end - begin)))
        self.clock.run((end - start) / RATE + 0.2)
        self._tell(events.SpeechEnded(end + RATE // 5, end))
        self.clock.run(2.5)
        heard = self.held
        self._tell(events.PlayoutReported(int(self.clock.now * RATE), heard, heard))
        self.opens.append((self.clock.now, self.journal.open_part))
        if self.breaking:
            self.open()
        self.clock.run(1.0)
        self.words.clear()

    def _tell(self, event: events.Event) -> None:
        self._handle(event, self.conversation)

    @property
    def memory(self) -> Memory:
        return fold(self.journal.open_part)


@cache
def called(seconds: float, *, breaking: bool = False) -> LongCall:
    call = LongCall(breaking)
    while call.clock.now < seconds:
        call.ask(QUESTIONS[len(call.opens) % len(QUESTIONS)])
    return call


def encoded(journal: Sequence[Entry]) -> bytes:
    return session_pb2.Open(call_id="call", journal=journal).SerializeToString()


def resume(data: bytes) -> Conversation:
    """Do what a replica does to go on with a call."""
    memory = fold(session_pb2.Open.FromString(data).journal)
    held = memory.bot_offset
    facts = CallFacts("call", BOT.name, RATE, "r", buffered_offset=held, played_offset=held)
    conversation = Conversation(BOT, facts, memory, 1.7e9)
    conversation.start(0.0)
    return conversation


def steps_to_resume(data: bytes) -> int:
    """Return how many functions are called for it: its time, on no machine in particular."""
    steps = 0

    def count(_frame: object, event: str, _argument: object) -> None:
        nonlocal steps
        steps += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        resume(data)
    finally:
        sys.setprofile(None)
    return steps


def seconds_to_resume(data: bytes) -> float:
    """Return how long it takes here and now, at its best."""
    best = float("inf")
    for _ in range(60):
        began = time.perf_counter()
        resume(data)
        best = min(best, time.perf_counter() - began)
    return best


def main() -> None:
    sys.stdout.write("minutes  bytes  entries  steps  milliseconds\n")
    for minutes in (2, 10, 120):
        journal = called(minutes * 60.0).journal.open_part
        data = encoded(journal)
        steps, milliseconds = steps_to_resume(data), 1e3 * seconds_to_resume(data)
        sys.stdout.write(
            f"{minutes:7} {len(data):6} {len(journal):8} {steps:6} {milliseconds:13.2f}\n"
        )


if __name__ == "__main__":
    main()
