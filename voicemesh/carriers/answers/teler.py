"""Teler's call flows; https://frejun.ai/docs/call-flows.

Teler passes nothing on to the socket: what its start would tell goes into the socket's address.
"""

from __future__ import annotations

import json

from voicemesh.carriers.answers.document import (
    Answer,
    Connect,
    Document,
    Ended,
    Onward,
    Turned,
    with_query,
)

CHUNK_MS = 20
"""Audio in one message of Teler's; its default of 400 would come that much later."""


def answer(wanted: Answer) -> Document:
    """Write an answer as a call flow; a call that was not answered is turned away by hanging up."""
    return Document("application/json", json.dumps(_flow(wanted)).encode())


def _flow(wanted: Answer) -> dict[str, object]:
    match wanted:
        case Connect(url, told):
            return {
                "action": "stream",
                "ws_url": with_query(url, told),
                "sample_rate": "8k",
                "chunk_size": CHUNK_MS,
                "record": False,
            }
        case Onward(target, _, ring_seconds):
            return {
                "action": "dial",
                "to": target,
                "timeout": ring_seconds,
                "record": False,
                "ringback": "passthrough",
            }
        case Turned() | Ended():
            return {"action": "hangup"}
