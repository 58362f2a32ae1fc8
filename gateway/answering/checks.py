"""How carriers' webhooks prove where they come from: one row for each that signs them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voicemesh.carriers.auth.jambonz import jambonz
from voicemesh.carriers.auth.plivo import plivo
from voicemesh.carriers.auth.request import Seen
from voicemesh.carriers.auth.teler import teler
from voicemesh.carriers.auth.telnyx import telnyx
from voicemesh.carriers.auth.twilio import SIGNATURE, twilio
from voicemesh.carriers.auth.vonage import vonage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pydantic import SecretStr

    from voicemesh.carriers.auth.request import Check, Request


def _twilio(token: SecretStr) -> Check:
    """Twilio signs neither time nor nonce: a copy is recognised by its signature."""
    check, seen = twilio(token), Seen()

    def once(request: Request, now: float) -> None:
        check(request, now)
        seen.check(request.header(SIGNATURE), now)

    return once


CHECKS: Mapping[str, Callable[[SecretStr], Check]] = {
    "twilio": _twilio,
    "teler": lambda secret: teler(secret, Seen()),
    "plivo": lambda secret: plivo(secret, Seen()),
    "telnyx": lambda secret: telnyx(secret.get_secret_value(), Seen()),
    "vonage": lambda secret: vonage(secret, Seen()),
    "jambonz": lambda secret: jambonz(secret, Seen()),
}
"""Each refuses a second copy; making one raises Misconfigured for a key that is none."""
