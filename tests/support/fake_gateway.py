"""A gateway without a mesh behind it: a real gRPC server that plays a scripted bot.

Its clock is the caller's audio: for each 20 ms that the caller's offsets advance it sends at most
20 ms. So it paces in real time with a real caller, and waits for nothing by itself.
"""

from __future__ import annotations

from collections import deque
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import grpc.aio
import numpy as np
from google.protobuf import duration_pb2

from voicemesh.api.audio.v1 import audio_pb2
from voicemesh.api.call.v1 import call_pb2, call_pb2_grpc
from voicemesh.api.journal.v1 import journal_pb2, turn_pb2
from voicemesh.api.speech.v1 import synthesis_pb2, synthesis_pb2_grpc
from voicemesh.audio import Decoder, Encoder, Samples, internal_rate
from voicemesh.client.convert import format_from_proto
from voicemesh.errors import Context, NotFound, OutOfOrder, Unavailable, VoicemeshError, abort

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator, Sequence

FRAME_SECONDS = 0.02
LOUD = 500
ENDPOINT_SECONDS = 0.2
TONE_HERTZ = 400.0

Response = call_pb2.ConverseResponse


def tone(seconds: float, rate: int) -> Samples:
    """Return a sound that is plainly speech to anything that measures loudness."""
    time = np.arange(int(seconds * rate)) / rate
    return (8000 * np.sin(2 * np.pi * TONE_HERTZ * time)).astype(np.int16)


@dataclass(frozen=True)
class Reply:
    """One answer of the bot, and the words that it pretends to have understood."""

    heard: str
    text: str
    seconds: float = 0.4
    hang_up: bool = False
    transfer: str = ""


@dataclass
class Bot:
    """What the fake does in a call; `breaks_off_after` replies the stream just ends."""

    greeting: Reply | None = field(default_factory=lambda: Reply("", "Hello, how can I help?"))
    replies: Sequence[Reply] = ()
    breaks_off_after: int | None = None


class _Fault(Exception):
    def __init__(self, error: VoicemeshError) -> None:
        super().__init__(error.message)
        self.error = error


