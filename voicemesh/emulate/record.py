"""A finished call of an emulated carrier as one JSON document."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from voicemesh.client.record import STUMBLE_SECONDS, percentiles

if TYPE_CHECKING:
    from voicemesh.emulate.call import CarrierCall
    from voicemesh.emulate.carrier import Drop


def carrier_record(call: CarrierCall) -> dict[str, Any]:
    """Return everything that the carrier knows about a call; times are milliseconds."""
    carrier, playback = call.carrier, call.playback
    holes = [hole.seconds for hole in playback.holes if hole.seconds >= STUMBLE_SECONDS]
    first = call.first_audio_at
    return {
        "carrier": call.dialect.name,
        "carrier_call_id": carrier.began.call_id,
        "format": f"{carrier.began.sent.encoding}-{carrier.began.sent.rate}",
        "closed": {"code": call.close_code, "reason": call.close_reason},
        "hung_up_by_bot": carrier.hung_up or (call.close_code == 1000 and not call.hung_up),
        "first_audio_ms": None if first is None else _ms(first - call.placed_at),
        "latency": percentiles([answer.seconds for answer in call.answers()]),
        "bot_audio": {
            "seconds": round(playback.heard_samples / playback.rate, 3),
            "lateness_p99_ms": _ms(float(np.percentile(playback.lateness or [0.0], 99))),
            "stumbles": len(holes),
            "longest_stumble_ms": _ms(max(holes, default=0.0)),
        },
        "interruptions": [_interruption(call, drop) for drop in carrier.drops],
        "marks": carrier.marks,
        "digits_from_bot": carrier.pressed,
        "transcript": [
            {"speaker": "bot" if words.bot else "caller", "text": words.text}
            for words in carrier.shown
            if words.final
        ],
        "complaints": carrier.complaints,
    }


def _interruption(call: CarrierCall, drop: Drop) -> dict[str, Any]:
    """Tell how long the bot went on after the caller had begun to speak."""
    starts = [
        sent_at
        for said in call.mouth.utterances
        if (sent_at := call.sent.sent_at(said.speech_start + 1)) is not None and sent_at <= drop.at
    ]
    began = call.sent.began
    return {
        "at_ms": None if began is None else _ms(drop.at - began),
        "dropped_ms": _ms(drop.seconds),
        "after_speech_ms": _ms(drop.at - starts[-1]) if starts else None,
    }


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 1)
