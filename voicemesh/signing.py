"""Signatures of what we send over HTTP (https://www.standardwebhooks.com)."""

from __future__ import annotations

import base64
from datetime import UTC, datetime

from standardwebhooks import Webhook

from voicemesh.errors import Misconfigured

LEAST_KEY_BYTES = 24


class Signer:
    """Signs bodies with one secret."""

    def __init__(self, secret: str, setting: str) -> None:
        """``secret``: ``whsec_`` and base64. Raise Misconfigured, naming ``setting``, if not."""
        self._webhook = Webhook(_key(secret, setting))

    def headers(self, identity: str, body: str) -> dict[str, str]:
        """Return the headers that go with a JSON body."""
        at = datetime.now(UTC)
        return {
            "content-type": "application/json",
            "webhook-id": identity,
            "webhook-timestamp": str(int(at.timestamp())),
            "webhook-signature": self._webhook.sign(identity, at, body),
        }


def _key(secret: str, setting: str) -> bytes:
    try:
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except ValueError:
        key = b""
    if len(key) < LEAST_KEY_BYTES:
        raise Misconfigured(
            f"{setting}: must be `whsec_` and base64 of {LEAST_KEY_BYTES} bytes or more, or @FILE "
            "with that"
        )
    return key