class _Scene:
    """One call: caller audio in, messages out. No I/O."""

    def __init__(self, start: call_pb2.Start, bot: Bot) -> None:
        caller = format_from_proto(start.caller_format)
        heard = format_from_proto(
            start.bot_format if start.HasField("bot_format") else start.caller_format
        )
        self.rate = internal_rate(caller)
        self._decoder = Decoder(caller, self.rate)
        self._encoder = Encoder(heard, heard.rate)
        self._caller_rate, self._bot_rate = caller.rate, heard.rate
        self._bot, self._replies = bot, deque(bot.replies)
        self._start = start
        self._caller_offset = 0
        self._bot_offset = 0
        self._speech: Samples = np.empty(0, np.int16)
        self._current: Reply | None = None
        self._loud_until = 0
        self._speech_start: int | None = None
        self._turn = 0
        self.digits = ""
        self.entries: list[journal_pb2.Entry] = []
        self.over: call_pb2.EndReason.ValueType | None = None
        self._log(call_started=journal_pb2.CallStarted(bot=start.bot, sample_rate_hertz=self.rate))

    def begin(self) -> Iterator[Response]:
        started = call_pb2.Started(
            call_id="call-1", bot_format=self._start.bot_format, replica="fake-0", region="local"
        )
        yield Response(started=started)
        if self._bot.greeting:
            yield from self._say(self._bot.greeting)

    def audio(self, chunk: audio_pb2.AudioChunk) -> Iterator[Response]:
        samples = self._decoder.decode(chunk.data)
        if chunk.offset < self._caller_offset:
            raise _Fault(OutOfOrder("audio.offset", "went back", reason="OFFSET_WENT_BACK"))
        step = int(FRAME_SECONDS * self._caller_rate)
        ticks = (chunk.offset - self._caller_offset) // step
        for _ in range(ticks):
            yield from self._tick(quiet=True)
        self._caller_offset += ticks * step
        for _ in range(max(samples.size // step, 1)):
            quiet = int(np.abs(samples.astype(np.int32)).max(initial=0)) < LOUD
            yield from self._tick(quiet=quiet)
            self._caller_offset += step

    def dtmf(self, digit: str) -> Iterator[Response]:
        self.digits += digit
        self._log(digits_pressed=journal_pb2.DigitsPressed(turn=self._turn, digits=digit))
        if digit == "#":
            yield from self._answer("")

    def end(self) -> Response:
        reason = self.over or call_pb2.END_REASON_CALLER_HUNG_UP
        seconds = self._caller_offset / self._caller_rate
        duration = duration_pb2.Duration(nanos=int(seconds % 1 * 1e9), seconds=int(seconds))
        ended = call_pb2.Ended(reason=reason, journal=self.entries, duration=duration)
        return Response(ended=ended)

    def _tick(self, *, quiet: bool) -> Iterator[Response]:
        if not quiet:
            if self._speech_start is None:
                self._speech_start = self._caller_offset
                yield from self._interrupt()
            self._loud_until = self._caller_offset + int(FRAME_SECONDS * self._caller_rate)
        yield from self._play()
        silence = (self._caller_offset - self._loud_until) / self._caller_rate
        if self._speech_start is not None and silence >= ENDPOINT_SECONDS:
            yield from self._answer("speech")

    def _interrupt(self) -> Iterator[Response]:
        if self._speech.size:
            self._speech = self._speech[:0]
            yield Response(clear=call_pb2.Clear(offset=self._bot_offset))

    def _play(self) -> Iterator[Response]:
        size = int(FRAME_SECONDS * self._bot_rate)
        frame, self._speech = self._speech[:size], self._speech[size:]
        if frame.size:
            data = self._encoder.encode(frame)
            yield Response(audio=audio_pb2.AudioChunk(offset=self._bot_offset, data=data))
            self._bot_offset += frame.size
        elif self._current is not None:
            self._finish(self._current)
            if self._current.transfer:
                transfer = call_pb2.Transfer(target=self._current.transfer)
                yield Response(action=call_pb2.Action(transfer=transfer))
            self._current = None

    def _finish(self, reply: Reply) -> None:
        if reply.hang_up:
            self.over = call_pb2.END_REASON_BOT_HUNG_UP
        if reply.transfer:
            self.over = call_pb2.END_REASON_TRANSFERRED
        if self._bot.breaks_off_after == self._turn:
            raise _Fault(Unavailable("the orchestrator is gone", reason="NO_ORCHESTRATOR"))

    def _answer(self, how: str) -> Iterator[Response]:
        start, self._speech_start = self._speech_start or 0, None
        if not self._replies:
            return
        reply = self._replies.popleft()
        self._turn += 1
        scale = self.rate / self._caller_rate
        if how:
            words = call_pb2.Transcript(
                speaker=call_pb2.SPEAKER_CALLER,
                text=reply.heard,
                final=True,
                turn=self._turn,
                start_offset=int(start * scale),
            )
            yield Response(transcript=words)
            said = journal_pb2.CallerSaid(
                turn=self._turn,
                text=reply.heard,
                start_offset=int(start * scale),
                end_offset=int(self._loud_until * scale),
            )
            self._log(caller_said=said)
        yield from self._say(reply)
        yield from self._play()
        yield Response(turn=self._report(reply, int(self._loud_until * scale)))

    def _say(self, reply: Reply) -> Iterator[Response]:
        self._current = reply
        self._speech = tone(reply.seconds, self._bot_rate)
        yield Response(
            transcript=call_pb2.Transcript(
                speaker=call_pb2.SPEAKER_BOT, text=reply.text, final=True, turn=self._turn
            )
        )

    def _report(self, reply: Reply, end_offset: int) -> turn_pb2.TurnReport:
        stages = [
            turn_pb2.StageTime(stage=stage, duration=duration_pb2.Duration(nanos=nanos))
            for stage, nanos in (
                (turn_pb2.STAGE_VOICE_ACTIVITY, 60_000_000),
                (turn_pb2.STAGE_ENDPOINT, 140_000_000),
                (turn_pb2.STAGE_TRANSCRIPT, 0),
                (turn_pb2.STAGE_TRANSPORT, 3_000_000),
            )
        ]
        return turn_pb2.TurnReport(
            turn=self._turn,
            caller_text=reply.heard,
            stages=stages,
            total=duration_pb2.Duration(nanos=203_000_000),
            replica="fake-orchestrator-0",
            end_offset=end_offset,
        )

    def _log(self, **event: object) -> None:
        entry = journal_pb2.Entry(sequence=len(self.entries), **event)  # type: ignore[arg-type]
        self.entries.append(entry)


class FakeGateway(call_pb2_grpc.CallServiceServicer):
    """Serves scripted bots by name; keeps the starts and digits that it was sent."""

    def __init__(self, bots: dict[str, Bot]) -> None:
        self._bots = bots
        self.starts: list[call_pb2.Start] = []
        self.digits: list[str] = []
        self.audio_messages = 0

    async def Converse(  # noqa: N802
        self,
        request_iterator: AsyncIterator[call_pb2.ConverseRequest],
        context: Context,
    ) -> AsyncIterator[Response]:
        try:
            async for response in self._converse(request_iterator):
                yield response
        except _Fault as fault:
            await abort(context, fault.error)

    async def _converse(
        self, requests: AsyncIterator[call_pb2.ConverseRequest]
    ) -> AsyncIterator[Response]:
        scene: _Scene | None = None
        async for request in requests:
            if scene is None:
                scene = self._open(request)
                answers: Iterable[Response] = scene.begin()
            else:
                answers = self._take(scene, request)
            for answer in answers:
                yield answer
            if request.HasField("hang_up") or scene.over is not None:
                break
        if scene is not None:
            self.digits.append(scene.digits)
            yield scene.end()

    def _open(self, request: call_pb2.ConverseRequest) -> _Scene:
        if not request.HasField("start"):
            raise _Fault(OutOfOrder("message", "the first one must be start"))
        self.starts.append(request.start)
        bot = self._bots.get(request.start.bot)
        if bot is None:
            raise _Fault(NotFound(f"no bot {request.start.bot!r}", bot=request.start.bot))
        return _Scene(request.start, bot)

    def _take(self, scene: _Scene, request: call_pb2.ConverseRequest) -> Iterable[Response]:
        match request.WhichOneof("message"):
            case "audio":
                self.audio_messages += 1
                return scene.audio(request.audio)
            case "dtmf":
                return scene.dtmf(request.dtmf.digit)
        return ()


class FakeVoice(synthesis_pb2_grpc.SynthesisServiceServicer):
    """Speaks every character for 10 ms, in chunks of one sentence each."""

    async def Synthesize(  # noqa: N802
        self,
        request_iterator: AsyncIterator[synthesis_pb2.SynthesizeRequest],
        context: Context,
    ) -> AsyncIterator[synthesis_pb2.SynthesizeResponse]:
        offset, rate = 0, 0
        async for request in request_iterator:
            if request.HasField("config"):
                if request.config.engine == "mute":
                    await abort(context, NotFound("no engine 'mute'", engine="mute"))
                rate = request.config.format.sample_rate_hertz
                accepted = synthesis_pb2.SynthesisAccepted(replica="fake-voice-0")
                yield synthesis_pb2.SynthesizeResponse(accepted=accepted)
                continue
            samples = tone(0.01 * len(request.sentence.text), rate)
            chunk = audio_pb2.AudioChunk(offset=offset, data=samples.tobytes())
            yield synthesis_pb2.SynthesizeResponse(audio=chunk)
            offset += samples.size


@asynccontextmanager
async def running(gateway: FakeGateway) -> AsyncIterator[str]:
    """Serve it, and a voice, on a free port of the loopback; yield the address."""
    server = grpc.aio.server()
    call_pb2_grpc.add_CallServiceServicer_to_server(gateway, server)
    synthesis_pb2_grpc.add_SynthesisServiceServicer_to_server(FakeVoice(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(None)
