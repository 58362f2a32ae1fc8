"""How a carrier's socket ends: every error as a WebSocket close code and a reason (RFC 6455, 7.4).

`docs/carriers/README.md` lists them for whoever reads a carrier's log.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from voicemesh.errors import (
    DeadlineMissed,
    Denied,
    InvalidInput,
    NotFound,
    OutOfOrder,
    Refused,
    Unavailable,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from voicemesh.errors import VoicemeshError

NORMAL = 1000
PROTOCOL_ERROR = 1002
UNSUPPORTED = 1003
MALFORMED = 1007
AGAINST_POLICY = 1008
TOO_BIG = 1009
INTERNAL = 1011
TRY_LATER = 1013

MAX_REASON_BYTES = 123
"""What a close frame has room for."""

_REASONS: Mapping[str, int] = {
    "NOT_TEXT": UNSUPPORTED,
    "NOT_BINARY": UNSUPPORTED,
    "WRONG_CODEC": UNSUPPORTED,
    "FRAME_TOO_BIG": TOO_BIG,
    "TOO_FAST": AGAINST_POLICY,
    "NOT_READ": AGAINST_POLICY,
}
_KINDS: Mapping[type[VoicemeshError], int] = {
    OutOfOrder: PROTOCOL_ERROR,
    InvalidInput: MALFORMED,
    NotFound: AGAINST_POLICY,
    Denied: AGAINST_POLICY,
    DeadlineMissed: AGAINST_POLICY,
    Refused: TRY_LATER,
    Unavailable: TRY_LATER,
}


def close_code(error: VoicemeshError) -> int:
    """Return the code for an error: by its reason, else by its kind."""
    for kind in type(error).__mro__:
        code = _REASONS.get(error.reason) or _KINDS.get(kind)
        if code is not None:
            return code
    return INTERNAL


def close_reason(error: VoicemeshError) -> str:
    """Return `REASON: message`, as much as fits into a close frame."""
    text = f"{error.reason}: {error.message}"
    return text.encode()[:MAX_REASON_BYTES].decode(errors="ignore")
