"""Telnyx' signature of webhooks: Ed25519 over `time|body`, in base64, and the time beside it.

https://developers.telnyx.com/docs/messaging/messages/receiving-webhooks describes it; the public
key is on the account's page of keys.
"""

from __future__ import annotations

import binascii
from base64 import b64decode

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from voicemesh.carriers.auth.request import WINDOW_SECONDS, Check, Request, Seen, forged
from voicemesh.errors import Denied, Misconfigured

SIGNATURE = "telnyx-signature-ed25519"
TIME = "telnyx-timestamp"


def telnyx(public_key: str, seen: Seen | None = None) -> Check:
    """Return the check for an account's public key, which is base64 of 32 bytes.

    A request that is older or newer than 5 minutes is refused; with `seen` a second copy too.
    Raises Misconfigured for a key that is none.
    """
    try:
        key = Ed25519PublicKey.from_public_bytes(b64decode(public_key, validate=True))
    except (binascii.Error, ValueError) as error:
        raise Misconfigured("Telnyx' public key must be base64 of 32 bytes") from error

    def check(request: Request, now: float) -> None:
        written, time = request.header(SIGNATURE), request.header(TIME)
        if not (time.isascii() and time.isdigit() and len(time) <= 12):
            raise forged()
        if abs(now - int(time)) > WINDOW_SECONDS:
            raise Denied(f"{TIME} is not of the last 5 minutes", reason="REPLAYED")
        try:
            signature = b64decode(written, validate=True)
            key.verify(signature, time.encode() + b"|" + request.body)
        except (binascii.Error, ValueError, InvalidSignature):
            raise forged() from None
        if seen is not None:
            seen.check(written, now)

    return check
