"""jambonz' signature of webhooks: HMAC-SHA256 over `time.body`, in hexadecimal, by its secret.

`Jambonz-Signature: t=1700000000,v1=5257a8...`; several `v1` while a secret is being changed.
"""

from __future__ import annotations

import hmac
from hashlib import sha256

from pydantic import SecretStr

from voicemesh.carriers.auth.request import WINDOW_SECONDS, Check, Request, Seen, forged
from voicemesh.errors import Denied

SIGNATURE = "jambonz-signature"
_MOST_PARTS = 8


def jambonz(secret: SecretStr, seen: Seen | None = None) -> Check:
    """Return the check for an account's webhook secret.

    A request that is older or newer than 5 minutes is refused; with `seen` a second copy too.
    """
    key = secret.get_secret_value().encode()

    def check(request: Request, now: float) -> None:
        written = request.header(SIGNATURE)
        time, given = _read(written)
        if abs(now - int(time)) > WINDOW_SECONDS:
            raise Denied(f"{SIGNATURE} is not of the last 5 minutes", reason="REPLAYED")
        wanted = hmac.digest(key, f"{time}.".encode() + request.body, sha256).hex().encode()
        if not any([hmac.compare_digest(wanted, each.encode()) for each in given]):
            raise forged()
        if seen is not None:
            seen.check(written, now)

    return check


def _read(written: str) -> tuple[str, list[str]]:
    parts = [part.strip().partition("=") for part in written.split(",", _MOST_PARTS)]
    times = [value for name, _, value in parts if name == "t"]
    given = [value for name, _, value in parts if name == "v1"]
    if len(times) != 1 or not given:
        raise forged()
    time = times[0]
    if not (time.isascii() and time.isdigit() and len(time) <= 12):
        raise forged()
    return time, given
