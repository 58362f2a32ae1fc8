"""Plivo XML; https://www.plivo.com/docs/voice/xml/.

What the socket's start would tell goes into the socket's address: Plivo's own `extraHeaders` hold
512 bytes of letters and digits, which no ticket fits.
"""

from __future__ import annotations

from voicemesh.carriers.answers.document import (
    Answer,
    Connect,
    Document,
    Ended,
    Onward,
    Turned,
    with_query,
)
from voicemesh.carriers.answers.xml import element, response

CONTENT_TYPE = "audio/x-mulaw;rate=8000"


def answer(wanted: Answer) -> Document:
    """Write an answer as Plivo XML."""
    match wanted:
        case Connect(url, told, status_url):
            stream = element(
                "Stream",
                with_query(url, told),
                bidirectional="true",
                keepCallAlive="true",
                contentType=CONTENT_TYPE,
                statusCallbackUrl=status_url or None,
            )
            return response(stream)
        case Onward(target, caller, ring_seconds):
            # Plivo's numbers have no plus, its SIP addresses are called users.
            to = element("User", target) if wanted.is_sip else element("Number", _number(target))
            dial = element("Dial", to, timeout=str(ring_seconds), callerId=_number(caller) or None)
            return response(dial)
        case Turned(busy):
            return response(element("Hangup", reason="busy" if busy else "rejected"))
        case Ended():
            return response(element("Hangup"))


def _number(number: str) -> str:
    return number.removeprefix("+")
