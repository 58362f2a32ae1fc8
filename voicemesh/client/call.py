"""One call, as the caller holds it."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Unpack

from voicemesh.audio import Decoder, Encoder, internal_rate, rescale, write_wav
from voicemesh.client import convert
from voicemesh.client.answers import Answer, answers
from voicemesh.client.events import (
    Action,
    BotAudio,
    Cleared,
    Ended,
    Resumed,
    Transcript,
    Turn,
)
from voicemesh.client.lines import Lines
from voicemesh.client.mouth import FRAME_SECONDS, CallerClock, Mouth
from voicemesh.client.playback import Playback
from voicemesh.client.request import Request, Wishes
from voicemesh.client.saying import Saying, check_digits
from voicemesh.errors import DeadlineMissed, Unavailable, VoicemeshError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    import grpc.aio

    from voicemesh.api.call.v1 import call_pb2
    from voicemesh.audio import Samples
    from voicemesh.client.events import Event, Started
    from voicemesh.client.saying import Said

MAX_EVENTS = 20_000
"""Events kept for a reader who does not come: about six minutes of audio. Then the oldest go."""
GOODBYE_SECONDS = 10.0
"""How long a gateway may take to end a call that was hung up."""


class Call:
    """A call in progress: `async with Call.place(target, bot=..., caller_format=...) as call`.

    Iterate over it for its events. Leaving the block hangs up.
    """

    def __init__(
        self,
        request: Request,
        target: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.request = request
        self.clock = clock
        self.started: Started
        self.mouth = Mouth(request.caller_format.rate, send_silence=request.send_silence)
        self.sent = CallerClock(self.mouth.frame_size)
        heard = request.bot_format or request.caller_format
        self.playback = Playback(heard.rate, keep_sound=request.keep_sound)
        self.transcripts: list[Transcript] = []
        """Final words of both sides, in order."""
        self.turns: list[Turn] = []
        """Every turn's waterfall."""
        self.actions: list[Action] = []
        """What was done to the call."""
        self.clears: list[Cleared] = []
        """Every interruption."""
        self.resumes: list[Resumed] = []
        """Every change to another gateway."""
        self.ended: Ended | None = None
        """The end; None while the call goes on."""
        self._lines = Lines(target, request.to_proto(), self, request.caller_format.rate, clock)
        self._encoder = Encoder(request.caller_format, request.caller_format.rate)
        self._decoder = Decoder(heard, heard.rate)
        self._saying = Saying(self.mouth)
        self._hung_up = False
        self._events: deque[Event] = deque(maxlen=MAX_EVENTS)
        self._failure: VoicemeshError | None = None
        self._over = asyncio.Event()
        self._changed = asyncio.Event()

    @classmethod
    @asynccontextmanager
    async def place(
        cls, target: str, *, channel: grpc.aio.Channel | None = None, **request: Unpack[Wishes]
    ) -> AsyncIterator[Call]:
        """Call a bot at `target`, any gRPC target; the keywords are those of `Request`.

        If it names several addresses, the call survives that one of them dies as well.
        """
        call = cls(Request(**request), target)
        try:
            call._begin(await call._lines.open(channel))
            speaking = asyncio.create_task(call._speak())
            try:
                yield call
                await call._say_goodbye()
            finally:
                speaking.cancel()
                await asyncio.gather(speaking, return_exceptions=True)
        finally:
            await call._lines.close()

    @property
    def over(self) -> bool:
        """Whether the call has ended or broken off."""
        return self._over.is_set()

    def say(self, samples: Samples) -> Said:
        """Queue speech at the caller's rate; await what is returned to wait until it was said."""
        return self._saying.say(samples)

    def dtmf(self, digits: str) -> None:
        """Press keys, one after another."""
        check_digits(digits)
        for digit in digits:
            self._lines.kept.key(self.mouth.next_offset, convert.dtmf_request(digit))
        self._lines.sent()

    def hang_up(self) -> None:
        """End the call; `wait_ended` tells when it is over."""
        if not self._hung_up:
            self._hung_up = True
            self._lines.kept.close(convert.hang_up_request())
            self._lines.sent()

    async def wait_ended(self, seconds: float | None = None) -> Ended:
        """Return the end of the call; raise what broke it off, or DeadlineMissed."""
        try:
            await asyncio.wait_for(self._over.wait(), seconds)
        except TimeoutError as error:
            raise DeadlineMissed(f"the call did not end within {seconds:g} s") from error
        return self._end()

    async def change(self, seconds: float | None = None) -> None:
        """Return at the next event, at the end of the call, or after `seconds`."""
        if not self._over.is_set():
            changed = self._changed
            with suppress(TimeoutError):
                await asyncio.wait_for(changed.wait(), seconds)

    async def __aiter__(self) -> AsyncIterator[Event]:
        """Yield each event once, `Ended` last; raise what broke the call off."""
        while True:
            while self._events:
                yield self._events.popleft()
            if self._over.is_set():
                self._end()
                return
            await self.change()

    def answers(self) -> list[Answer]:
        """Return how long each answer took, end of speech to first bot audio, at this end."""
        return answers(self.mouth, self.sent, self.playback)

    def answer_to(self, turn: Turn) -> Answer | None:
        """Return a turn's answer as this end saw it, if there was one."""
        rate = self.request.caller_format.rate
        end = rescale(turn.report.end_offset, internal_rate(self.request.caller_format), rate)
        before = [answer for answer in self.answers() if answer.utterance.offset < end]
        return before[-1] if before else None

    def record(self, path: Path) -> None:
        """Write what was said and heard so far: caller left, bot right."""
        rate = self.mouth.rate
        began = self.sent.began
        heard = self.playback.track(self.clock() if began is None else began, rate)
        write_wav(path, rate, self.mouth.track(), heard)

    def _end(self) -> Ended:
        if self.ended is None:
            raise self._failure or Unavailable("the call broke off", reason="BROKE_OFF")
        return self.ended

    async def _say_goodbye(self) -> None:
        if not self._over.is_set():
            self.hang_up()
        await self.wait_ended(GOODBYE_SECONDS)

    # What the lines bring.

    def came(self, message: call_pb2.ConverseResponse) -> None:
        event = convert.event_from_proto(message, self._decoder, self.clock())
        if event is not None and self._note(event):
            self._tell(event)

    def resumed(self, started: call_pb2.Started) -> None:
        event = Resumed(started.replica, started.region, self.clock())
        self.resumes.append(event)
        self.mouth.show_place()
        self._tell(event)

    def lost(self, error: VoicemeshError) -> None:
        if not self._over.is_set():
            self._failure = error
            self._finish()

    def standing(self) -> tuple[int, int, int]:
        heard = self.playback.heard(self.clock())
        return self.mouth.next_offset, heard, self.playback.next_offset

    def _begin(self, started: call_pb2.Started) -> None:
        self.started = convert.started_from_proto(started)
        self._events.append(self.started)

    def _finish(self) -> None:
        self._over.set()
        self._lines.over()
        self._saying.over()
        self._notify()

    async def _speak(self) -> None:
        """Send a frame every 20 ms; one that is late does not make the next one late."""
        began, frames = self.clock(), 0
        while not self._over.is_set():
            due = began + frames * FRAME_SECONDS
            await asyncio.sleep(max(due - self.clock(), 0))
            frames += 1
            self._lines.tick()
            if not self._hung_up:
                self._send_frame()
                self._saying.moved()

    def _send_frame(self) -> None:
        frame = self.mouth.frame()
        if frame is not None:
            data = self._encoder.encode(frame.samples)
            message = convert.audio_request(frame.offset, data)
            self._lines.kept.audio(frame.offset, frame.samples.size, message)
            self._lines.sent()
        self.sent.tick(self.clock())

    def _notify(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    def _tell(self, event: Event) -> None:
        self._events.append(event)
        self._notify()

    def _note(self, event: Event) -> bool:
        """Take note of an event; return False if it was known before a gateway died."""
        match event:
            case BotAudio():
                self.playback.arrive(event.offset, event.samples, event.arrived)
            case Cleared():
                self.playback.clear(event.offset, event.arrived)
                self.clears.append(event)
            case Transcript() if event.final:
                if self.resumes and any(_same_words(event, each) for each in self.transcripts):
                    return False
                self.transcripts.append(event)
            case Turn():
                self.turns.append(event)
            case Action():
                self.actions.append(event)
            case Ended():
                self.ended = event
                self._finish()
        return True


def _same_words(one: Transcript, other: Transcript) -> bool:
    """Return whether two transcripts tell of the same words at the same place."""
    return (one.speaker, one.turn, one.start_offset, one.text) == (
        other.speaker,
        other.turn,
        other.start_offset,
        other.text,
    )
