"""Plivo's signature of webhooks, version 3; https://www.plivo.com/docs/voice/concepts/signature-validation.

HMAC-SHA256 of address, parameters and nonce, by the account's auth token, in base64. It signs no
time, so a copy is recognised by its nonce.
"""

from __future__ import annotations

import hmac
from base64 import b64encode
from collections.abc import Mapping
from hashlib import sha256
from urllib.parse import parse_qs, urlsplit, urlunsplit

from pydantic import SecretStr

from voicemesh.carriers.auth.request import Check, Request, Seen, forged
from voicemesh.errors import Denied

SIGNATURE = "x-plivo-signature-v3"
NONCE = "x-plivo-signature-v3-nonce"
_FORM = "application/x-www-form-urlencoded"


def plivo(token: SecretStr, seen: Seen | None = None) -> Check:
    """Return the check for an account's auth token; with `seen` a second copy is refused."""
    key = token.get_secret_value().encode()

    def check(request: Request, now: float) -> None:
        signatures, nonce = request.header(SIGNATURE), request.header(NONCE)
        wanted = b64encode(hmac.digest(key, f"{_signed(request)}.{nonce}".encode(), sha256))
        # A request may carry one signature for each token of an account with several.
        given = [each.encode() for each in signatures.split(",")]
        if not any([hmac.compare_digest(wanted, each) for each in given]):
            raise forged()
        if seen is not None:
            seen.check(nonce, now)

    return check


def _signed(request: Request) -> str:
    address = urlsplit(request.url)
    bare = urlunsplit((address.scheme, address.netloc, address.path, "", ""))
    # Plivo reads what is percent-encoded there as Latin-1.
    asked = parse_qs(address.query, keep_blank_values=True, encoding="latin-1")
    query = "&".join(f"{k}={v}" for k, v in _sorted(asked))
    form = "" if request.method == "GET" else "".join(f"{k}{v}" for k, v in _sorted(_form(request)))
    if not form:
        return f"{bare}?{query}" if query else bare
    return f"{bare}?{query}{'.' if query else ''}{form}"


def _form(request: Request) -> Mapping[str, list[str]]:
    if not request.body:
        return {}
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != _FORM:
        raise Denied(
            f"Plivo's signature covers no body of {kind or 'no type'}", reason="NOT_SIGNED"
        )
    try:
        return parse_qs(request.body.decode(), keep_blank_values=True, max_num_fields=256)
    except ValueError:
        raise Denied("the body is no form", reason="WRONG_SIGNATURE") from None


def _sorted(fields: Mapping[str, list[str]]) -> list[tuple[str, str]]:
    return [(name, value) for name in sorted(fields) for value in sorted(fields[name])]
