"""Pages of live calls, gateway by gateway: a token tells which of them were seen."""

from __future__ import annotations

import base64
import binascii
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from voicemesh.api.control.v1 import control_pb2
from voicemesh.callids import TAG
from voicemesh.errors import InvalidInput

if TYPE_CHECKING:
    from gateway.control.room import Room

DEFAULT_SIZE = 100
MAX_SIZE = 1000
MAX_SEEN = 256
"""Gateways that a token may name."""


@dataclass(frozen=True, slots=True)
class Token:
    """Where a listing stands."""

    seen: tuple[str, ...] = ()
    """Tags of the gateways all of whose calls were listed."""
    at: str = ""
    """Tag of the gateway whose calls are being listed; empty: any that was not seen."""
    after: str = ""
    """Last call that was listed of it."""

    def is_for(self, tag: str) -> bool:
        """Whether a gateway is the one to go on, or may be."""
        return self.at == tag or (not self.at and tag not in self.seen)

    def __str__(self) -> str:
        said = json.dumps([*self.seen, self.at, self.after])
        return base64.urlsafe_b64encode(said.encode()).decode()


def read(text: str) -> Token:
    """Read a token; raise InvalidInput for what is none."""
    if not text:
        return Token()
    try:
        *seen, at, after = json.loads(base64.urlsafe_b64decode(text))
        fine = all(re.fullmatch(TAG, tag) for tag in (*seen, *filter(None, [at])))
        if not fine or len(seen) > MAX_SEEN or not isinstance(after, str):
            raise ValueError(text)
    except (binascii.Error, ValueError, TypeError) as error:
        raise InvalidInput("page_token", "is not one that was given out") from error
    return Token(tuple(seen), at, after)


def page(room: Room, token: Token, size: int) -> control_pb2.ListCallsResponse:
    """Return the next page of this gateway's calls; raise InvalidInput for a negative size."""
    if size < 0:
        raise InvalidInput("page_size", f"is {size}; must be 0 to {MAX_SIZE}", limit=MAX_SIZE)
    size = min(size or DEFAULT_SIZE, MAX_SIZE)
    left = [held for held in room.calls.live() if held.facts.call_id > token.after]
    following = Token(token.seen, room.tag, left[size - 1].facts.call_id) if left[size:] else None
    return control_pb2.ListCallsResponse(
        calls=[room.calls.describe(held) for held in left[:size]],
        next_page_token=str(following or Token((*token.seen, room.tag))),
    )


def none_left(token: Token) -> control_pb2.ListCallsResponse:
    """Return the page behind the last gateway, or behind one that is gone."""
    gone = Token((*token.seen, token.at)) if token.at else None
    return control_pb2.ListCallsResponse(next_page_token=str(gone) if gone else "")
