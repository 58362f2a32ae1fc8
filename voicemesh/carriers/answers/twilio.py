"""TwiML; https://www.twilio.com/docs/voice/twiml.

A stream's address may carry no query there: what the socket's start shall tell goes into
`<Parameter>`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from voicemesh.carriers.answers.document import Answer, Connect, Document, Ended, Onward, Turned
from voicemesh.carriers.answers.xml import element, response
from voicemesh.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Mapping
    from xml.etree.ElementTree import Element

MAX_PARAMETER = 500
"""Characters that a parameter's name and value may have together."""


def answer(wanted: Answer) -> Document:
    """Write an answer as TwiML."""
    match wanted:
        case Connect(url, told, status_url):
            if "?" in url:
                raise InvalidInput("stream_url", "Twilio takes no query in a stream's address")
            stream = element(
                "Stream", *parameters(told), url=url, statusCallback=status_url or None
            )
            return response(element("Connect", stream))
        case Onward():
            return response(dial(wanted))
        case Turned(busy):
            return response(element("Reject", reason="busy" if busy else "rejected"))
        case Ended():
            return response(element("Hangup"))


def parameters(told: Mapping[str, str]) -> list[Element]:
    """Write what the socket's start shall tell."""
    for name, value in told.items():
        if not name or len(name) + len(value) > MAX_PARAMETER:
            raise InvalidInput(
                "parameters", f"{name!r} has more than {MAX_PARAMETER} characters, or no name"
            )
    return [element("Parameter", name=name, value=value) for name, value in told.items()]


def dial(wanted: Onward) -> Element:
    """Write a `<Dial>` to a number or a SIP address."""
    target = element("Sip" if wanted.is_sip else "Number", wanted.target)
    return element("Dial", target, timeout=str(wanted.ring_seconds), callerId=wanted.caller or None)
