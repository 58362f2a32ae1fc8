"""A finished call as one JSON document: what was said, how long everything took, the journal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voicemesh.client.call import Call
    from voicemesh.client.events import Cleared, Turn

STUMBLE_SECONDS = 0.005
"""Shorter holes in the bot's speech are the timer's, and inaudible."""


def call_record(call: Call) -> dict[str, Any]:
    """Return everything that the caller knows about a call; times are milliseconds."""
    ended = call.ended
    return {
        "call_id": call.started.call_id,
        "bot": call.request.bot,
        "gateway": call.started.replica,
        "region": call.started.region,
        "ended": ended.reason if ended else None,
        "seconds": round(ended.seconds, 3) if ended else None,
        "transcript": [
            {
                "speaker": words.speaker,
                "text": words.text,
                "turn": words.turn,
                "at_ms": _since_start(call, words.arrived),
            }
            for words in call.transcripts
        ],
        "turns": [_turn(call, turn) for turn in call.turns],
        "latency": _latency(call),
        "bot_audio": _bot_audio(call),
        "interruptions": [_interruption(call, cleared) for cleared in call.clears],
        "actions": [
            {
                "kind": action.kind,
                "argument": action.argument,
                "at_ms": _since_start(call, action.arrived),
            }
            for action in call.actions
        ],
        "journal": list(ended.journal) if ended else [],
    }


def percentiles(seconds: Sequence[float]) -> dict[str, float | int | None]:
    """Return count, p50, p95 and the longest of some times, in milliseconds."""
    if not seconds:
        return {"count": 0, "p50_ms": None, "p95_ms": None, "max_ms": None}
    p50, p95 = np.percentile(seconds, (50, 95))
    return {
        "count": len(seconds),
        "p50_ms": _ms(float(p50)),
        "p95_ms": _ms(float(p95)),
        "max_ms": _ms(max(seconds)),
    }


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 1)


def _since_start(call: Call, when: float) -> float | None:
    return None if call.sent.began is None else _ms(when - call.sent.began)


def _turn(call: Call, turn: Turn) -> dict[str, Any]:
    answer = call.answer_to(turn)
    heard = {"caller_latency_ms": _ms(answer.seconds) if answer else None}
    return turn.report.as_json() | heard


def _latency(call: Call) -> dict[str, Any]:
    """By the caller's own clock, and by the gateway's report."""
    return {
        "caller": percentiles([answer.seconds for answer in call.answers()]),
        "gateway": percentiles([turn.report.total for turn in call.turns]),
        "mesh": percentiles([turn.report.mesh_seconds for turn in call.turns]),
    }


def _bot_audio(call: Call) -> dict[str, Any]:
    playback = call.playback
    late = playback.lateness or [0.0]
    holes = [hole.seconds for hole in playback.holes if hole.seconds >= STUMBLE_SECONDS]
    return {
        "seconds": round(playback.heard_samples / playback.rate, 3),
        "lateness_p99_ms": _ms(float(np.percentile(late, 99))),
        "stumbles": len(holes),
        "longest_stumble_ms": _ms(max(holes, default=0.0)),
    }


def _interruption(call: Call, cleared: Cleared) -> dict[str, Any]:
    """Tell how long the bot went on after the caller had begun to speak."""
    starts = [
        sent_at
        for said in call.mouth.utterances
        if (sent_at := call.sent.sent_at(said.speech_start + 1)) is not None
        and sent_at <= cleared.arrived
    ]
    return {
        "at_ms": _since_start(call, cleared.arrived),
        "offset": cleared.offset,
        "after_speech_ms": _ms(cleared.arrived - starts[-1]) if starts else None,
    }
