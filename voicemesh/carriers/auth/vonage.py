"""Vonage's signed webhooks: a JWT (HS256) with the SHA-256 of the body, by the signature secret.

https://developer.vonage.com/en/getting-started/concepts/webhooks. A GET's query is not signed, so
answer and event addresses should be called by POST.
"""

from __future__ import annotations

import hmac
from hashlib import sha256
from typing import Any

import jwt
from pydantic import SecretStr

from voicemesh.carriers.auth.request import WINDOW_SECONDS, Check, Request, Seen, forged
from voicemesh.errors import Denied

_SCHEME = "bearer "
# Times are judged by the clock that the check is given.
_OPTIONS: Any = {"verify_exp": False, "verify_iat": False, "verify_nbf": False, "verify_aud": False}


def vonage(secret: SecretStr, seen: Seen | None = None) -> Check:
    """Return the check for an account's signature secret.

    A request that is older or newer than 5 minutes is refused; with `seen` a second copy too.
    """
    key = secret.get_secret_value().encode()

    def check(request: Request, now: float) -> None:
        written = request.header("authorization")
        if not written.lower().startswith(_SCHEME):
            raise Denied("authorization holds no bearer token", reason="NOT_SIGNED")
        claims = _claims(written[len(_SCHEME) :].strip(), key)
        _check_time(claims.get("iat"), now)
        if request.body:
            _check_body(request.body, claims.get("payload_hash"))
        if seen is not None:
            seen.check(str(claims.get("jti") or written), now)

    return check


def _claims(token: str, key: bytes) -> dict[str, Any]:
    try:
        return jwt.decode(token, key, algorithms=["HS256"], options=_OPTIONS)
    except jwt.PyJWTError:
        raise forged() from None


def _check_time(issued: object, now: float) -> None:
    if not isinstance(issued, int | float):
        raise Denied("the token tells no time", reason="NOT_SIGNED")
    if not abs(now - issued) <= WINDOW_SECONDS:
        raise Denied("the token is not of the last 5 minutes", reason="REPLAYED")


def _check_body(body: bytes, told: object) -> None:
    if not isinstance(told, str):
        raise Denied("the token does not cover the body", reason="NOT_SIGNED")
    if not hmac.compare_digest(sha256(body).hexdigest().encode(), told.lower().encode()):
        raise forged()
