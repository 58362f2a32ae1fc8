"""Twilio's signature of webhooks and of media sockets' upgrades; https://www.twilio.com/docs/usage/security.

HMAC-SHA1 by the account's auth token, in base64, over the address as Twilio was given it and the
form's fields in order of their names. A body that is no form is covered by its SHA-256, which the
address then carries. An upgrade has no fields.
"""

from __future__ import annotations

import hmac
from base64 import b64encode
from hashlib import sha256
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit, urlunsplit

from voicemesh.carriers.auth.request import Check, Request, forged

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pydantic import SecretStr

SIGNATURE = "x-twilio-signature"
BODY_HASH = "bodySHA256"
_PORTS = {"https": 443, "wss": 443, "http": 80, "ws": 80}


def twilio(token: SecretStr) -> Check:
    """Return the check for an account's auth token."""
    key = token.get_secret_value()

    def check(request: Request, _now: float) -> None:
        given = request.header(SIGNATURE).encode()
        hashed = parse_qs(urlsplit(request.url).query).get(BODY_HASH)
        if hashed and not hmac.compare_digest(
            sha256(request.body).hexdigest().encode(), hashed[0].lower().encode()
        ):
            raise forged()
        fields = {} if hashed else _form(request)
        wanted = [signature(key, url, fields).encode() for url in _spellings(request.url)]
        if not any([hmac.compare_digest(one, given) for one in wanted]):
            raise forged()

    return check


def signature(token: str, url: str, fields: Mapping[str, Sequence[str]]) -> str:
    """Return what Twilio writes into the header for an address and a form's fields."""
    told = [name + value for name in sorted(fields) for value in sorted(set(fields[name]))]
    return b64encode(hmac.digest(token.encode(), (url + "".join(told)).encode(), "sha1")).decode()


def _form(request: Request) -> Mapping[str, list[str]]:
    try:
        return parse_qs(request.body.decode(), keep_blank_values=True, max_num_fields=256)
    except ValueError:
        raise forged() from None


def _spellings(url: str) -> tuple[str, str]:
    """Return the address without a port and with one: Twilio may sign either."""
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        raise forged() from None
    host = parts.netloc.rpartition(":")[0] if port else parts.netloc
    with_port = f"{host}:{port or _PORTS.get(parts.scheme, 443)}"
    return (
        urlunsplit(parts._replace(netloc=host)),
        urlunsplit(parts._replace(netloc=with_port)),
    )
