"""What ``RecognitionService`` promises."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import grpc

from voicemesh.api.audio.v1 import audio_pb2
from voicemesh.api.speech.v1 import recognition_pb2 as pb, recognition_pb2_grpc
from voicemesh.conform.check import Check
from voicemesh.conform.talk import Subject, Talk, demand, kind, linear16, refused

if TYPE_CHECKING:
    from collections.abc import Callable

AT_ONCE = 8
CANCELLED = 20
START = 7000
"""Utterances begin anywhere in a call."""
CONCLUDE = pb.RecognizeRequest(conclude=pb.Conclude())


def _open(subject: Subject) -> Talk:
    stub: Any = recognition_pb2_grpc.RecognitionServiceStub(subject.channel)
    return Talk(stub.Recognize(), subject.seconds)


def _config(subject: Subject, *, partials: bool = True, **other: Any) -> pb.RecognizeRequest:  # noqa: ANN401
    config: dict[str, Any] = {
        "engine": subject.engine,
        "format": subject.format,
        "language": subject.language,
        "partial_transcripts": partials,
    }
    return pb.RecognizeRequest(config=pb.RecognitionConfig(**config | other))


def _audio(offset: int, data: bytes) -> pb.RecognizeRequest:
    return pb.RecognizeRequest(audio=audio_pb2.AudioChunk(offset=offset, data=data))


def _speech(subject: Subject, start: int = START) -> list[pb.RecognizeRequest]:
    """Return the speech in chunks of 100 ms."""
    step = subject.rate // 10 * 2
    cuts = range(0, len(subject.speech), step)
    return [_audio(start + cut // 2, subject.speech[cut : cut + step]) for cut in cuts]


def _end(subject: Subject, start: int = START) -> int:
    return start + len(subject.speech) // 2


async def _transcripts(talk: Talk) -> list[pb.Transcript]:
    """Return what an utterance's stream tells, order checked."""
    messages = await talk.rest()
    demand(messages and kind(messages[0]) == "accepted", "the first message is not `accepted`")
    demand(
        all(kind(message) == "transcript" for message in messages[1:]),
        "behind `accepted` there is something else than `transcript`",
    )
    return [message.transcript for message in messages[1:]]


def _finals(transcripts: list[pb.Transcript]) -> list[int]:
    return [one.end_offset for one in transcripts if one.final]


async def _utterance(subject: Subject, *requests: pb.RecognizeRequest) -> list[pb.Transcript]:
    talk = _open(subject)
    await talk.send(*requests)
    await talk.close()
    return await _transcripts(talk)


async def _order(subject: Subject) -> None:
    found = await _utterance(subject, _config(subject), *_speech(subject))
    demand(len(_finals(found)) == 1, f"{len(_finals(found))} final transcripts for a half-close")
    demand(found[-1].final, "the last transcript is not final")


async def _one_each(subject: Subject) -> None:
    speech = _speech(subject)
    half = len(speech) // 2
    middle = speech[half].audio.offset
    found = await _utterance(
        subject, _config(subject), *speech[:half], CONCLUDE, *speech[half:], CONCLUDE
    )
    demand(
        _finals(found) == [middle, _end(subject)],
        f"finals end at {_finals(found)}, asked for at {[middle, _end(subject)]}",
    )


async def _only_finals(subject: Subject) -> None:
    found = await _utterance(subject, _config(subject, partials=False), *_speech(subject))
    demand(all(one.final for one in found), "changing transcripts come though nobody asked")


async def _grows(subject: Subject) -> None:
    found = await _utterance(subject, _config(subject), *_speech(subject), CONCLUDE)
    ends = [one.end_offset for one in found]
    demand(ends == sorted(ends), f"end_offset goes back: {ends}")
    demand(
        all(START <= end <= _end(subject) for end in ends),
        f"end_offset outside of the audio ({START} to {_end(subject)}): {ends}",
    )


async def _gap(subject: Subject) -> None:
    speech = _speech(subject)
    gap = subject.rate // 5
    moved = [_audio(one.audio.offset + gap, one.audio.data) for one in speech[3:]]
    found = await _utterance(subject, _config(subject), *speech[:3], *moved)
    demand(_finals(found) == [_end(subject) + gap], f"finals end at {_finals(found)}")


async def _duplicate(subject: Subject) -> None:
    speech = _speech(subject)
    found = await _utterance(subject, _config(subject), *speech[:4], *speech[1:])
    demand(_finals(found) == [_end(subject)], f"finals end at {_finals(found)}")


async def _nothing(subject: Subject) -> None:
    found = await _utterance(subject, _config(subject))
    demand(not found, "transcripts of no audio")


async def _no_config(subject: Subject) -> None:
    talk = _open(subject)
    await talk.close()
    await refused(talk, grpc.StatusCode.FAILED_PRECONDITION)


async def _no_second_final(subject: Subject) -> None:
    found = await _utterance(subject, _config(subject), *_speech(subject), CONCLUDE)
    demand(len(_finals(found)) == 1, f"{len(_finals(found))} finals for one conclude")


async def _at_once(subject: Subject) -> None:
    async def one(number: int) -> None:
        start = number * 1000
        found = await _utterance(subject, _config(subject), *_speech(subject, start))
        demand(_finals(found) == [_end(subject, start)], f"stream {number}: {_finals(found)}")

    await asyncio.gather(*(one(number) for number in range(AT_ONCE)))


