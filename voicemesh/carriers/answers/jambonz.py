"""Writes answers as jambonz verbs; https://docs.jambonz.org/verbs/verbs/overview."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from voicemesh.carriers.answers.document import Answer, Connect, Document, Ended, Onward, Turned
from voicemesh.carriers.jambonz import PARAMETERS

if TYPE_CHECKING:
    from collections.abc import Mapping

RATE = 16000
"""Samples per second that we ask for, both ways: the socket tells only one rate."""
_BUSY = {"verb": "sip:decline", "status": 486, "reason": "Busy Here"}
_REJECTED = {"verb": "sip:decline", "status": 603, "reason": "Decline"}
_HANGUP = {"verb": "hangup"}


def answer(what: Answer) -> Document:
    """Write verbs."""
    match what:
        case Connect():
            return _document({"verb": "answer"}, _listen(what), _HANGUP)
        case Onward():
            return _document(dial(what), _HANGUP)
        case Turned(busy):
            return _document(_BUSY if busy else _REJECTED)
        case Ended():
            return _document(_HANGUP)


def dial(what: Onward) -> dict[str, object]:
    """Return the verb that connects a call to somebody else."""
    verb = {"verb": "dial", "target": [target(what.target)], "timeout": what.ring_seconds}
    return {**verb, "callerId": what.caller} if what.caller else verb


def target(to: str) -> dict[str, str]:
    """Return what stands for a number or a SIP address."""
    if to.lower().startswith(("sip:", "sips:")):
        return {"type": "sip", "sipUri": to}
    return {"type": "phone", "number": to}


def _listen(what: Connect) -> dict[str, object]:
    verb = {
        "verb": "listen",
        "url": what.stream_url,
        "mixType": "mono",
        "sampleRate": RATE,
        "passDtmf": True,
        # Without `streaming` what we send is not heard.
        "bidirectionalAudio": {"enabled": True, "streaming": True, "sampleRate": RATE},
        "metadata": {PARAMETERS: dict(what.parameters)},
    }
    return {**verb, "actionHook": what.status_url} if what.status_url else verb


def _document(*verbs: Mapping[str, object]) -> Document:
    return Document("application/json", json.dumps(verbs).encode())
