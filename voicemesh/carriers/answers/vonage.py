"""Writes answers as an NCCO; https://developer.vonage.com/en/voice/voice-api/ncco-reference.

Vonage does not name the call at the media socket, so `told` takes from its webhook what is to be
passed along; `voicemesh.carriers.vonage` finds it there. An NCCO has no word for a busy line: a
call that is turned away just ends.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from voicemesh.carriers.answers.document import Answer, Connect, Document, Ended, Onward, Turned
from voicemesh.carriers.reading import read_optional_text
from voicemesh.carriers.vonage import HEADERS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from voicemesh.carriers.reading import Fields

CONTENT_TYPE = "audio/l16;rate=16000"
"""The form of the audio that we ask for."""
_TOLD = {"call_id": "uuid", "account_id": "api_key", "caller": "from", "callee": "to"}


def told(webhook: Fields) -> dict[str, str]:
    """Return the parameters by which the socket learns whose call it is.

    ``webhook`` is what Vonage sent to the answer address: its query, or its JSON.
    """
    found = {HEADERS[ours]: read_optional_text(webhook, theirs) for ours, theirs in _TOLD.items()}
    return {name: value for name, value in found.items() if value}


def answer(what: Answer) -> Document:
    """Write an NCCO."""
    match what:
        case Connect():
            return _document(_connect(what))
        case Onward():
            return _document(_onward(what))
        case Turned() | Ended():
            return _document()


def ncco(what: Onward) -> list[dict[str, object]]:
    """Return the actions that connect a call to somebody else."""
    return [_onward(what)]


def _connect(what: Connect) -> dict[str, object]:
    endpoint = {
        "type": "websocket",
        "uri": what.stream_url,
        "content-type": CONTENT_TYPE,
        "headers": dict(what.parameters),
    }
    return {"action": "connect", "endpoint": [endpoint], **_events(what.status_url)}


def _onward(what: Onward) -> dict[str, object]:
    action: dict[str, object] = {
        "action": "connect",
        "endpoint": [_endpoint(what)],
        "timeout": what.ring_seconds,
    }
    caller = what.caller.removeprefix("+")
    return {**action, "from": caller} if caller else {**action, "randomFromNumber": True}


def _endpoint(what: Onward) -> dict[str, str]:
    if what.is_sip:
        return {"type": "sip", "uri": what.target}
    return {"type": "phone", "number": what.target.removeprefix("+")}


def _events(url: str) -> Mapping[str, object]:
    return {"eventUrl": [url]} if url else {}


def _document(*actions: Mapping[str, object]) -> Document:
    return Document("application/json", json.dumps(actions).encode())
