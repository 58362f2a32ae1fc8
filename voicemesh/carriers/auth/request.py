"""A carrier's request as its signature covers it, and what was already seen."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from voicemesh.errors import Denied

WINDOW_SECONDS = 300.0
"""How old a signed time may be, and how long what was seen is remembered."""
MAX_SEEN = 20_000
"""Most requests that are remembered; beyond that the oldest are forgotten."""


@dataclass(frozen=True, slots=True)
class Request:
    """An HTTP request from a carrier, or a socket's upgrade."""

    method: str
    """In capitals."""
    url: str
    """The address that the carrier was given: the public one, with its query."""
    headers: Mapping[str, str]
    """By name in lower case."""
    body: bytes = b""
    """The body as it came, not as something reads it."""

    def header(self, name: str) -> str:
        """Return a header; raise Denied if it is missing."""
        value = self.headers.get(name, "")
        if not value:
            raise Denied(f"the request has no {name}", reason="NOT_SIGNED")
        return value


Check: TypeAlias = Callable[[Request, float], None]
"""Takes a request and the time (seconds since 1970); raises Denied for one that is not genuine."""


class Seen:
    """Remembers what came within the window, so that a copy of it is refused."""

    def __init__(self, window: float = WINDOW_SECONDS, most: int = MAX_SEEN) -> None:
        self._window = window
        self._most = most
        self._times: OrderedDict[str, float] = OrderedDict()

    def check(self, what: str, now: float) -> None:
        """Remember this; raise Denied if it came before within the window."""
        while self._times and next(iter(self._times.values())) <= now - self._window:
            self._times.popitem(last=False)
        if what in self._times:
            raise Denied("the request was seen before", reason="REPLAYED")
        self._times[what] = now
        if len(self._times) > self._most:
            self._times.popitem(last=False)


def forged() -> Denied:
    """Return the error for a signature that is not the one it should be."""
    return Denied("the request's signature is wrong", reason="WRONG_SIGNATURE")
