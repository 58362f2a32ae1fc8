"""FreJun's signature: HMAC-SHA256 of method, address and body, in base64.

So FreJun's older calling product signs (https://frejun.com/docs/webhooks/validating-requests/).
Nobody has published how Teler does, so this is off unless a secret is set, and the header can be
named. It signs no time, so a copy is recognised by the signature itself.
"""

from __future__ import annotations

import hmac
from base64 import b64encode
from hashlib import sha256

from pydantic import SecretStr

from voicemesh.carriers.auth.request import Check, Request, Seen, forged

SIGNATURE = "frejun-signature"


def teler(secret: SecretStr, seen: Seen | None = None, header: str = SIGNATURE) -> Check:
    """Return the check for an application's secret; with `seen` a second copy is refused."""
    key = secret.get_secret_value().encode()

    def check(request: Request, now: float) -> None:
        signature = request.header(header)
        signed = request.method.encode() + request.url.encode() + request.body
        wanted = b64encode(hmac.digest(key, signed, sha256))
        if not hmac.compare_digest(wanted, signature.encode()):
            raise forged()
        if seen is not None:
            seen.check(signature, now)

    return check
