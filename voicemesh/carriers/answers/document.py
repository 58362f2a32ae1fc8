"""What every carrier can be told to do with a call, before it is written in the carrier's way."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias
from urllib.parse import urlencode

from voicemesh.errors import OutOfOrder


@dataclass(frozen=True, slots=True)
class Document:
    """The body of our answer over HTTP."""

    content_type: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Connect:
    """Send the call's audio to our media socket and play what comes from there."""

    stream_url: str
    """Address (wss) of the socket; may have a query where the carrier keeps it."""
    parameters: Mapping[str, str] = field(default_factory=dict)
    """What the socket's start shall tell (`Began.parameters`), where the carrier passes it on."""
    status_url: str = ""
    """Address (https) to which the carrier reports on the stream; empty: nowhere."""


@dataclass(frozen=True, slots=True)
class Onward:
    """Connect the call to somebody else."""

    target: str
    """Number as `+`, country code and number, or a `sip:` address."""
    caller: str = ""
    """Number that the target is shown; empty: as the carrier likes."""
    ring_seconds: int = 30
    """How long to let it ring, 5 to 120 seconds."""

    @property
    def is_sip(self) -> bool:
        """Whether the target is a SIP address and not a number."""
        return self.target.lower().startswith(("sip:", "sips:"))


@dataclass(frozen=True, slots=True)
class Turned:
    """Refuse the call before it is answered."""

    busy: bool = True
    """Whether the caller hears that the line is busy; else that the call is rejected."""


@dataclass(frozen=True, slots=True)
class Ended:
    """End a call that was answered."""


Answer: TypeAlias = Connect | Onward | Turned | Ended

Answers: TypeAlias = Callable[[Answer], Document]
"""Writes an answer in one carrier's way.

Raises InvalidInput, naming the field, for what the carrier would not take, and OutOfOrder (reason
`NOT_OFFERED`) for what its documents cannot say.
"""


def not_offered(carrier: str, what: str) -> OutOfOrder:
    """Return the error for what a carrier has no word for."""
    return OutOfOrder("answer", f"{carrier} offers no way to {what}", reason="NOT_OFFERED")


def with_query(url: str, parameters: Mapping[str, str]) -> str:
    """Return the address with the parameters in its query; some carriers pass on no others."""
    if not parameters:
        return url
    return f"{url}{'&' if '?' in url else '?'}{urlencode(parameters)}"
