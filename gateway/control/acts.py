"""What applications may do to a call: checked, then done. One row for each in two tables."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING, Any

import numpy as np

from gateway import events as on
from gateway.reports import Wish
from voicemesh.audio import Resampler, read_wav
from voicemesh.errors import InvalidInput, NotFound, OutOfOrder

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from gateway.control.calls import Held
    from gateway.control.room import Room
    from voicemesh.api.control.v1 import control_pb2

MAX_TEXT = 2000
MAX_ADDRESS = 128
MAX_WAV_BYTES = 192 * 1024
MAX_VARIABLES = 16
MAX_VARIABLES_BYTES = 1024
RING_SECONDS = (1.0, 120.0)
WISH_PREFIX = "api-"
"""How keys of wishes begin that come from here."""
_DIGITS = re.compile(r"[0-9*#A-D]{1,64}")


def _length(field: str, text: str, most: int, least: int = 1) -> None:
    if not least <= len(text) <= most:
        raise InvalidInput(
            field, f"has {len(text)} characters; must have {least} to {most}", limit=most
        )


def check_create(request: control_pb2.CreateCallRequest) -> None:
    """Raise InvalidInput where a call cannot be placed as it is asked for."""
    _length("callee", request.callee, MAX_ADDRESS)
    _length("caller", request.caller, MAX_ADDRESS, 0)
    _length("bot", request.bot, 64)
    count = len(request.variables)
    if count > MAX_VARIABLES:
        problem = f"are {count}; at most {MAX_VARIABLES} are allowed"
        raise InvalidInput("variables", problem, limit=MAX_VARIABLES)
    for name, value in request.variables.items():
        _length("variables.key", name, 64)
        _length("variables.value", value, 256, 0)
    size = sum(len(text.encode()) for pair in request.variables.items() for text in pair)
    if size > MAX_VARIABLES_BYTES:
        problem = f"have {size} bytes; at most {MAX_VARIABLES_BYTES} are allowed"
        raise InvalidInput("variables", problem, limit=MAX_VARIABLES_BYTES)
    least, most = RING_SECONDS
    if request.HasField("ring_timeout") and not least <= ring_seconds(request) <= most:
        raise InvalidInput("ring_timeout", f"must be {least:g} s to {most:g} s", limit=most)


def ring_seconds(request: control_pb2.CreateCallRequest) -> float:
    """Return how long a call may ring."""
    timeout = request.ring_timeout
    return timeout.seconds + timeout.nanos / 1e9 if request.HasField("ring_timeout") else 45.0


def _check_say(request: control_pb2.SayRequest) -> None:
    _length("text", request.text, MAX_TEXT)


def _check_play(request: control_pb2.PlayRequest) -> None:
    size = len(request.wav)
    if not 0 < size <= MAX_WAV_BYTES:
        problem = f"has {size} bytes; must have 1 to {MAX_WAV_BYTES}"
        raise InvalidInput("wav", problem, limit=MAX_WAV_BYTES)
    read_wav(io.BytesIO(request.wav))


def _check_digits(request: control_pb2.SendDigitsRequest) -> None:
    if not _DIGITS.fullmatch(request.digits):
        raise InvalidInput("digits", "must be 1 to 64 of 0-9, *, #, A-D", limit=64)


def _check_transfer(request: control_pb2.TransferRequest) -> None:
    _length("target", request.target, MAX_ADDRESS)


def _fine(request: object) -> None:
    pass


CHECKS: Mapping[str, Callable[[Any], None]] = {
    "Say": _check_say,
    "Play": _check_play,
    "SendDigits": _check_digits,
    "Mute": _fine,
    "Hold": _fine,
    "Transfer": _check_transfer,
    "StartRecording": _fine,
    "StopRecording": _fine,
    "HangUp": _fine,
}
"""What of a request can be judged without the call; raises InvalidInput."""


async def act(room: Room, method: str, request: Any) -> control_pb2.Call:  # noqa: ANN401
    """Do it, and return the call as it is then.

    Raise OutOfOrder for a call that has ended or is not answered yet, NotFound for an unknown one.
    """
    call_id = request.call_id
    dialling = room.calls.placed(call_id)
    if dialling is not None and method == "HangUp":
        return await room.placing.cancel(dialling)
    held = room.calls.held(call_id)
    if held is None:
        if room.calls.ended(call_id):
            raise OutOfOrder("call_id", "this call has ended", reason="CALL_ENDED")
        if dialling is not None:
            raise OutOfOrder("call_id", "this call is not answered yet", reason="NOT_ANSWERED")
        raise NotFound(f"there is no call {call_id!r}", reason="NO_CALL", call_id=call_id)
    if not held.live.answered:
        raise OutOfOrder("call_id", "this call is not answered yet", reason="NOT_ANSWERED")
    done = _ACTS[method](room, held, request)
    if done is not None:
        await done
    return room.calls.describe(held)


def _wish(held: Held, request: Any, wish: Wish, argument: str = "") -> None:  # noqa: ANN401
    held.live.apply(on.ApplicationWished(f"{WISH_PREFIX}{request.idempotency_key}", wish, argument))


def _say(_room: Room, held: Held, request: control_pb2.SayRequest) -> None:
    _wish(held, request, Wish.SAY, request.text)


def _hang_up(_room: Room, held: Held, request: control_pb2.HangUpRequest) -> None:
    _wish(held, request, Wish.HANG_UP)


def _transfer(_room: Room, held: Held, request: control_pb2.TransferRequest) -> None:
    _wish(held, request, Wish.TRANSFER, request.target)


def _play(_room: Room, held: Held, request: control_pb2.PlayRequest) -> None:
    rate, samples = read_wav(io.BytesIO(request.wav))
    wanted = held.facts.rate
    if rate != wanted:
        resampler = Resampler(rate, wanted)
        samples = np.concatenate([resampler.feed(samples), resampler.flush()])
    held.live.apply(on.SoundGiven(samples))


def _digits(_room: Room, held: Held, request: control_pb2.SendDigitsRequest) -> None:
    held.live.apply(on.DigitsGiven(request.digits))


def _mute(_room: Room, held: Held, request: control_pb2.MuteRequest) -> None:
    held.live.apply(on.MuteSet(request.muted))


def _hold(_room: Room, held: Held, request: control_pb2.HoldRequest) -> None:
    held.live.apply(on.HoldSet(request.on_hold))


def _record(room: Room, held: Held, _request: control_pb2.StartRecordingRequest) -> None:
    room.record(held)


def _stop(room: Room, held: Held, _request: control_pb2.StopRecordingRequest) -> None:
    room.stop_recording(held)


_ACTS: Mapping[str, Callable[[Room, Held, Any], Awaitable[None] | None]] = {
    "Say": _say,
    "Play": _play,
    "SendDigits": _digits,
    "Mute": _mute,
    "Hold": _hold,
    "Transfer": _transfer,
    "StartRecording": _record,
    "StopRecording": _stop,
    "HangUp": _hang_up,
}
