"""Messages of providers that are JSON objects, read with distrust."""

from __future__ import annotations

import base64
import binascii
import json
from typing import TYPE_CHECKING, Any

from adapters.providers.faults import broken

if TYPE_CHECKING:
    from adapters.providers.sockets import Frame


def obj(frame: Frame) -> dict[str, Any]:
    """Return a message; raise Unavailable if it is no JSON object."""
    try:
        message = json.loads(frame)
    except (ValueError, RecursionError) as error:
        raise broken("a message that is no JSON") from error
    if not isinstance(message, dict):
        raise broken("a message that is no object")
    return message


def text(value: object, what: str) -> str:
    """Return a text; raise Unavailable if it is something else."""
    if not isinstance(value, str):
        raise broken(f"a {what} that is no text")
    return value


def sound(value: object) -> bytes:
    """Return sound that is written in base64; raise Unavailable if it is none."""
    try:
        return base64.b64decode(text(value, "sound"), validate=True)
    except binascii.Error as error:
        raise broken("sound that is no base64") from error
