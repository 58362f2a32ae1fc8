"""Names of calls. Each ends with a tag of the gateway on which the call began.

Envoy sends a request about a call to the gateway with the tag, which mostly holds the call still;
after a resume another one does, and is looked for (`docs/decisions/0011-where-a-call-is.md`).
"""

from __future__ import annotations

import re
import uuid
from hashlib import blake2b

CALL_HEADER = "voicemesh-call"
"""Metadata in which a client may name the call that a request is about."""
SEARCH_HEADER = "x-voicemesh-search"
"""Sent by a gateway that looks for a call, so that nobody looks further."""
ELSEWHERE_HEADER = "x-voicemesh-elsewhere"
"""Sent back by a gateway that was looked at in vain."""
OWNER_HEADER = "x-voicemesh-owner"
"""Any text; who asks with the same text gets the same gateway, while the gateways stay the same."""
TAG = r"[0-9a-f]{8}"
"""What a tag looks like."""
_TAGGED = re.compile(rf"[0-9a-f]{{8}}(?:-[0-9a-f]{{4}}){{3}}-[0-9a-f]{{12}}-({TAG})")


def gateway_tag(region: str, replica: str) -> str:
    """Return the tag of a gateway: 8 hex digits."""
    return blake2b(f"{region}/{replica}".encode(), digest_size=4).hexdigest()


def new_call_id(tag: str) -> str:
    """Return a name that no call has had."""
    return f"{uuid.uuid4()}-{tag}"


def tag_of(call_id: str) -> str:
    """Return a call's tag; empty for whatever is no name of ours."""
    match = _TAGGED.fullmatch(call_id)
    return match[1] if match else ""
