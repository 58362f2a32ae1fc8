"""A gateway's side of one session, over real gRPC: as fast as it goes, with nothing hidden."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc.aio
import numpy as np

from voicemesh.api.audio.v1 import audio_pb2
from voicemesh.api.session.v1 import session_pb2 as pb, session_pb2_grpc
from voicemesh.audio import tonetext
from voicemesh.journal import ReplyState, fold

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from voicemesh.api.journal.v1 import journal_pb2

RATE = 8000
CHUNK = RATE // 10


def opening(**fields: Any) -> pb.Open:  # noqa: ANN401 - whatever an open has
    sound = audio_pb2.AudioFormat(encoding=audio_pb2.ENCODING_LINEAR16, sample_rate_hertz=RATE)
    known: dict[str, Any] = {
        "call_id": "call-1",
        "bot": "echo",
        "epoch": 1,
        "attempt": 1,
        "format": sound,
    }
    return pb.Open(**(known | fields))


class SessionClient:
    """One stream; ``journal`` and ``audio`` are what came on it."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.channel = channel
        stub = session_pb2_grpc.SessionServiceStub(channel)
        self.call = stub.Run()
        self.journal: list[journal_pb2.Entry] = []
        self.audio: list[audio_pb2.AudioChunk] = []
        self.reports: list[Any] = []
        self.clock = 0
        """The caller's clock, samples."""

    async def send(self, **message: Any) -> None:  # noqa: ANN401 - one field of the oneof
        await self.call.write(pb.RunRequest(**message))

    async def open(self, open_: pb.Open | None = None) -> pb.Ready:
        await self.send(open=open_ or opening())
        return (await self.until("ready")).ready

    async def read(self) -> pb.RunResponse | None:
        """Return the next message, None at the end; raise the status of a failure."""
        message: Any = await self.call.read()
        if message is grpc.aio.EOF:
            if await self.call.code() is not grpc.StatusCode.OK:
                raise await self._failure()
            return None
        known: pb.RunResponse = message
        self._keep(known)
        return known

    async def _failure(self) -> grpc.aio.AioRpcError:
        call = self.call
        return grpc.aio.AioRpcError(
            await call.code(),
            await call.initial_metadata(),
            await call.trailing_metadata(),
            await call.details(),
        )

    def _keep(self, message: pb.RunResponse) -> None:
        match message.WhichOneof("message"):
            case "journal":
                self.journal += message.journal.entries
            case "audio":
                self.audio.append(message.audio)
            case "turn_report":
                self.reports.append(message.turn_report)

    async def until(self, kind: str) -> pb.RunResponse:
        """Read on to a message of this kind."""
        async for message in self._messages():
            if message.WhichOneof("message") == kind:
                return message
        raise AssertionError(f"the stream ended before {kind}")

    async def until_entry(self, kind: str) -> Any:  # noqa: ANN401 - what the entry holds
        """Read on to a journal entry of this kind."""
        seen = len(self.journal)
        async for _ in self._messages():
            for entry in self.journal[seen:]:
                if entry.WhichOneof("event") == kind:
                    return getattr(entry, kind)
            seen = len(self.journal)
        raise AssertionError(f"the stream ended before {kind}")

    async def until_heard(self, words: str) -> None:
        """Read on until the bot has said these words; all of it counts as played."""
        while words not in (self.heard or ""):
            assert await self.read(), f"the stream ended before {words!r}"
        end = self.audio[-1].offset + len(self.audio[-1].data) // 2
        await self.send(
            playout=pb.Playout(offset=self.clock, played_offset=end, buffered_offset=end)
        )

    async def until_answered(self) -> None:
        """Read on until the newest answer is complete, and all of it has sounded."""
        while not self._answered:
            assert await self.read(), "the stream ended before the answer"
        await self.until_heard("")

    @property
    def _answered(self) -> bool:
        turn = fold(self.journal).turn
        return (
            turn is not None
            and turn.reply is ReplyState.FINISHED
            and all(sentence.end_offset is not None for sentence in turn.sentences)
        )

    @property
    def heard(self) -> str | None:
        """The words in the bot's audio."""
        sound = b"".join(chunk.data for chunk in self.audio)
        return tonetext.decode(np.frombuffer(sound, "<i2"), RATE)

    async def say(self, words: str) -> None:
        """Speak, followed by half a second of silence."""
        sound = tonetext.encode(words, RATE)
        start = self.clock
        await self.send(speech_started=pb.SpeechStarted(offset=start, start_offset=start))
        for begin in range(0, sound.size, CHUNK):
            data = sound[begin : begin + CHUNK].astype("<i2").tobytes()
            await self.send(audio=audio_pb2.AudioChunk(offset=start + begin, data=data))
        end = start + sound.size
        self.clock = end + RATE // 2
        await self.send(speech_ended=pb.SpeechEnded(offset=self.clock - 1, end_offset=end))

    async def hang_up(self, reason: str = "caller_hung_up") -> pb.Bye:
        await self.send(call_ended=pb.CallEnded(offset=self.clock, reason=reason))
        bye = (await self.until("bye")).bye
        assert await self.read() is None
        return bye

    async def _messages(self) -> AsyncIterator[pb.RunResponse]:
        while (message := await self.read()) is not None:
            yield message
