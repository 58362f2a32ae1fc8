"""What providers' refusals mean, in our errors; no secret is ever repeated."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from voicemesh.errors import (
    DeadlineMissed,
    InvalidInput,
    Misconfigured,
    NotFound,
    Refused,
    Unavailable,
    VoicemeshError,
)

if TYPE_CHECKING:
    from adapters.providers.endpoint import Endpoint

SHOWN = 200
"""Characters of a provider's complaint that an error repeats."""
DENIED = "PROVIDER_DENIES"
"""Reason of errors that last until someone changes the credentials."""

_ABOUT_CREDENTIALS = re.compile(
    r"unauthori[sz]ed|not authori[sz]ed|forbidden|api.?key|credential|authenticat", re.IGNORECASE
)
_ABOUT_LIMITS = re.compile(
    r"rate.?limit|too many|quota|concurren|overloaded|exceeded|busy", re.IGNORECASE
)


def shown(complaint: str, secret: str = "") -> str:
    """Return the beginning of a complaint, without the secret that it may repeat."""
    clean = complaint.replace(secret, "***") if secret else complaint
    return clean[:SHOWN]


def refusal(
    status: int, complaint: str, *, retry_after: str = "", secret: str = ""
) -> VoicemeshError:
    """Return the error for an HTTP status, or a number that means the same."""
    details: dict[str, object] = {"status": status}
    message = f"the provider answered {status}: {shown(complaint, secret)}"
    if status in (429, 529):
        if retry_after:
            details["retry_after"] = retry_after[:SHOWN]
        return Refused(message, reason="PROVIDER_FULL", **details)
    if status in (401, 402, 403):
        return Misconfigured(message, reason=DENIED, **details)
    if status == 404:
        return NotFound(message, reason="MODEL_NOT_FOUND", **details)
    if 400 <= status < 500 and status != 408:
        return InvalidInput("request", message, reason="PROVIDER_REFUSES", **details)
    return Unavailable(message, reason="PROVIDER_FAILED", **details)


def complaint(text: str, *, code: object = "") -> VoicemeshError:
    """Return the error for a failure that a provider tells of in words, after it began."""
    told = f"{code} {text}"
    message = f"the provider failed: {shown(text)}"
    if _ABOUT_CREDENTIALS.search(told):
        return Misconfigured(message, reason=DENIED, code=code)
    if _ABOUT_LIMITS.search(told):
        return Refused(message, reason="PROVIDER_FULL", code=code)
    return Unavailable(message, reason="PROVIDER_FAILED", code=code)


def broken(what: str) -> Unavailable:
    """Return the error for an answer that breaks the protocol."""
    return Unavailable(f"the provider sent {what}", reason="BAD_PROVIDER")


def silent(seconds: float) -> DeadlineMissed:
    """Return the error for a result that did not come in time."""
    return DeadlineMissed(
        f"the provider is silent for {seconds:g} s", reason="PROVIDER_SILENT", seconds=seconds
    )


def gone(problem: object, secret: str = "") -> Unavailable:
    """Return the error for a provider that cannot be reached, or that went away."""
    told = shown(str(problem), secret) or type(problem).__name__
    return Unavailable(f"the provider cannot be reached: {told}", reason="PROVIDER_GONE")


def hide(error: VoicemeshError, endpoint: Endpoint) -> None:
    """Take the secret out of an error, should the provider have repeated it."""
    with suppress(VoicemeshError):
        if key := endpoint.key():
            error.message = error.message.replace(key, "***")
            error.args = (error.message,)
            error.details = {n: value.replace(key, "***") for n, value in error.details.items()}


def text_of(message: dict[str, Any], *names: str) -> str:
    """Return the first of these fields that holds something, as text."""
    return next((str(message[name]) for name in names if message.get(name)), "")
