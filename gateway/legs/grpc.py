"""The gRPC leg: between the messages of CallService and what a call handles."""

from __future__ import annotations

import asyncio
import re
from collections import deque
from typing import TYPE_CHECKING, Any, NoReturn

from google.protobuf.duration_pb2 import Duration

from gateway import commands as do, events as on
from voicemesh.api.audio.v1 import audio_pb2
from voicemesh.api.call.v1 import call_pb2
from voicemesh.audio import AudioFormat, Decoder, Encoder, Inbox, rescale
from voicemesh.errors import InvalidInput, OutOfOrder, Refused, VoicemeshError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

READ_SECONDS = 10.0
"""How long a caller may leave a message unread."""
MAX_UNHEARD = 100
"""Messages of a caller that may wait for the next tick; the stream is not read meanwhile."""

_REASONS: Mapping[str, call_pb2.EndReason.ValueType] = {
    "caller_hung_up": call_pb2.END_REASON_CALLER_HUNG_UP,
    "caller_vanished": call_pb2.END_REASON_CALLER_HUNG_UP,
    "bot_hung_up": call_pb2.END_REASON_BOT_HUNG_UP,
    "transferred": call_pb2.END_REASON_TRANSFERRED,
}
_DIGIT = re.compile(r"[0-9*#A-D]")

_Response = call_pb2.ConverseResponse


class CallerSide:
    """What one caller sends, decoded to the call's rate."""

    def __init__(self, fmt: AudioFormat, begin: int = 0) -> None:
        """`begin`: at the call's rate, a whole number of 20 ms."""
        self._format = fmt
        self._decoder = Decoder(fmt)
        self.wanted_offset = self.own(begin)
        """Number of the first sample that the caller is to send."""
        self._inbox = Inbox(fmt.rate, strict=True, next_offset=self.wanted_offset)
        self._decoder.skip(self.wanted_offset)

    @property
    def rate(self) -> int:
        """The call's rate."""
        return self._decoder.rate

    def own(self, offset: int) -> int:
        """Return the caller's number of a sample of the call's."""
        return rescale(offset, self.rate, self._format.rate)

    def events(self, request: call_pb2.ConverseRequest) -> Iterator[on.LegEvent]:
        """Yield what a message means; raise InvalidInput where the contract forbids it."""
        match request.WhichOneof("message"):
            case "audio":
                yield from self._audio(request.audio)
            case "dtmf":
                if not _DIGIT.fullmatch(request.dtmf.digit):
                    raise InvalidInput("dtmf.digit", "must be one of 0-9, *, #, A-D", limit=1)
                yield on.CallerPressed(request.dtmf.digit)
            case "hold":
                yield on.HoldSet(request.hold.on_hold)
            case "hang_up":
                yield on.CallerLeft()
            case "leave":
                yield on.CallerMoved()
            case "start":
                raise OutOfOrder("start", "may be sent only once, as the first message")
            case _:
                raise InvalidInput("message", "is empty", reason="EMPTY_MESSAGE")

    def _audio(self, chunk: audio_pb2.AudioChunk) -> Iterator[on.LegEvent]:
        count = self._format.check_chunk(chunk.data)
        gap = self._inbox.place(chunk.offset, count).gap
        decoder = self._decoder
        if gap:
            offset = decoder.next_offset
            tail = decoder.skip(gap)
            if tail.size:
                yield on.CallerSounded(offset, tail)
        offset = decoder.next_offset
        samples = decoder.decode(chunk.data)
        if samples.size:
            yield on.CallerSounded(offset, samples)


class BotSide:
    """What one caller hears, encoded as it wants it."""

    def __init__(self, fmt: AudioFormat, rate: int) -> None:
        self.format = fmt
        self._rate = rate
        self._encoder = Encoder(fmt, rate)
        self._next = 0

    def play(self, command: do.Play) -> Iterator[_Response]:
        """Yield the audio; what lies behind a gap or a clear begins anew."""
        chunk = command.chunk
        if chunk.offset < self._next:
            self._encoder, self._next = Encoder(self.format, self._rate), 0
        if chunk.offset > self._next:
            offset = self._encoder.next_offset
            yield from _audio(offset, self._encoder.skip(chunk.offset - self._next))
        offset = self._encoder.next_offset
        self._next = chunk.end
        yield from _audio(offset, self._encoder.encode(chunk.samples))

    def clear(self, command: do.Clear) -> Iterator[_Response]:
        """Yield the clear; what the encoder held back is cleared as well."""
        offset = self._encoder.to_caller(command.offset)
        self._encoder, self._next = Encoder(self.format, self._rate), 0
        yield _Response(clear=call_pb2.Clear(offset=offset))

    def rest(self) -> Iterator[_Response]:
        """Yield what the encoder holds back."""
        offset = self._encoder.next_offset
        yield from _audio(offset, self._encoder.flush())


def _audio(offset: int, data: bytes) -> Iterator[_Response]:
    if data:
        yield _Response(audio=audio_pb2.AudioChunk(offset=offset, data=data))


