"""An orchestrator over gRPC that answers every utterance with the caller's own words."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import grpc.aio

from voicemesh.api.audio.v1 import audio_pb2
from voicemesh.api.journal.v1 import journal_pb2, turn_pb2
from voicemesh.api.session.v1 import session_pb2, session_pb2_grpc
from voicemesh.journal import fold

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from voicemesh.errors import Context

Response = session_pb2.RunResponse
CHUNK = 3200


class EchoOrchestrator(session_pb2_grpc.SessionServiceServicer):
    """Digits do things: 1 breaks the stream, 2 asks to be left, 3 hangs up, 4 sends digits."""

    def __init__(self) -> None:
        self.opens: list[session_pb2.Open] = []
        self.arrivals: asyncio.Queue[session_pb2.Open] = asyncio.Queue()
        self.metadata: list[dict[str, str]] = []
        self.counts: Counter[str] = Counter()
        self.refusal: grpc.StatusCode | None = None
        self.silent = False
        """Whether opens are left without an answer."""
        self.broken = False
        self.byes = asyncio.Event()
        self.reasons: list[str] = []

    async def Run(  # type: ignore[override] # noqa: N802
        self, request_iterator: object, context: Context
    ) -> None:
        first = await context.read()
        self.opens.append(first.open)
        self.arrivals.put_nowait(first.open)
        self.metadata.append({str(k): str(v) for k, v in context.invocation_metadata() or ()})
        if self.refusal is not None:
            await context.abort(self.refusal, "refused")
        if self.silent:
            await asyncio.Event().wait()
        session = EchoSession(first.open)
        for response in session.begin():
            await context.write(response)
        while isinstance(message := await context.read(), session_pb2.RunRequest):
            for request in message.batch.requests or (message,):
                kind = request.WhichOneof("message") or ""
                self.counts[kind] += 1
                if kind == "dtmf" and request.dtmf.digit == "1" and not self.broken:
                    self.broken = True
                    await context.abort(grpc.StatusCode.INTERNAL, "broken")
                await self._answer(context, list(session.handle(kind, request)))
                if kind == "call_ended":
                    self.reasons.append(request.call_ended.reason)
                    self.byes.set()
                    return

    async def _answer(self, context: Context, responses: list[Response]) -> None:
        if len(responses) > 1 and self.opens[-1].takes_batches:
            batch = session_pb2.ResponseBatch(responses=responses)
            await context.write(Response(batch=batch))
        else:
            for response in responses:
                await context.write(response)


class EchoSession:
    def __init__(self, opened: session_pb2.Open) -> None:
        memory = fold(opened.journal)
        self.opened = opened
        self.sequence = memory.next_sequence
        self.consumed = memory.consumed_offset
        self.received = self.consumed
        self.turn = len(memory.turns)
        self.bot_offset = memory.bot_offset
        self.heard: list[bytes] = []
        self.owed = [each for each in memory.sentences.values() if each.end_offset is None]

    def begin(self) -> Iterator[Response]:
        yield Response(
            ready=session_pb2.Ready(
                epoch=self.opened.epoch,
                wanted_offset=self.consumed,
                replica="echo",
                region="r",
                takes_batches=True,
            )
        )
        if not self.sequence:
            started = journal_pb2.CallStarted(bot=self.opened.bot, sample_rate_hertz=8000)
            yield self.write(call_started=started)
        for sentence in self.owed:
            yield from self.say_again(sentence.number)

    def say_again(self, sentence: int) -> Iterator[Response]:
        """Have a sentence end a little behind what the gateway holds."""
        start, held = self.bot_offset, max(self.bot_offset, self.opened.buffered_offset)
        chunk = audio_pb2.AudioChunk(offset=held, data=bytes(CHUNK))
        yield Response(audio=chunk)
        self.bot_offset = held + CHUNK // 2
        finished = journal_pb2.SentenceFinished(
            sentence=sentence, start_offset=start, end_offset=self.bot_offset
        )
        yield self.write(sentence_finished=finished)

    def write(self, **event: Any) -> Response:  # noqa: ANN401
        entry = journal_pb2.Entry(sequence=self.sequence, consumed_offset=self.consumed, **event)
        self.sequence += 1
        return Response(journal=session_pb2.Journal(entries=[entry]))

    def handle(self, kind: str, request: session_pb2.RunRequest) -> Iterator[Response]:
        match kind:
            case "audio":
                self.heard.append(request.audio.data)
                self.received = request.audio.offset + len(request.audio.data) // 2
                yield self.ack()
            case "speech_ended":
                yield from self.answer(request.speech_ended)
            case "barge_in":
                heard = request.barge_in.heard_offset
                yield Response(
                    flush=session_pb2.Flush(start_offset=heard, end_offset=self.bot_offset)
                )
            case "dtmf":
                self.received = self.consumed = request.dtmf.offset + 1
                yield self.ack()
                yield from self.pressed(request.dtmf.digit)
            case "call_ended":
                ended = journal_pb2.CallEnded(reason=request.call_ended.reason)
                yield self.write(call_ended=ended)
                yield Response(bye=session_pb2.Bye(reason=session_pb2.BYE_REASON_CALL_ENDED))

    def ack(self) -> Response:
        return Response(
            ack=session_pb2.Ack(received_offset=self.received, committed_offset=self.consumed)
        )

    def answer(self, ended: session_pb2.SpeechEnded) -> Iterator[Response]:
        self.turn += 1
        self.received = self.consumed = ended.offset + 1
        said = journal_pb2.CallerSaid(turn=self.turn, text="echo", end_offset=ended.end_offset)
        yield self.write(caller_said=said)
        yield self.ack()
        yield self.write(reply_started=journal_pb2.ReplyStarted(turn=self.turn))
        planned = journal_pb2.SentencePlanned(turn=self.turn, sentence=self.turn, text="echo")
        yield self.write(sentence_planned=planned)
        start = self.bot_offset
        data = b"".join(self.heard)
        self.heard.clear()
        for begin in range(0, len(data), CHUNK):
            piece = data[begin : begin + CHUNK]
            yield Response(audio=audio_pb2.AudioChunk(offset=self.bot_offset, data=piece))
            self.bot_offset += len(piece) // 2
        finished = journal_pb2.SentenceFinished(
            sentence=self.turn, start_offset=start, end_offset=self.bot_offset
        )
        yield self.write(sentence_finished=finished)
        yield self.write(reply_finished=journal_pb2.ReplyFinished(turn=self.turn))
        stage = turn_pb2.StageTime(stage=turn_pb2.STAGE_FIRST_AUDIO)
        report = turn_pb2.TurnReport(turn=self.turn, stages=[stage], end_offset=ended.end_offset)
        yield Response(turn_report=report)
        yield Response(transcript=session_pb2.Transcript(text="echo", final=True, turn=self.turn))

    def pressed(self, digit: str) -> Iterator[Response]:
        if digit == "2":
            go_away = session_pb2.GoAway()
            go_away.deadline.FromMilliseconds(60_000)
            yield Response(go_away=go_away)
            return
        kind = {"3": "hang_up", "4": "send_digits"}.get(digit)
        if kind is None:
            return
        ordered = journal_pb2.ActionOrdered(key=f"a{self.sequence}", kind=kind)
        yield self.write(action_ordered=ordered)
        action = session_pb2.Action(key=ordered.key)
        if kind == "hang_up":
            action.hang_up.SetInParent()
        else:
            action.send_digits.digits = "42"
        yield Response(action=action)


@asynccontextmanager
async def echoing() -> AsyncIterator[tuple[EchoOrchestrator, str]]:
    """Serve an echo orchestrator; yield it and its address."""
    server = grpc.aio.server()
    echo = EchoOrchestrator()
    session_pb2_grpc.add_SessionServiceServicer_to_server(echo, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield echo, f"127.0.0.1:{port}"
    finally:
        await server.stop(None)
