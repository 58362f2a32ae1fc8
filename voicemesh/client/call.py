"""One call, as the caller holds it."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, Unpack

from voicemesh.audio import Decoder, Encoder, internal_rate, rescale, write_wav
from voicemesh.client import convert
from voicemesh.client.answers import Answer, answers
from voicemesh.client.events import Action, BotAudio, Cleared, Ended, Transcript, Turn
from voicemesh.client.line import open_line
from voicemesh.client.mouth import CallerClock, Mouth
from voicemesh.client.playback import Playback
from voicemesh.client.request import Request, Wishes
from voicemesh.errors import DeadlineMissed, InvalidInput, Unavailable, VoicemeshError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Generator
    from pathlib import Path

    import grpc.aio

    from voicemesh.api.call.v1 import call_pb2
    from voicemesh.audio import Samples
    from voicemesh.client.events import Event, Started
    from voicemesh.client.line import Line
    from voicemesh.client.mouth import Utterance

MAX_EVENTS = 20_000
"""Events kept for a reader who does not come: about six minutes of audio. Then the oldest go."""
GOODBYE_SECONDS = 10.0
"""How long a gateway may take to end a call that was hung up."""
DIGITS = frozenset("0123456789*#ABCD")


class Said:
    """Speech that was queued; await it to wait until it was said, or the call was over."""

    def __init__(self, utterance: Utterance, done: asyncio.Future[None]) -> None:
        self.utterance = utterance
        self._done = done

    def __await__(self) -> Generator[Any, None, Utterance]:
        yield from asyncio.shield(self._done).__await__()
        return self.utterance


class Call:
    """A call in progress: `async with Call.place(target, bot=..., caller_format=...) as call`.

    Iterate over it for its events. Leaving the block hangs up.
    """

    def __init__(
        self,
        line: Line,
        request: Request,
        started: Started,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.request = request
        self.started = started
        self.clock = clock
        self.mouth = Mouth(request.caller_format.rate, send_silence=request.send_silence)
        self.sent = CallerClock(self.mouth.frame_size)
        self.playback = Playback(started.bot_format.rate, keep_sound=request.keep_sound)
        self.transcripts: list[Transcript] = []
        """Final words of both sides, in order."""
        self.turns: list[Turn] = []
        """Every turn's waterfall."""
        self.actions: list[Action] = []
        """What was done to the call."""
        self.clears: list[Cleared] = []
        """Every interruption."""
        self.ended: Ended | None = None
        """The end; None while the call goes on."""
        self._line = line
        self._encoder = Encoder(request.caller_format, request.caller_format.rate)
        self._decoder = Decoder(started.bot_format, started.bot_format.rate)
        self._outbox: deque[call_pb2.ConverseRequest] = deque()
        self._saying: deque[tuple[int, asyncio.Future[None]]] = deque()
        self._hung_up = False
        self._events: deque[Event] = deque([started], maxlen=MAX_EVENTS)
        self._failure: VoicemeshError | None = None
        self._over = asyncio.Event()
        self._changed = asyncio.Event()

    @classmethod
    @asynccontextmanager
    async def place(
        cls, target: str, *, channel: grpc.aio.Channel | None = None, **request: Unpack[Wishes]
    ) -> AsyncIterator[Call]:
        """Call a bot at `target`, any gRPC target; the keywords are those of `Request`."""
        wanted = Request(**request)
        async with open_line(target, channel) as line:
            started = convert.started_from_proto(await line.start(wanted.to_proto()))
            call = cls(line, wanted, started)
            tasks = [asyncio.create_task(call._speak()), asyncio.create_task(call._listen())]
            try:
                yield call
                await call._say_goodbye()
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    @property
    def over(self) -> bool:
        """Whether the call has ended or broken off."""
        return self._over.is_set()

    def say(self, samples: Samples) -> Said:
        """Queue speech at the caller's rate; await what is returned to wait until it was said."""
        utterance = self.mouth.say(samples)
        done = asyncio.get_running_loop().create_future()
        if self._over.is_set():
            done.set_result(None)
        self._saying.append((utterance.end, done))
        return Said(utterance, done)

    def dtmf(self, digits: str) -> None:
        """Press keys, one after another."""
        for digit in digits:
            if digit not in DIGITS:
                raise InvalidInput("digits", f"{digit!r} is not one of 0-9, *, #, A-D")
            self._outbox.append(convert.dtmf_request(digit))

    def hang_up(self) -> None:
        """End the call; `wait_ended` tells when it is over."""
        if not self._hung_up:
            self._hung_up = True
            self._outbox.append(convert.hang_up_request())

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

    async def _speak(self) -> None:
        """Send a frame every 20 ms; one that is late does not make the next one late."""
        began = self.clock()
        while not self._over.is_set():
            due = began + self.mouth.next_offset / self.mouth.rate
            await asyncio.sleep(max(due - self.clock(), 0))
            while self._outbox:
                await self._line.send(self._outbox.popleft())
            if self._hung_up:
                await self._line.half_close()
                return
            await self._send_frame()
            self._tell_said(self.mouth.next_offset)

    async def _send_frame(self) -> None:
        frame = self.mouth.frame()
        if frame is not None:
            data = self._encoder.encode(frame.samples)
            await self._line.send(convert.audio_request(frame.offset, data))
        self.sent.tick(self.clock())

    async def _listen(self) -> None:
        try:
            while (message := await self._line.receive()) is not None:
                event = convert.event_from_proto(message, self._decoder, self.clock())
                if event is not None:
                    self._note(event)
                    self._events.append(event)
                    self._notify()
        except VoicemeshError as error:
            self._failure = error
        finally:
            self._over.set()
            self._tell_said(None)
            self._notify()

    def _tell_said(self, until: int | None) -> None:
        while self._saying and (until is None or self._saying[0][0] <= until):
            done = self._saying.popleft()[1]
            if not done.done():
                done.set_result(None)

    def _notify(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    def _note(self, event: Event) -> None:
        match event:
            case BotAudio():
                self.playback.arrive(event.offset, event.samples, event.arrived)
            case Cleared():
                self.playback.clear(event.offset, event.arrived)
                self.clears.append(event)
            case Transcript() if event.final:
                self.transcripts.append(event)
            case Turn():
                self.turns.append(event)
            case Action():
                self.actions.append(event)
            case Ended():
                self.ended = event
