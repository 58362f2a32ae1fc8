"""Our own addresses, as carriers are given them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voicemesh.carriers.answers.document import with_query
from voicemesh.errors import OutOfOrder

if TYPE_CHECKING:
    from collections.abc import Mapping

PREFIX = "/carriers/"


class Addresses:
    """What carriers reach us by, under one public address."""

    def __init__(self, public_url: str) -> None:
        """``public_url`` as http(s)://HOST or ws(s)://HOST; empty: there is none."""
        scheme, _, host = public_url.rstrip("/").partition("://")
        secure = "s" if scheme in ("https", "wss") else ""
        self._host = host
        self.web = f"http{secure}://{host}"
        """Where webhooks go: what their signatures cover comes behind it."""
        self._sockets = f"ws{secure}://{host}"

    def __bool__(self) -> bool:
        """Return whether there is a public address."""
        return bool(self._host)

    def stream(self, carrier: str) -> str:
        """Return where a media socket opens; raise OutOfOrder without a public address."""
        self._check()
        return f"{self._sockets}{PREFIX}{carrier}"

    def answer(self, carrier: str, parameters: Mapping[str, str]) -> str:
        """Return where a carrier asks what to do with a call."""
        return self._web(f"{carrier}/answer", parameters)

    def status(self, carrier: str, call_id: str, parameters: Mapping[str, str]) -> str:
        """Return where it tells what becomes of a call that we placed."""
        return self._web(f"{carrier}/status/{call_id}", parameters)

    def onward(self, carrier: str, parameters: Mapping[str, str]) -> str:
        """Return where it asks whom to connect a call to that is transferred."""
        return self._web(f"{carrier}/onward", parameters)

    def _web(self, path: str, parameters: Mapping[str, str]) -> str:
        self._check()
        return with_query(f"{self.web}{PREFIX}{path}", parameters)

    def _check(self) -> None:
        if not self:
            raise OutOfOrder(
                "VOICEMESH_PUBLIC_URL", "is empty, so no carrier can call us", reason="NO_ADDRESS"
            )
