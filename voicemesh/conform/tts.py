"""What ``SynthesisService`` promises."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import grpc
import numpy as np

from voicemesh.api.audio.v1 import audio_pb2
from voicemesh.api.speech.v1 import synthesis_pb2 as pb, synthesis_pb2_grpc
from voicemesh.conform.check import Check
from voicemesh.conform.talk import Subject, Talk, demand, fail, kind, linear16, refused

if TYPE_CHECKING:
    from collections.abc import Callable

AT_ONCE = 8
CANCELLED = 20
MANY = 24
TEXT = "This is a sentence that somebody will hear."
AUDIBLE = 64


def _open(subject: Subject) -> Talk:
    stub: Any = synthesis_pb2_grpc.SynthesisServiceStub(subject.channel)
    return Talk(stub.Synthesize(), subject.seconds)


def _config(subject: Subject, **other: Any) -> pb.SynthesizeRequest:  # noqa: ANN401
    config: dict[str, Any] = {
        "engine": subject.engine,
        "format": subject.format,
        "language": subject.language,
    }
    return pb.SynthesizeRequest(config=pb.SynthesisConfig(**config | other))


def _say(number: int, text: str = TEXT) -> pb.SynthesizeRequest:
    return pb.SynthesizeRequest(sentence=pb.Sentence(sentence=number, text=text))


class _Reply:
    """Follows what a reply's stream tells, message by message."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._open: int | None = None
        self._start = 0
        self.offset = 0
        self.finished: list[int] = []
        self.loudest = 0

    def take(self, message: Any) -> None:  # noqa: ANN401 - SynthesizeResponse
        match kind(message):
            case "started":
                self._started(message.started)
            case "audio":
                self._audio(message.audio)
            case "finished":
                self._finished(message.finished)
            case other:
                fail(f"`{other}` where a sentence was due")

    def _started(self, started: pb.SentenceStarted) -> None:
        demand(self._open is None, "`started` within another sentence")
        at = self.offset
        demand(started.start_offset == at, f"starts at {started.start_offset} instead of {at}")
        self._open, self._start, self.loudest = started.sentence, self.offset, 0

    def _audio(self, audio: audio_pb2.AudioChunk) -> None:
        demand(self._open is not None, "`audio` of no sentence")
        at, size = self.offset, len(audio.data)
        demand(audio.offset == at, f"audio at offset {audio.offset} instead of {at}")
        demand(size and size % 2 == 0, f"a chunk of {size} bytes")
        demand(size <= 2 * self._rate, f"a chunk of {size // 2} samples: a second at most")
        samples = np.abs(np.frombuffer(audio.data, "<i2").astype(np.int32))
        self.loudest = max(self.loudest, int(samples.max()))
        self.offset += size // 2

    def _finished(self, finished: pb.SentenceFinished) -> None:
        demand(finished.sentence == self._open, f"`finished` of {finished.sentence}")
        end, at = finished.end_offset, self.offset
        demand(end == at, f"finished at {end}, its audio ends at {at}")
        demand(self.loudest >= AUDIBLE, "a sentence that nobody can hear")
        self.finished.append(finished.sentence)
        self._open = None


async def _accepted(talk: Talk) -> None:
    first = await talk.next()
    demand(first is not None and kind(first) == "accepted", "the first message is not `accepted`")


async def _follow(subject: Subject, talk: Talk) -> _Reply:
    await _accepted(talk)
    reply = _Reply(subject.rate)
    for message in await talk.rest():
        reply.take(message)
    return reply


async def _reply(subject: Subject, *requests: pb.SynthesizeRequest) -> _Reply:
    talk = _open(subject)
    await talk.send(_config(subject), *requests)
    await talk.close()
    return await _follow(subject, talk)


async def _order(subject: Subject) -> None:
    reply = await _reply(subject, _say(3), _say(4, "And another."), _say(9, "The last one."))
    demand(reply.finished == [3, 4, 9], f"finished {reply.finished} instead of [3, 4, 9]")


async def _one_by_one(subject: Subject) -> None:
    talk = _open(subject)
    await talk.send(_config(subject))
    await _accepted(talk)
    reply = _Reply(subject.rate)
    for number in range(3):
        await talk.send(_say(number, "One at a time."))
        while len(reply.finished) <= number:
            message = await talk.next()
            demand(message is not None, "ends before the half-close")
            reply.take(message)
    await talk.close()
    demand(not await talk.rest(), "something follows the last sentence")


async def _nothing(subject: Subject) -> None:
    demand(not (await _reply(subject)).offset, "audio of no sentence")


async def _no_config(subject: Subject) -> None:
    talk = _open(subject)
    await talk.close()
    await refused(talk, grpc.StatusCode.FAILED_PRECONDITION)