class GrpcLeg:
    """One stream of CallService, as the call sees it; the servicer moves its messages."""

    ahead = 0.0

    def __init__(
        self,
        caller: CallerSide,
        bot: BotSide,
        started: call_pb2.Started,
        clock: Callable[[], float],
        read_seconds: float = READ_SECONDS,
    ) -> None:
        self._caller = caller
        self._bot = bot
        self._started = started
        self._clock = clock
        self._read_seconds = read_seconds
        self._unheard: deque[call_pb2.ConverseRequest | on.CallerLeft] = deque()
        self._room = asyncio.Event()
        self._room.set()
        self._unsent: deque[_Response] = deque()
        self._wake = asyncio.Event()
        self._writing_since: float | None = None
        self._over = False
        self._error: asyncio.Future[NoReturn] = asyncio.get_running_loop().create_future()

    # The call's side.

    def take(self) -> Iterator[on.LegEvent]:
        while self._unheard:
            message = self._unheard.popleft()
            if isinstance(message, on.CallerLeft):
                yield message
            else:
                yield from self._caller.events(message)
        self._room.set()

    def give(self, command: do.LegCommand) -> None:
        if self._over:
            return
        self._unsent.extend(_GIVE[type(command)](self, command))
        self._wake.set()

    def stuck(self, now: float) -> VoicemeshError | None:
        since = self._writing_since
        limit = self._read_seconds
        if since is None or now - since < limit:
            return None
        return Refused(f"the caller did not read for {limit:g} s", reason="NOT_READ", limit=limit)

    # The servicer's side.

    async def put(self, message: call_pb2.ConverseRequest | on.CallerLeft) -> None:
        """Take a message of the caller's; wait while too many wait to be heard."""
        self._unheard.append(message)
        if len(self._unheard) >= MAX_UNHEARD:
            self._room.clear()
            await self._room.wait()

    def vanish(self) -> None:
        """Take note that the stream is gone."""
        self._unheard.append(on.CallerLeft(vanished=True))
        self._over = True

    async def next(self) -> _Response | None:
        """Return the next message for the caller; None at the end."""
        self._writing_since = None
        while not self._unsent:
            if self._over:
                return None
            self._wake.clear()
            await self._wake.wait()
        self._writing_since = self._clock()
        return self._unsent.popleft()

    @property
    def failed(self) -> asyncio.Future[NoReturn]:
        """Raises what ends the leg early, when something does."""
        return self._error

    # What is given.

    def _answer(self, _command: do.Answer) -> Iterator[_Response]:
        yield _Response(started=self._started)

    def _play(self, command: do.Play) -> Iterator[_Response]:
        return self._bot.play(command)

    def _clear(self, command: do.Clear) -> Iterator[_Response]:
        return self._bot.clear(command)

    def _rest(self, _command: do.Rest) -> Iterator[_Response]:
        return self._bot.rest()

    def _show(self, command: do.Show) -> Iterator[_Response]:
        words = command.words
        speaker = call_pb2.SPEAKER_BOT if words.bot else call_pb2.SPEAKER_CALLER
        yield _Response(
            transcript=call_pb2.Transcript(
                speaker=speaker,
                text=words.text,
                final=words.final,
                turn=words.turn,
                start_offset=words.start_offset,
            )
        )

    def _tell(self, command: do.Tell) -> Iterator[_Response]:
        yield _Response(turn=command.report)

    def _transfer(self, command: do.Transfer) -> Iterator[_Response]:
        yield _Response(action=call_pb2.Action(transfer=call_pb2.Transfer(target=command.target)))

    def _digits(self, command: do.SendDigits) -> Iterator[_Response]:
        digits = call_pb2.SendDigits(digits=command.digits)
        yield _Response(action=call_pb2.Action(send_digits=digits))

    def _remember(self, command: do.Remember) -> Iterator[_Response]:
        yield _Response(
            resume=call_pb2.Resume(
                segment=command.segment,
                restarts=command.restarts,
                committed_offset=self._caller.own(command.caller_offset),
                committed_digits=command.digits,
            )
        )

    def _go_away(self, command: do.GoAway) -> Iterator[_Response]:
        yield _Response(go_away=call_pb2.GoAway(deadline=_duration(command.seconds)))

    def _release(self, _command: do.Release) -> Iterator[_Response]:
        self._over = True
        self._unsent.clear()
        return iter(())

    def _end(self, command: do.End) -> Iterator[_Response]:
        yield from self._bot.rest()
        self._over = True
        yield _Response(
            ended=call_pb2.Ended(
                reason=_REASONS.get(command.reason, call_pb2.END_REASON_FAILED),
                journal=command.entries,
                duration=_duration(command.seconds),
            )
        )

    def _fail(self, command: do.Fail) -> Iterator[_Response]:
        self._over = True
        self._unsent.clear()
        self._error.set_exception(command.error)
        return iter(())


_GIVE: Mapping[type, Callable[[GrpcLeg, Any], Iterator[_Response]]] = {
    do.Answer: GrpcLeg._answer,
    do.Play: GrpcLeg._play,
    do.Clear: GrpcLeg._clear,
    do.Rest: GrpcLeg._rest,
    do.Show: GrpcLeg._show,
    do.Tell: GrpcLeg._tell,
    do.Transfer: GrpcLeg._transfer,
    do.SendDigits: GrpcLeg._digits,
    do.End: GrpcLeg._end,
    do.Fail: GrpcLeg._fail,
    do.Remember: GrpcLeg._remember,
    do.GoAway: GrpcLeg._go_away,
    do.Release: GrpcLeg._release,
}


def _duration(seconds: float) -> Duration:
    nanos = round(seconds * 1e9)
    return Duration(seconds=nanos // 10**9, nanos=nanos % 10**9)
