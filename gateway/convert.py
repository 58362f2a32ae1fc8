"""Between the session's messages and what a call handles."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from gateway import events as on, reports
from voicemesh.api.audio.v1 import audio_pb2
from voicemesh.api.session.v1 import session_pb2
from voicemesh.audio import Chunk
from voicemesh.errors import InvalidInput
from voicemesh.tenancy import asking

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gateway.call import Standing
    from voicemesh.bots import Bot

_LINEAR16 = audio_pb2.ENCODING_LINEAR16
_Request = session_pb2.RunRequest
_Response = session_pb2.RunResponse


EPOCHS = 1_000_000
"""Epochs that each gateway has which holds the call, one after another."""


@dataclass(frozen=True, slots=True)
class CallFacts:
    """What every session of a call is opened with, besides where the call stands."""

    bot: Bot
    rate: int
    caller: str = ""
    callee: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)
    call_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    incarnation: int = 0
    """How many gateways held the call before, or tried to."""
    placed: bool = False
    """Whether we placed the call."""
    number: str = ""
    """Entry of the numbers file that counts the call; empty if none does."""
    tenant: str = field(default_factory=asking)
    """Whose caller it is, by default of who asks; empty if nobody's."""
    residency: str = ""
    """Zone that the call must not leave; empty where there are none."""
    edge: str = ""
    """Edge Envoy that let the caller in, ``region/name``; empty if none did."""
    text: bool = False
    """Whether its leg is of text: the carrier hears and speaks."""

    @property
    def last_epoch(self) -> int:
        """Epoch above which this gateway's are; those of the gateways before were below."""
        return self.incarnation * EPOCHS


def open_request(
    facts: CallFacts, standing: Standing, epoch: int, attempt: int
) -> session_pb2.RunRequest:
    """Return the message that opens a session."""
    return _Request(
        open=session_pb2.Open(
            call_id=facts.call_id,
            epoch=epoch,
            attempt=attempt,
            bot=facts.bot.name,
            format=audio_pb2.AudioFormat(encoding=_LINEAR16, sample_rate_hertz=facts.rate),
            caller=facts.caller,
            callee=facts.callee,
            residency=facts.residency,
            variables=facts.variables,
            journal=standing.entries,
            caller_offset=standing.caller_offset,
            buffered_offset=standing.buffered_offset,
            played_offset=standing.played_offset,
            tells_kept=True,
            takes_batches=True,
            text=facts.text,
        )
    )


def request_from(message: Chunk | reports.Report | reports.PlayoutReport) -> _Request:
    """Return what the call tells as the contract has it."""
    return _REQUESTS[type(message)](message)


def _audio(chunk: Chunk) -> _Request:
    data = chunk.samples.astype("<i2", copy=False).tobytes()
    return _Request(audio=audio_pb2.AudioChunk(offset=chunk.offset, data=data))


def _began(report: reports.SpeechBegan) -> _Request:
    return _Request(
        speech_started=session_pb2.SpeechStarted(
            offset=report.offset, start_offset=report.start_offset
        )
    )


def _over(report: reports.SpeechOver) -> _Request:
    return _Request(
        speech_ended=session_pb2.SpeechEnded(offset=report.offset, end_offset=report.end_offset)
    )


def _playout(report: reports.PlayoutReport) -> _Request:
    return _Request(
        playout=session_pb2.Playout(
            offset=report.offset,
            played_offset=report.played_offset,
            buffered_offset=report.buffered_offset,
            kept_sequence=report.kept_sequence,
            on_hold=report.on_hold,
        )
    )


def _barged_in(report: reports.BargedIn) -> _Request:
    return _Request(
        barge_in=session_pb2.BargeIn(offset=report.offset, heard_offset=report.heard_offset)
    )


def _digit(report: reports.DigitPressed) -> _Request:
    return _Request(dtmf=session_pb2.Dtmf(offset=report.offset, digit=report.digit))


def _wished(report: reports.Wished) -> _Request:
    command = session_pb2.Command(offset=report.offset, key=report.key)
    match report.wish:
        case reports.Wish.SAY:
            command.say = report.argument
        case reports.Wish.TRANSFER:
            command.transfer_target = report.argument
        case reports.Wish.HANG_UP:
            command.hang_up = True
        case reports.Wish.HEAR:
            command.hear = report.argument
        case reports.Wish.HUSH:
            command.hush = report.argument
    return _Request(command=command)


def _call_over(report: reports.CallOver) -> _Request:
    return _Request(call_ended=session_pb2.CallEnded(offset=report.offset, reason=report.reason))


_REQUESTS: Mapping[type, Callable[[Any], _Request]] = {
    Chunk: _audio,
    reports.SpeechBegan: _began,
    reports.SpeechOver: _over,
    reports.PlayoutReport: _playout,
    reports.BargedIn: _barged_in,
    reports.DigitPressed: _digit,
    reports.Wished: _wished,
    reports.CallOver: _call_over,
}


def batch_from(requests: list[_Request]) -> _Request:
    """Return several messages as one; each costs far more than what is in it."""
    return _Request(batch=session_pb2.RequestBatch(requests=requests))


def event_from(kind: str, response: _Response) -> on.LinkEvent | None:
    """Return what an orchestrator's message means to the call; None if that is nothing.

    Raise InvalidInput for a message that is malformed.
    """
    convert = _EVENTS.get(kind)
    return convert(response) if convert else None


def _entries(response: _Response) -> on.LinkEvent:
    return on.EntriesCame(response.journal.entries)


def _bot_audio(response: _Response) -> on.LinkEvent:
    chunk = response.audio
    if chunk.offset < 0 or not chunk.data or len(chunk.data) % 2:
        raise InvalidInput("bot.audio", f"{len(chunk.data)} bytes at {chunk.offset} are no chunk")
    samples = np.frombuffer(chunk.data, "<i2").astype(np.int16, copy=False)
    return on.BotSounded(Chunk(chunk.offset, samples))


def _ack(response: _Response) -> on.LinkEvent:
    ack = response.ack
    return on.Acknowledged(ack.received_offset, ack.committed_offset)


def _flush(response: _Response) -> on.LinkEvent:
    return on.FlushTold(response.flush.start_offset, response.flush.end_offset)


def _words(response: _Response) -> on.LinkEvent:
    words = response.transcript
    return on.WordsCame(words.bot, words.text, words.final, words.turn, words.start_offset)


def _action(response: _Response) -> on.LinkEvent | None:
    action = response.action
    match action.WhichOneof("action"):
        case "hang_up":
            return on.HangUpTold(action.key, action.after_offset)
        case "transfer":
            return on.TransferTold(action.key, action.after_offset, action.transfer.target)
        case "send_digits":
            return on.DigitsTold(action.key, action.after_offset, action.send_digits.digits)
    return None


_EVENTS: Mapping[str, Callable[[_Response], on.LinkEvent | None]] = {
    "journal": _entries,
    "audio": _bot_audio,
    "ack": _ack,
    "flush": _flush,
    "play_on": lambda _: on.PlayOnTold(),
    "transcript": _words,
    "action": _action,
    "turn_report": lambda response: on.TurnMeasured(response.turn_report),
}
