"""Between the messages of the contract and what a caller handles."""

from __future__ import annotations

from typing import TYPE_CHECKING

from google.protobuf.json_format import MessageToDict

from voicemesh.api.audio.v1 import audio_pb2
from voicemesh.api.call.v1 import call_pb2
from voicemesh.audio import AudioFormat, Encoding
from voicemesh.client.events import (
    Action,
    BotAudio,
    Cleared,
    Ended,
    Started,
    Transcript,
    Turn,
)
from voicemesh.waterfall import Waterfall

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from voicemesh.audio import Decoder
    from voicemesh.client.events import Event

_ENCODINGS: Mapping[Encoding, audio_pb2.Encoding.ValueType] = {
    Encoding.LINEAR16: audio_pb2.ENCODING_LINEAR16,
    Encoding.MULAW: audio_pb2.ENCODING_MULAW,
    Encoding.ALAW: audio_pb2.ENCODING_ALAW,
}
_NAMES = {value: name for name, value in _ENCODINGS.items()}
_SPEAKERS = {call_pb2.SPEAKER_CALLER: "caller", call_pb2.SPEAKER_BOT: "bot"}


def format_to_proto(fmt: AudioFormat) -> audio_pb2.AudioFormat:
    """Return the format as the contract has it."""
    return audio_pb2.AudioFormat(encoding=_ENCODINGS[fmt.encoding], sample_rate_hertz=fmt.rate)


def format_from_proto(fmt: audio_pb2.AudioFormat) -> AudioFormat:
    """Return the format, or raise InvalidInput for one that is not in the contract."""
    encoding = _NAMES.get(fmt.encoding, "")
    return AudioFormat(encoding, fmt.sample_rate_hertz)  # type: ignore[arg-type]


def audio_request(offset: int, data: bytes) -> call_pb2.ConverseRequest:
    """Return one chunk of the caller's."""
    return call_pb2.ConverseRequest(audio=audio_pb2.AudioChunk(offset=offset, data=data))


def dtmf_request(digit: str) -> call_pb2.ConverseRequest:
    """Return one key press."""
    return call_pb2.ConverseRequest(dtmf=call_pb2.Dtmf(digit=digit))


def hang_up_request() -> call_pb2.ConverseRequest:
    """Return the end of the call."""
    return call_pb2.ConverseRequest(hang_up=call_pb2.HangUp())


def event_from_proto(
    message: call_pb2.ConverseResponse, decoder: Decoder, now: float
) -> Event | None:
    """Return what a message tells; None if it is of a kind newer than this code."""
    kind = message.WhichOneof("message") or ""
    if kind == "audio":
        return BotAudio(message.audio.offset, decoder.decode(message.audio.data), now)
    convert = _EVENTS.get(kind)
    return convert(message, now) if convert else None


def started_from_proto(message: call_pb2.Started) -> Started:
    """Return the call's beginning."""
    return Started(
        message.call_id, format_from_proto(message.bot_format), message.replica, message.region
    )


def _cleared(message: call_pb2.ConverseResponse, now: float) -> Event:
    return Cleared(message.clear.offset, now)


def _transcript(message: call_pb2.ConverseResponse, now: float) -> Event:
    words = message.transcript
    speaker = _SPEAKERS.get(words.speaker, "unknown")
    return Transcript(speaker, words.text, words.final, words.turn, words.start_offset, now)


def _turn(message: call_pb2.ConverseResponse, now: float) -> Event:
    return Turn(Waterfall.from_proto(message.turn), now)


def _action(message: call_pb2.ConverseResponse, now: float) -> Event:
    done = message.action
    kind = done.WhichOneof("action") or "unknown"
    argument = {"transfer": done.transfer.target, "send_digits": done.send_digits.digits}
    return Action(kind, argument.get(kind, ""), now)


def _ended(message: call_pb2.ConverseResponse, _now: float) -> Event:
    end = message.ended
    try:
        name = call_pb2.EndReason.Name(end.reason)
    except ValueError:
        name = f"END_REASON_{end.reason}"
    journal = tuple(MessageToDict(entry, preserving_proto_field_name=True) for entry in end.journal)
    seconds = end.duration.seconds + end.duration.nanos / 1e9
    return Ended(name.removeprefix("END_REASON_").lower(), seconds, journal)


_EVENTS: Mapping[str, Callable[[call_pb2.ConverseResponse, float], Event]] = {
    "clear": _cleared,
    "transcript": _transcript,
    "turn": _turn,
    "action": _action,
    "ended": _ended,
}
