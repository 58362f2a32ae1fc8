"""Plivo XML; https://www.plivo.com/docs/voice/xml/.

What the socket's start shall tell goes into `extraHeaders`, of 512 bytes and few characters.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from voicemesh.carriers.answers.document import Answer, Connect, Document, Ended, Onward, Turned
from voicemesh.carriers.answers.xml import element, response
from voicemesh.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_HEADERS = 512
"""Bytes that all parameters may take together."""
CONTENT_TYPE = "audio/x-mulaw;rate=8000"


def answer(wanted: Answer) -> Document:
    """Write an answer as Plivo XML."""
    match wanted:
        case Connect(url, told, status_url):
            stream = element(
                "Stream",
                url,
                bidirectional="true",
                keepCallAlive="true",
                contentType=CONTENT_TYPE,
                statusCallbackUrl=status_url or None,
                extraHeaders=_headers(told) or None,
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


def _headers(told: Mapping[str, str]) -> str:
    for name, value in told.items():
        if not re.fullmatch(r"[A-Za-z0-9]+=[A-Za-z0-9-]*", f"{name}={value}"):
            raise InvalidInput("parameters", f"{name!r}: Plivo passes on A-Z, a-z, 0-9 only")
    text = ",".join(f"{name}={value}" for name, value in told.items())
    if len(text) > MAX_HEADERS:
        raise InvalidInput("parameters", f"take {len(text)} bytes; at most {MAX_HEADERS} may be")
    return text
