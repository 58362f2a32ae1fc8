"""Genesys' signature of AudioHook's WebSocket upgrade: an API key, and an HTTP message signature.

https://developer.genesys.cloud/devapps/audiohook/security: HMAC-SHA256 as RFC 9421 says, by the
client secret that was entered beside the API key. Without a secret Genesys sends the key alone.
"""

from __future__ import annotations

import binascii
import hmac
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from http_message_signatures import (
    HTTPMessageSignaturesException,
    HTTPMessageVerifier,
    HTTPSignatureKeyResolver,
    algorithms,
)
from pydantic import SecretStr

from voicemesh.carriers.auth.request import Check, Request, Seen, forged
from voicemesh.errors import Denied, Misconfigured

API_KEY = "x-api-key"
COVERED = (
    "@request-target",
    "@authority",
    "audiohook-organization-id",
    "audiohook-session-id",
    "audiohook-correlation-id",
    API_KEY,
)
"""What a signature must cover."""
MAX_AGE_SECONDS = 10
SKEW_SECONDS = 3
MIN_NONCE = 22
"""Characters of a nonce, at least."""


@dataclass(frozen=True, slots=True)
class _Message:
    """A request as the library reads it."""

    method: str
    url: str
    headers: Mapping[str, str]


class _Key(HTTPSignatureKeyResolver):
    def __init__(self, name: str, secret: bytes) -> None:
        self._name, self._secret = name, secret

    def resolve_public_key(self, key_id: str) -> bytes:
        # The library verifies what it is told; under another name there is nothing to verify.
        if key_id != self._name:
            raise HTTPMessageSignaturesException("keyid is not the API key")
        return self._secret


def genesys(api_key: SecretStr, secret: SecretStr, seen: Seen | None = None) -> Check:
    """Return the check for an integration's API key and client secret.

    ``secret`` is base64, as entered in Genesys; empty: the API key is enough. A signature that is
    older than 10 s is refused; with `seen` a second use of its nonce too. Raises Misconfigured for
    a secret that is not base64.
    """
    name, key = api_key.get_secret_value(), _decoded(secret)
    verifier = HTTPMessageVerifier(
        signature_algorithm=algorithms.HMAC_SHA256, key_resolver=_Key(name, key)
    )

    def check(request: Request, now: float) -> None:
        if not hmac.compare_digest(request.header(API_KEY).encode(), name.encode()):
            raise Denied("the API key is not known", reason="WRONG_KEY")
        if not key:
            return
        request.header("signature"), request.header("signature-input")
        told = _verified(verifier, request)
        _check_time(told.get("created"), now)
        nonce = told.get("nonce")
        if not isinstance(nonce, str) or len(nonce) < MIN_NONCE:
            raise Denied(f"nonce has fewer than {MIN_NONCE} characters", reason="NOT_SIGNED")
        if seen is not None:
            seen.check(nonce, now)

    return check


def _verified(verifier: HTTPMessageVerifier, request: Request) -> Mapping[str, Any]:
    # Authority and target are the same under either scheme; the library knows only one's port.
    address = request.url.replace("wss://", "https://", 1).replace("ws://", "http://", 1)
    message = _Message(request.method, address, request.headers)
    try:
        results = verifier.verify(message, max_age=None, require_components=COVERED)
    except HTTPMessageSignaturesException:
        raise forged() from None
    [result] = results
    return result.parameters


def _check_time(created: object, now: float) -> None:
    if not isinstance(created, int):
        raise Denied("the signature tells no time", reason="NOT_SIGNED")
    if not -SKEW_SECONDS <= now - created <= MAX_AGE_SECONDS + SKEW_SECONDS:
        raise Denied(f"the signature is older than {MAX_AGE_SECONDS} s", reason="REPLAYED")


def _decoded(secret: SecretStr) -> bytes:
    try:
        return b64decode(secret.get_secret_value(), validate=True)
    except (binascii.Error, ValueError) as error:
        raise Misconfigured("Genesys' client secret must be base64") from error
