"""What a gateway's tick costs: calls of Twilio's in virtual time, `python -m bench.tick [CALLS]`.

No socket, no gRPC, no clock: only what the gateway itself computes, Silero included. Callers say
the clip of `voicemesh bench`, are silent as long, and are answered with 1.7 s of sound. So it can
be compared between versions on a busy machine, which nothing that happens in real time can.
"""

from __future__ import annotations

import json
import sys
import time
from base64 import b64encode
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

import numpy as np

from gateway import convert, events as on, reports
from gateway.call import CallSettings
from gateway.floor import TICK_SECONDS, Floor
from gateway.legs.carrier import CarrierLeg
from gateway.live import LiveCall
from gateway.records import Records
from gateway.vad import VadBatch, Window
from voicemesh.api.journal.v1 import journal_pb2
from voicemesh.audio import Chunk
from voicemesh.bench.clip import FRAME_SECONDS, RATE, SILENCE, recorded
from voicemesh.carriers.dialect import Began, DialectSettings
from voicemesh.carriers.twilio import DIALECT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.link import Link
    from voicemesh.carriers.dialect import Frame
    from voicemesh.errors import VoicemeshError

WARM_SECONDS, SECONDS = 6.0, 12.0
ANSWER = (1600, 8000, 4000)
"""Samples of each message of an answer."""


@dataclass
class Clock:
    """Stands still unless it is moved."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


class TimedVad(VadBatch):
    """Counts what the model takes."""

    seconds = 0.0

    def run(self) -> list[Window]:
        began = time.process_time()
        windows = super().run()
        self.seconds += time.process_time() - began
        return windows


class Wire:
    """A socket that takes everything."""

    unsent = 0
    writes = 0

    def write(self, _frames: Sequence[Frame]) -> None:
        Wire.writes += 1

    def close(self, error: VoicemeshError | None, seconds: float = 0.0) -> None:
        raise AssertionError(error)


@dataclass
class Orchestrator:
    """A link whose other end answers everything that is said to it, when it is asked to."""

    live: LiveCall
    due: float = float("inf")
    over: bool = False
    sent: int = 0
    waiting: list[object] = field(default_factory=list)
    sequence: int = 0
    turn: int = 0
    offset: int = 0

    def open(self) -> None:
        self.live.linked(on.LinkReady(0))

    def tick(self, _pause: bool) -> None:
        """Nothing waits for time."""

    def close(self) -> None:
        """Nothing is open."""

    def send(self, message: Chunk | reports.Report | reports.PlayoutReport) -> None:
        self.sent += 1
        convert.request_from(message).SerializeToString()
        if isinstance(message, Chunk | reports.SpeechOver):
            self.waiting.append(message)

    def work(self) -> None:
        waiting, self.waiting = self.waiting, []
        for message in waiting:
            if isinstance(message, Chunk):
                self.live.linked(on.Acknowledged(message.end, 0))
            elif isinstance(message, reports.SpeechOver):
                self._answer(message.offset + 1)

    def _answer(self, consumed: int) -> None:
        self.turn += 1
        said = journal_pb2.CallerSaid(turn=self.turn, text="hello", end_offset=consumed)
        self._write(consumed, caller_said=said)
        self.live.linked(on.Acknowledged(consumed, consumed))
        self._write(consumed, reply_started=journal_pb2.ReplyStarted(turn=self.turn))
        planned = journal_pb2.SentencePlanned(turn=self.turn, sentence=self.turn, text="Hello.")
        self._write(consumed, sentence_planned=planned)
        for count in ANSWER:
            chunk = Chunk(self.offset, np.full(count, 1000, np.int16))
            self.live.linked(on.BotSounded(chunk))
            self.offset += count
        finished = journal_pb2.SentenceFinished(sentence=self.turn)
        self._write(consumed, sentence_finished=finished)
        self._write(consumed, reply_finished=journal_pb2.ReplyFinished(turn=self.turn))

    def _write(self, consumed: int, **event: object) -> None:
        entry = journal_pb2.Entry(
            sequence=self.sequence,
            consumed_offset=consumed,
            **event,  # type: ignore[arg-type]
        )
        self.sequence += 1
        self.live.linked(on.EntriesCame([entry]))


class Caller:
    """One phone: a frame each 20 ms."""

    def __init__(self, number: int, floor: Floor, clock: Clock) -> None:
        self._stream = f"MZ{number:032x}"
        clip = [b64encode(frame).decode() for frame in recorded().frames]
        self._said = [*clip, *[b64encode(SILENCE).decode()] * len(clip)]
        self._sent, self._begin = 0, number * 7
        application = DIALECT.application(DialectSettings())
        began = cast("Began", next(iter(application.receive(self._start()))))
        self.leg = CarrierLeg(DIALECT, application, began, Wire(), clock)
        settings = CallSettings(rate=RATE)
        self.live = LiveCall(f"call-{number}", settings, self.leg, floor, Records(None))
        self.orchestrator = Orchestrator(self.live)
        self.live.attach(cast("Link", self.orchestrator))

    def _start(self) -> str:
        start = {
            "streamSid": self._stream,
            "callSid": "CA",
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": RATE, "channels": 1},
        }
        return json.dumps({"event": "start", "start": start, "streamSid": self._stream})

    def speak(self) -> None:
        payload = self._said[(self._sent + self._begin) % len(self._said)]
        self._sent += 1
        self.leg.put(
            f'{{"event":"media","sequenceNumber":"{self._sent + 1}","media":{{"track":"inbound",'
            f'"chunk":"{self._sent}","timestamp":"{self._sent * 20}","payload":"{payload}"}},'
            f'"streamSid":"{self._stream}"}}'
        )


def run(callers: list[Caller], floor: Floor, clock: Clock, seconds: float) -> float:
    """Let time pass; return what the ticks took, seconds of CPU."""
    took, end = 0.0, clock.now + seconds
    frame, tick = clock.now + FRAME_SECONDS, clock.now + TICK_SECONDS
    while clock.now < end:
        clock.now = min(frame, tick)
        if clock.now == frame:
            frame += FRAME_SECONDS
            for caller in callers:
                caller.speak()
            continue
        tick += TICK_SECONDS
        began = time.process_time()
        floor.tick()
        took += time.process_time() - began
        for caller in callers:
            caller.orchestrator.work()
    return took


def main(calls: int) -> None:
    """Measure so many calls, once they have all begun."""
    clock, vad = Clock(), TimedVad()
    floor = Floor(vad, clock)
    callers = [Caller(number, floor, clock) for number in range(calls)]
    run(callers, floor, clock, WARM_SECONDS)
    vad.seconds = 0.0
    sent = sum(each.orchestrator.sent for each in callers)
    Wire.writes = 0
    took = run(callers, floor, clock, SECONDS)
    sent = sum(each.orchestrator.sent for each in callers) - sent
    share = 1e6 / calls / SECONDS
    sys.stdout.write(
        f"{calls} calls, microseconds of CPU per call-second: {took * share:.0f} in ticks, "
        f"{vad.seconds * share:.0f} of them for voice activity; "
        f"{sent / calls / SECONDS:.1f} messages and {Wire.writes / calls / SECONDS:.1f} writes "
        f"per call-second\n"
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100)
