"""What Exotel's applets ask for; https://developer.exotel.com/docs/agentstream/.

A flow is drawn on Exotel's side. Its Voicebot applet asks us for a socket's address, its Connect
applet for a number; hanging up is an applet of its own, so no answer of ours can say it.
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
    not_offered,
    with_query,
)
from voicemesh.errors import InvalidInput

MAX_PARAMETERS = 3
MAX_QUERY = 256
"""Characters of all parameters together, as a query."""


def answer(wanted: Answer) -> Document:
    """Write an answer for the applet that asked."""
    match wanted:
        case Connect(url, told):
            address = with_query(url, told)
            query = len(address.partition("?")[2])
            if len(told) > MAX_PARAMETERS or query > MAX_QUERY:
                raise InvalidInput(
                    "parameters",
                    f"are {len(told)} of {query} characters; Exotel passes on {MAX_PARAMETERS} "
                    f"of {MAX_QUERY} in all",
                )
            return _json({"url": address})
        case Onward(target, caller, ring_seconds):
            if wanted.is_sip:
                raise InvalidInput("target", "Exotel's Connect applet takes numbers only")
            shown = {"outgoing_phone_number": caller} if caller else {}
            told_to = {"numbers": [target]}
            ring = {"max_ringing_duration": ring_seconds}
            return _json({"fetch_after_attempt": False, "destination": told_to} | shown | ring)
        case Turned() | Ended():
            raise not_offered("Exotel", "hang up in an answer")


def _json(values: dict[str, object]) -> Document:
    return Document("application/json", json.dumps(values).encode())
