"""How a call over gRPC begins: what `start` may say, and what it means."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from gateway.resume import ALONE_SECONDS, Claim, check as check_resumption
from voicemesh.api.audio.v1 import audio_pb2
from voicemesh.audio import AudioFormat, Encoding, internal_rate
from voicemesh.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Mapping

    from voicemesh.api.call.v1 import call_pb2

_ENCODINGS: Mapping[audio_pb2.Encoding.ValueType, Encoding] = {
    audio_pb2.ENCODING_LINEAR16: Encoding.LINEAR16,
    audio_pb2.ENCODING_MULAW: Encoding.MULAW,
    audio_pb2.ENCODING_ALAW: Encoding.ALAW,
}
_PROTOS = {name: value for value, name in _ENCODINGS.items()}
_BOT = re.compile(r"[a-z0-9_-]{1,64}")
_MAX_ADDRESS = 128
_MAX_VARIABLES = 32
_MAX_VARIABLE = 256


def read_format(proto: audio_pb2.AudioFormat, field: str) -> AudioFormat:
    """Return a format; raise InvalidInput where it is not one of the contract's."""
    encoding = _ENCODINGS.get(proto.encoding)
    if encoding is None:
        known = ", ".join(audio_pb2.Encoding.Name(value) for value in _ENCODINGS)
        raise InvalidInput(
            f"{field}.encoding", f"is {proto.encoding}, not one of {known}", allowed=known
        )
    return AudioFormat(encoding, proto.sample_rate_hertz, field)


def check_start(start: call_pb2.Start) -> None:
    """Raise InvalidInput, with field and limit, where a start is not as the contract says."""
    if (start.bot or not start.callee) and not _BOT.fullmatch(start.bot):
        raise InvalidInput("start.bot", "must be 1 to 64 characters of a-z, 0-9, - and _", limit=64)
    for field in ("caller", "callee"):
        _check_length(f"start.{field}", getattr(start, field), _MAX_ADDRESS)
    if len(start.variables) > _MAX_VARIABLES:
        raise InvalidInput(
            "start.variables",
            f"are {len(start.variables)}; at most {_MAX_VARIABLES} are allowed",
            limit=_MAX_VARIABLES,
        )
    for name, value in start.variables.items():
        _check_length("start.variables.key", name, _MAX_VARIABLE)
        _check_length("start.variables.value", value, _MAX_VARIABLE)


def _check_length(field: str, text: str, limit: int) -> None:
    if len(text) > limit:
        raise InvalidInput(
            field, f"has {len(text)} characters; at most {limit} are allowed", limit=limit
        )


def reply_format(start: call_pb2.Start, caller: AudioFormat) -> AudioFormat:
    """Return the form of audio that the caller wants to hear."""
    if not start.HasField("bot_format"):
        return caller
    return read_format(start.bot_format, "start.bot_format")


def read_claim(proto: call_pb2.Resumption, caller: AudioFormat, bot: AudioFormat) -> Claim:
    """Return what somebody says who goes on with a call; raise InvalidInput for nonsense."""
    check_resumption(proto)
    rate = internal_rate(caller)
    held, heard = proto.held_offset * rate // caller.rate, proto.heard_offset * rate // bot.rate
    arrived = min(proto.arrived_offset * rate // bot.rate, heard + ALONE_SECONDS * rate)
    return Claim(proto.call_id, proto.attempt, held, heard, arrived)


def proto_format(fmt: AudioFormat) -> audio_pb2.AudioFormat:
    """Return a format as the contract has it."""
    return audio_pb2.AudioFormat(encoding=_PROTOS[fmt.encoding], sample_rate_hertz=fmt.rate)
