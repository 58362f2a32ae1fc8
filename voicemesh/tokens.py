"""Tokens: what callers and applications show at the edge, and how development makes them.

A token is a JWT (RFC 7519): ``iss`` and ``aud`` as the topology says, ``tenant``, and ``scope``,
words separated by spaces (RFC 8693). The edge Envoy checks it; nothing here does.
"""

from __future__ import annotations

import base64
import json
import time
from typing import TYPE_CHECKING

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from voicemesh.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterable

SCOPES = ("call:create", "call:read", "call:control")
"""To place and hold calls; to look at calls and their events; to act on them."""
ALGORITHM = "ES256"
KEY_NAME = "development"
MOST_HOURS = 24 * 30


def new_key() -> str:
    """Return a fresh signing key, PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


def key_set(pem: str) -> str:
    """Return the JSON Web Key Set (RFC 7517) by which a key's tokens are checked."""
    key = serialization.load_pem_private_key(pem.encode(), None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise InvalidInput("key", "must be of an elliptic curve")
    numbers = key.public_key().public_numbers()
    known = {
        "kty": "EC",
        "crv": "P-256",
        "x": _number(numbers.x),
        "y": _number(numbers.y),
        "alg": ALGORITHM,
        "use": "sig",
        "kid": KEY_NAME,
    }
    return json.dumps({"keys": [known]}, indent=1) + "\n"


def sign(  # noqa: PLR0913 - each is one claim, by keyword
    pem: str,
    *,
    tenant: str = "",
    scopes: Iterable[str] = SCOPES,
    hours: float = 24.0,
    issuer: str = "voicemesh",
    audience: str = "voicemesh",
    now: float | None = None,
) -> str:
    """Return a token; raise InvalidInput for a scope that does not exist or too long a life."""
    scopes = list(scopes)
    for scope in scopes:
        if scope not in SCOPES:
            raise InvalidInput("scope", f"there is no {scope!r}; use {', '.join(SCOPES)}")
    if hours > MOST_HOURS:
        raise InvalidInput("hours", f"must be {MOST_HOURS} at most", limit=MOST_HOURS)
    begin = int(time.time() if now is None else now)
    claims: dict[str, object] = {
        "iss": issuer,
        "aud": audience,
        "iat": begin,
        "exp": begin + int(hours * 3600),
        "scope": " ".join(scopes),
    }
    if tenant:
        claims |= {"sub": tenant, "tenant": tenant}
    return jwt.encode(claims, pem, algorithm=ALGORITHM, headers={"kid": KEY_NAME})


def _number(value: int) -> str:
    return base64.urlsafe_b64encode(value.to_bytes(32, "big")).rstrip(b"=").decode()
