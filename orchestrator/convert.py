"""Between the session's protos and the conversation's events and commands."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from google.protobuf.duration_pb2 import Duration

from orchestrator import commands, events
from orchestrator.conversation import CallFacts
from voicemesh.api.audio.v1 import audio_pb2
from voicemesh.api.session.v1 import session_pb2
from voicemesh.bots import HANG_UP, TRANSFER
from voicemesh.errors import InvalidInput, OutOfOrder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Any

MAX_NAME = 64
HEAR, HUSH = "hear", "hush"
MAX_ADDRESS = 128
MAX_WORDS = 2000
MAX_CHUNK_SECONDS = 1
MAX_CALL_SECONDS = 2 * 86400
"""Offsets beyond it are a mistake: no call lasts that long."""
CALL_ID = re.compile(r"[a-z0-9-]{1,64}")
MAX_BATCH = 32
DIGITS = frozenset("0123456789*#ABCD")


def facts(opening: session_pb2.Open, replica: str) -> CallFacts:
    """Check an ``open`` and return what it says. Raise InvalidInput with field and limit."""
    if not CALL_ID.fullmatch(opening.call_id):
        raise InvalidInput(
            "open.call_id", f"must be 1 to {MAX_NAME} of a-z, 0-9 and -", limit=MAX_NAME
        )
    if opening.epoch < 1:
        raise InvalidInput("open.epoch", "must be at least 1", limit=1)
    if opening.attempt < 1:
        raise InvalidInput("open.attempt", "must be at least 1", limit=1)
    rate = opening.format.sample_rate_hertz
    if opening.format.encoding != audio_pb2.ENCODING_LINEAR16 or rate not in (8000, 16000):
        raise InvalidInput(
            "open.format", "must be LINEAR16 at 8000 or 16000 hertz", limit="8000, 16000"
        )
    for field in ("caller_offset", "buffered_offset", "played_offset"):
        _check_offset(f"open.{field}", getattr(opening, field), rate)
    if opening.played_offset > opening.buffered_offset:
        limit = opening.buffered_offset
        raise InvalidInput("open.played_offset", "is behind buffered_offset", limit=limit)
    return CallFacts(
        call_id=opening.call_id,
        bot=opening.bot,
        rate=rate,
        replica=replica,
        caller=opening.caller,
        callee=opening.callee,
        residency=opening.residency,
        variables=tuple(sorted(opening.variables.items())),
        buffered_offset=opening.buffered_offset,
        played_offset=opening.played_offset,
        text=opening.text,
        tells_kept=opening.tells_kept,
        takes_batches=opening.takes_batches,
    )


def each(request: session_pb2.RunRequest) -> Sequence[session_pb2.RunRequest]:
    """Return the messages in one that may be a batch. Raise InvalidInput for a nested one."""
    if not request.HasField("batch"):
        return (request,)
    requests = request.batch.requests
    if not 0 < len(requests) <= MAX_BATCH or any(one.HasField("batch") for one in requests):
        raise InvalidInput("batch", f"must hold 1 to {MAX_BATCH} others", limit=MAX_BATCH)
    return requests


def event(request: session_pb2.RunRequest, rate: int) -> events.Event:
    """Return the event that a message tells of. Raise InvalidInput or OutOfOrder."""
    kind = request.WhichOneof("message")
    if kind is None:
        raise InvalidInput("message", "is empty: set exactly one field")
    if kind == "open":
        raise OutOfOrder("open", "may be sent once only")
    message = getattr(request, kind)
    for field in _OFFSETS.get(kind, ("offset",)):
        _check_offset(f"{kind}.{field}", getattr(message, field), rate)
    if kind == "audio":
        return _audio(message, rate)
    return _EVENTS[kind](message)


def _check_offset(field: str, offset: int, rate: int) -> None:
    limit = MAX_CALL_SECONDS * rate
    if not 0 <= offset <= limit:
        raise InvalidInput(field, f"is {offset}, must be 0 to {limit}", limit=limit)


def _text(field: str, text: str, limit: int) -> str:
    if not 0 < len(text) <= limit:
        raise InvalidInput(field, f"must have 1 to {limit} characters", limit=limit)
    return text


def _audio(chunk: audio_pb2.AudioChunk, rate: int) -> events.AudioArrived:
    limit = MAX_CHUNK_SECONDS * rate * 2
    if not 0 < len(chunk.data) <= limit or len(chunk.data) % 2:
        raise InvalidInput(
            "audio.data", f"must be whole 16-bit samples, 2 to {limit} bytes", limit=limit
        )
    return events.AudioArrived(chunk.offset, chunk.data)


def _dtmf(message: session_pb2.Dtmf) -> events.DigitPressed:
    if message.digit not in DIGITS:
        raise InvalidInput("dtmf.digit", "must be one of 0-9, *, #, A-D", limit="0-9*#A-D")
    return events.DigitPressed(message.offset, message.digit)


def _command(message: session_pb2.Command) -> events.Commanded:
    key = _text("command.key", message.key, MAX_NAME)
    match message.WhichOneof("command"):
        case "say":
            words = _text("command.say", message.say, MAX_WORDS)
            return events.Commanded(message.offset, key, "say", words)
        case "hang_up":
            return events.Commanded(message.offset, key, HANG_UP, "")
        case "transfer_target":
            target = _text("command.transfer_target", message.transfer_target, MAX_ADDRESS)
            return events.Commanded(message.offset, key, TRANSFER, target)
        case "hear":
            words = _text("command.hear", message.hear, MAX_WORDS)
            return events.Commanded(message.offset, key, HEAR, words)
        case "hush":
            return events.Commanded(message.offset, key, HUSH, message.hush[:MAX_WORDS])
        case _:
            raise InvalidInput("command", "is empty: set exactly one field")


_EVENTS: dict[str, Callable[[Any], events.Event]] = {
    "speech_started": lambda m: events.SpeechStarted(m.offset, m.start_offset),
    "speech_ended": lambda m: events.SpeechEnded(m.offset, m.end_offset),
    "playout": lambda m: events.PlayoutReported(
        m.offset, m.played_offset, m.buffered_offset, m.kept_sequence, m.on_hold
    ),
    "barge_in": lambda m: events.BargedIn(m.offset, m.heard_offset),
    "dtmf": _dtmf,
    "command": _command,
    "call_ended": lambda m: events.CallerGone(
        m.offset, _text("call_ended.reason", m.reason, MAX_NAME)
    ),
}
_OFFSETS = {
    "speech_started": ("offset", "start_offset"),
    "speech_ended": ("offset", "end_offset"),
    "playout": ("offset", "played_offset", "buffered_offset"),
    "barge_in": ("offset", "heard_offset"),
}


def batched(messages: list[session_pb2.RunResponse]) -> Iterator[session_pb2.RunResponse]:
    """Yield the same in as few messages as may be: each costs far more than what is in it."""
    for begin in range(0, len(messages), MAX_BATCH):
        some = messages[begin : begin + MAX_BATCH]
        batch = session_pb2.ResponseBatch(responses=some) if len(some) > 1 else None
        yield some[0] if batch is None else session_pb2.RunResponse(batch=batch)


def responses(todo: list[commands.Command]) -> list[session_pb2.RunResponse]:
    """Return the messages for the gateway; runs of entries become one message."""
    messages: list[session_pb2.RunResponse] = []
    for command in todo:
        last = messages[-1] if messages else None
        if isinstance(command, commands.Write):
            if last is None or last.WhichOneof("message") != "journal":
                last = session_pb2.RunResponse(journal=session_pb2.Journal())
                messages.append(last)
            last.journal.entries.append(command.entry)
        else:
            messages.append(_RESPONSES[type(command)](command))
    return messages


def _audio_out(command: commands.SendAudio) -> session_pb2.RunResponse:
    chunk = audio_pb2.AudioChunk(offset=command.offset, data=command.data)
    return session_pb2.RunResponse(audio=chunk)


def _flush(command: commands.Flush) -> session_pb2.RunResponse:
    flush = session_pb2.Flush(start_offset=command.start_offset, end_offset=command.end_offset)
    return session_pb2.RunResponse(flush=flush)


def _show(command: commands.Show) -> session_pb2.RunResponse:
    return session_pb2.RunResponse(
        transcript=session_pb2.Transcript(
            bot=command.bot,
            text=command.text,
            final=command.final,
            turn=command.turn,
            start_offset=command.start_offset,
        )
    )


def _act(command: commands.Act) -> session_pb2.RunResponse:
    action = session_pb2.Action(key=command.key, after_offset=command.after_offset)
    match command.kind:
        case "transfer":
            action.transfer.target = command.argument
        case "send_digits":
            action.send_digits.digits = command.argument
        case _:
            action.hang_up.SetInParent()
    return session_pb2.RunResponse(action=action)


def _ack(command: commands.Ack) -> session_pb2.RunResponse:
    ack = session_pb2.Ack(
        received_offset=command.received_offset, committed_offset=command.committed_offset
    )
    return session_pb2.RunResponse(ack=ack)


def _go_away(command: commands.GoAway) -> session_pb2.RunResponse:
    deadline = Duration(seconds=int(command.seconds), nanos=int(command.seconds % 1 * 1e9))
    return session_pb2.RunResponse(go_away=session_pb2.GoAway(deadline=deadline))


_RESPONSES: dict[type, Callable[[Any], session_pb2.RunResponse]] = {
    commands.SendAudio: _audio_out,
    commands.Flush: _flush,
    commands.PlayOn: lambda _: session_pb2.RunResponse(play_on=session_pb2.PlayOn()),
    commands.Show: _show,
    commands.Act: _act,
    commands.Report: lambda c: session_pb2.RunResponse(turn_report=c.report),
    commands.Ack: _ack,
    commands.GoAway: _go_away,
}
FOR_GATEWAY = frozenset({commands.Write, *_RESPONSES})
"""Commands that go to the gateway; the others are for the senses."""
