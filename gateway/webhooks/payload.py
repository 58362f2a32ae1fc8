"""What a webhook says: versioned JSON, made of the events that watchers get."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from google.protobuf.json_format import MessageToDict

if TYPE_CHECKING:
    from collections.abc import Mapping

    from voicemesh.api.control.v1 import event_pb2
    from voicemesh.redaction import Redactor

VERSION = "1"
"""Grows when a field's meaning changes; fields that are added change nothing."""

_TYPES = {
    "answered": "call.answered",
    "turn": "call.turn",
    "dtmf": "call.dtmf",
    "transferred": "call.transferred",
    "ended": "call.ended",
    "recording_ready": "recording.ready",
}

_WORDS = frozenset(
    {
        "caller_text",
        "bot_text",
        "text",
        "meaning",
        "digits",
        "literal",
        "heard_text",
        "arguments_json",
        "result_json",
        "value_json",
        "error",
    }
)
"""Fields of events and of journals that hold what people and services said."""


def from_event(event: event_pb2.CallEvent, redactor: Redactor) -> str | None:
    """Return an event as a payload; None for a kind that receivers are not told of.

    Its words are redacted; who called whom is left as it is.
    """
    kind = event.WhichOneof("event") or ""
    if kind not in _TYPES:
        return None
    data = MessageToDict(
        getattr(event, kind),
        preserving_proto_field_name=True,
        always_print_fields_with_no_presence=True,
    )
    data = redactor.redact_fields(data, _WORDS)
    return payload(_TYPES[kind], event.event_time.ToJsonString(), event.call_id, data)


def payload(kind: str, time: str, call_id: str, data: Mapping[str, Any]) -> str:
    """Return a payload; ``time`` as in RFC 3339."""
    said = {
        "type": kind,
        "timestamp": time,
        "version": VERSION,
        "data": {"call_id": call_id, **data},
    }
    return json.dumps(said, ensure_ascii=False, separators=(",", ":"))
