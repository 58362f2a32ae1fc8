"""What may be asked of a carrier about a call, whichever carrier it is.

A client raises, from `voicemesh.errors`: `InvalidInput` for what the carrier finds malformed,
`NotFound` for a call that it does not know, `OutOfOrder` for a call that is over and for what this
carrier does not offer (reason `NOT_OFFERED`), `Denied`, `Misconfigured` for refused credentials,
`Refused` over the carrier's rate limit, `Unavailable` and `DeadlineMissed`. No error and no log
carries a secret.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol, runtime_checkable

from pydantic import SecretStr

from voicemesh.errors import InvalidInput

_NUMBER = re.compile(r"\+[1-9][0-9]{4,14}")
_SHOWN = re.compile(r"\+?[0-9]{3,15}")
_SIP = re.compile(r"sips?:[!-~]{1,200}", re.IGNORECASE)
_DIGITS = re.compile(r"[0-9*#A-Dw]{1,64}")
RING_SECONDS = (5, 120)

TIMEOUT_SECONDS = 10.0
"""How long one request may take, by default."""


class Ability(Enum):
    """What a carrier's API can do to a call that stands."""

    HANG_UP = "hang_up"
    TRANSFER = "transfer"
    PRESS = "press"
    PLAY = "play"


@dataclass(frozen=True, slots=True)
class Account:
    """An account with a carrier; each carrier's page in docs/carriers/ says what goes where."""

    id: str = ""
    """Name of the account: Twilio's AccountSid, Plivo's auth id, Exotel's account SID."""
    key: SecretStr = field(default_factory=lambda: SecretStr(""))
    """What identifies the program: the API key of Teler, Telnyx and Exotel."""
    secret: SecretStr = field(default_factory=lambda: SecretStr(""))
    """What proves it: the auth token of Twilio and Plivo, Exotel's API token."""
    application: str = ""
    """The carrier's name of our application, where calls are placed through one: Telnyx'
    connection id."""
    base_url: str = ""
    """Another address than the carrier's own: a region, or a test."""
    timeout_seconds: float = TIMEOUT_SECONDS
    """How long one request may take in all."""


@dataclass(frozen=True, slots=True)
class NewCall:
    """A call to be placed."""

    caller: str
    """Number of the account's to call from, as `+`, country code and number."""
    callee: str
    """Number to call, as `caller`."""
    answer_url: str
    """Address (https) at which the carrier asks what to do once the call is answered."""
    stream_url: str
    """Address (wss) of our media socket, for a carrier that is told right away."""
    status_url: str = ""
    """Address (https) to which the carrier reports what becomes of the call; empty: nowhere."""
    ring_seconds: int = 30
    """How long to let it ring, 5 to 120 seconds."""
    parameters: Mapping[str, str] = field(default_factory=dict)
    """What the media socket's start should tell, for a carrier that is told of the socket here."""

    def __post_init__(self) -> None:
        _check("caller", self.caller, _SHOWN, "a number of 3 to 15 digits")
        _check("callee", self.callee, _NUMBER, "+, country code and number")
        _check("answer_url", self.answer_url, re.compile(r"https?://[!-~]+"), "an https address")
        _check("stream_url", self.stream_url, re.compile(r"wss?://[!-~]+"), "a wss address")
        _check_ring(self.ring_seconds)


@dataclass(frozen=True, slots=True)
class Transfer:
    """Where to send a call; the bot is out of it from then on."""

    target: str
    """Number as `+`, country code and number, or a `sip:` address."""
    document_url: str
    """Address (https) of an answer document that dials `target`, for a carrier that fetches it."""
    caller: str = ""
    """Number that the target is shown; empty: as the carrier likes."""
    ring_seconds: int = 30
    """How long to let it ring, 5 to 120 seconds."""

    def __post_init__(self) -> None:
        if not _SIP.fullmatch(self.target):
            _check("target", self.target, _NUMBER, "+, country code and number, or a sip: address")
        if self.caller:
            _check("caller", self.caller, _SHOWN, "a number of 3 to 15 digits")
        _check_ring(self.ring_seconds)


@runtime_checkable
class CallControl(Protocol):
    """One carrier's API, with one account.

    `key` makes a request that is repeated with it have one effect, where the carrier knows such
    keys; it is at most 64 characters. `call_id` is the carrier's, as `Began.call_id` tells it.
    """

    @property
    def abilities(self) -> frozenset[Ability]:
        """What it can do to a call that stands."""

    async def dial(self, call: NewCall, key: str) -> str:
        """Place a call; return the carrier's name of it."""

    async def hang_up(self, call_id: str, key: str) -> None:
        """End the call."""

    async def transfer(self, call_id: str, to: Transfer, key: str) -> None:
        """Send the call elsewhere, without asking there first."""

    async def press(self, call_id: str, digits: str, key: str) -> None:
        """Send digits (0-9, *, #, A-D, and w for half a second's pause) to the caller's side."""

    async def play(self, call_id: str, media_url: str, key: str) -> None:
        """Play a file that the carrier fetches."""

    async def aclose(self) -> None:
        """Let go of connections."""


def check_digits(digits: str) -> None:
    """Raise InvalidInput for what `CallControl.press` may not be asked to send."""
    _check("digits", digits, _DIGITS, "1 to 64 of 0-9, *, #, A-D and w")


def _check(name: str, value: str, shape: re.Pattern[str], wanted: str) -> None:
    if not shape.fullmatch(value):
        raise InvalidInput(name, f"must be {wanted}")


def _check_ring(seconds: int) -> None:
    least, most = RING_SECONDS
    if not least <= seconds <= most:
        raise InvalidInput("ring_seconds", f"is {seconds}; must be {least} to {most}")