async def _cancelled(subject: Subject) -> None:
    for number in range(CANCELLED):
        talk = _open(subject)
        await talk.send(_config(subject), *(_say(n) for n in range(4)))
        await _accepted(talk)
        if number % 2:
            await talk.next()
        talk.cancel()
    await _reply(subject, _say(0))


async def _deadline(subject: Subject) -> None:
    stub: Any = synthesis_pb2_grpc.SynthesisServiceStub(subject.channel)
    talk = Talk(stub.Synthesize(timeout=1.5), subject.seconds)
    await talk.send(_config(subject))
    await refused(talk, grpc.StatusCode.DEADLINE_EXCEEDED)
    await _reply(subject, _say(0))


async def _slow_reader(subject: Subject) -> None:
    talk = _open(subject)
    await talk.send(_config(subject), *(_say(number) for number in range(MANY)))
    await talk.close()
    # Others are served meanwhile.
    await _reply(subject, _say(0))
    reply = await _follow(subject, talk)
    demand(reply.finished == list(range(MANY)), f"finished {reply.finished}")


async def _too_many(subject: Subject) -> None:
    """More sentences than anybody may owe are either refused or spoken; nothing hangs."""
    talk = _open(subject)
    await talk.send(_config(subject), *(_say(number, "Short.") for number in range(200)))
    await talk.close()
    ending = await talk.ending()
    allowed = (grpc.StatusCode.OK, grpc.StatusCode.RESOURCE_EXHAUSTED)
    demand(ending.code in allowed, f"ends with {ending.code.name}: {ending.text}")


async def _at_once(subject: Subject) -> None:
    async def one(number: int) -> None:
        reply = await _reply(subject, _say(number), _say(number + 1))
        demand(reply.finished == [number, number + 1], f"stream {number}: {reply.finished}")

    await asyncio.gather(*(one(number) for number in range(AT_ONCE)))


def _bad(
    code: grpc.StatusCode, field: str, make: Callable[[Subject], list[pb.SynthesizeRequest]]
) -> Callable[[Subject], Any]:
    async def run(subject: Subject) -> None:
        talk = _open(subject)
        await talk.send(*make(subject))
        await talk.close()
        await refused(talk, code, field)

    return run


_INVALID, _EARLY = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.FAILED_PRECONDITION
_UNKNOWN = grpc.StatusCode.NOT_FOUND

CHECKS = (
    Check("order", "`accepted`, then for each sentence `started`, audio, `finished`; OK", _order),
    Check("order", "a sentence is spoken when it is there, not at the half-close", _one_by_one),
    Check("half-close", "a reply without sentences ends with OK and no audio", _nothing),
    Check("half-close", "without `config`: FAILED_PRECONDITION", _no_config),
    Check("cancellation", f"{CANCELLED} replies left halfway; the next is served", _cancelled),
    Check("deadlines", "a client's deadline ends the stream; the next is served", _deadline),
    Check("back-pressure", f"{MANY} sentences that are read late are complete", _slow_reader),
    Check("back-pressure", "200 at once are spoken, or refused: RESOURCE_EXHAUSTED", _too_many),
    Check("concurrency", f"{AT_ONCE} replies at once, each with its own sentences", _at_once),
    Check(
        "bad input",
        "a sentence before `config`: FAILED_PRECONDITION",
        _bad(_EARLY, "", lambda _: [_say(0)]),
    ),
    Check(
        "bad input",
        "a second `config`: FAILED_PRECONDITION",
        _bad(_EARLY, "config", lambda subject: [_config(subject), _config(subject)]),
    ),
    Check(
        "bad input",
        "an unknown engine: NOT_FOUND, naming it",
        _bad(_UNKNOWN, "engine", lambda subject: [_config(subject, engine="no-such-engine")]),
    ),
    Check(
        "bad input",
        "a rate of 44100: INVALID_ARGUMENT, naming `format`",
        _bad(_INVALID, "format", lambda subject: [_config(subject, format=linear16(44100))]),
    ),
    Check(
        "bad input",
        "an empty sentence: INVALID_ARGUMENT, naming `text`",
        _bad(_INVALID, "text", lambda subject: [_config(subject), _say(0, "  ")]),
    ),
    Check(
        "bad input",
        "more than 2000 characters: INVALID_ARGUMENT, naming `text`",
        _bad(_INVALID, "text", lambda subject: [_config(subject), _say(0, "a" * 2001)]),
    ),
    Check(
        "bad input",
        "a number not higher than the one before: INVALID_ARGUMENT, naming `sentence`",
        _bad(_INVALID, "sentence", lambda subject: [_config(subject), _say(5), _say(5)]),
    ),
    Check(
        "bad input",
        "a message without anything in it: INVALID_ARGUMENT",
        _bad(_INVALID, "", lambda subject: [_config(subject), pb.SynthesizeRequest()]),
    ),
)