async def _cancelled(subject: Subject) -> None:
    for _ in range(CANCELLED):
        talk = _open(subject)
        await talk.send(_config(subject), *_speech(subject)[:3])
        demand(kind(await talk.next()) == "accepted", "the first message is not `accepted`")
        talk.cancel()
    await _order(subject)


async def _slow_reader(subject: Subject) -> None:
    talk = _open(subject)
    await talk.send(_config(subject))
    step, sent = subject.rate // 10, 0
    sound = bytes(2 * step)
    speech = _speech(subject)
    await talk.send(*speech)
    while sent < 20 * subject.rate:
        await talk.send(_audio(_end(subject) + sent, sound))
        sent += step
        if sent % (2 * subject.rate) == 0:
            await talk.send(CONCLUDE)
    await talk.close()
    found = _finals(await _transcripts(talk))
    demand(found == sorted(found), f"finals in the wrong order: {found}")
    demand(len(found) == 10, f"{len(found)} finals for 10 concludes, read only at the end")


async def _deadline(subject: Subject) -> None:
    stub: Any = recognition_pb2_grpc.RecognitionServiceStub(subject.channel)
    talk = Talk(stub.Recognize(timeout=1.5), subject.seconds)
    await talk.send(_config(subject))
    await refused(talk, grpc.StatusCode.DEADLINE_EXCEEDED)
    await _order(subject)


def _bad(
    code: grpc.StatusCode, field: str, make: Callable[[Subject], list[pb.RecognizeRequest]]
) -> Callable[[Subject], Any]:
    async def run(subject: Subject) -> None:
        talk = _open(subject)
        await talk.send(*make(subject))
        await talk.close()
        await refused(talk, code, field)

    return run


def _too_long(subject: Subject) -> list[pb.RecognizeRequest]:
    second = bytes(2 * subject.rate)
    return [_config(subject), *(_audio(n * subject.rate, second) for n in range(31))]


def _bad_format(subject: Subject) -> list[pb.RecognizeRequest]:
    mulaw = audio_pb2.AudioFormat(encoding=audio_pb2.ENCODING_MULAW, sample_rate_hertz=8000)
    return [_config(subject, format=mulaw)]


_INVALID, _EARLY = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.FAILED_PRECONDITION

CHECKS = (
    Check("order", "`accepted` first, then transcripts, a final one last, then OK", _order),
    Check("order", "one final transcript for each `conclude`, in order", _one_each),
    Check("order", "only final transcripts where partial ones are not asked for", _only_finals),
    Check("offsets", "`end_offset` never decreases and lies within the audio", _grows),
    Check("offsets", "a gap in offsets is silence", _gap),
    Check("offsets", "audio that was sent already is left out", _duplicate),
    Check("half-close", "an utterance without audio ends with OK and no transcript", _nothing),
    Check("half-close", "without `config`: FAILED_PRECONDITION", _no_config),
    Check("half-close", "no further final where none is owed", _no_second_final),
    Check("cancellation", f"{CANCELLED} streams left halfway; the next is served", _cancelled),
    Check("deadlines", "a client's deadline ends the stream; the next is served", _deadline),
    Check("back-pressure", "20 s of audio faster than real time, answers read late", _slow_reader),
    Check("concurrency", f"{AT_ONCE} utterances at once, each with its own answers", _at_once),
    Check(
        "bad input",
        "audio before `config`: FAILED_PRECONDITION",
        _bad(_EARLY, "", lambda subject: _speech(subject)[:1]),
    ),
    Check(
        "bad input",
        "a second `config`: FAILED_PRECONDITION",
        _bad(_EARLY, "config", lambda subject: [_config(subject), _config(subject)]),
    ),
    Check(
        "bad input",
        "an unknown engine: NOT_FOUND, naming it",
        _bad(
            grpc.StatusCode.NOT_FOUND,
            "engine",
            lambda subject: [_config(subject, engine="no-such-engine")],
        ),
    ),
    Check(
        "bad input",
        "a rate of 44100: INVALID_ARGUMENT, naming `format`",
        _bad(_INVALID, "format", lambda subject: [_config(subject, format=linear16(44100))]),
    ),
    Check(
        "bad input",
        "another encoding than LINEAR16: INVALID_ARGUMENT, naming `format`",
        _bad(_INVALID, "format", _bad_format),
    ),
    Check(
        "bad input",
        "an odd number of bytes: INVALID_ARGUMENT, naming `audio`",
        _bad(_INVALID, "audio", lambda subject: [_config(subject), _audio(0, b"\0\0\0")]),
    ),
    Check(
        "bad input",
        "a chunk of more than a second: INVALID_ARGUMENT, naming `audio`",
        _bad(
            _INVALID,
            "audio",
            lambda subject: [_config(subject), _audio(0, bytes(2 * subject.rate + 2))],
        ),
    ),
    Check(
        "bad input",
        "audio from before the utterance: INVALID_ARGUMENT, naming `audio`",
        _bad(
            _INVALID,
            "audio",
            lambda subject: [_config(subject), _audio(900, bytes(320)), _audio(0, bytes(320))],
        ),
    ),
    Check(
        "bad input",
        "more than 30 s: INVALID_ARGUMENT, naming `audio`",
        _bad(_INVALID, "audio", _too_long),
    ),
    Check(
        "bad input",
        "a message without anything in it: INVALID_ARGUMENT",
        _bad(_INVALID, "", lambda subject: [_config(subject), pb.RecognizeRequest()]),
    ),
)
