"""Serves the softphone: its files, and as JSON the bots that it can call. No I/O after start."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from http import HTTPStatus
from importlib.resources import files
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from voicemesh.errors import Denied

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from voicemesh.bots import Bot

PATH = "/softphone"
BOTS = f"{PATH}/bots.json"
_TYPES: Mapping[str, str] = {
    "index.html": "text/html; charset=utf-8",
    "style.css": "text/css; charset=utf-8",
    "softphone.js": "text/javascript; charset=utf-8",
    "call.js": "text/javascript; charset=utf-8",
    "sound.js": "text/javascript; charset=utf-8",
}
_HEADERS: Mapping[str, str] = {
    "Cache-Control": "no-cache",
    # The page loads nothing from elsewhere, and nobody may put it into a frame: it can listen.
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "Permissions-Policy": "microphone=(self)",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


@dataclass(frozen=True, slots=True)
class Page:
    """What a GET is answered."""

    status: HTTPStatus
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


class Pages:
    """The softphone's files by path."""

    def __init__(
        self, bots: Callable[[], Iterable[Bot]], check_token: Callable[[str], None]
    ) -> None:
        """`check_token` raises Denied for a token by which nobody may call."""
        self._bots = bots
        self._check_token = check_token
        folder = files(__package__)
        self._files = {
            f"{PATH}/{name}": Page(
                HTTPStatus.OK,
                folder.joinpath(name).read_bytes(),
                {"Content-Type": kind, **_HEADERS},
            )
            for name, kind in _TYPES.items()
        }
        self._files[f"{PATH}/"] = self._files[f"{PATH}/index.html"]

    def find(self, target: str) -> Page | None:
        """Return the answer to a GET of a path with its query; None if that is not ours."""
        url = urlsplit(target)
        if url.path == PATH:
            query = f"?{url.query}" if url.query else ""
            return Page(HTTPStatus.FOUND, b"it is there\n", {"Location": f"{PATH}/{query}"})
        if not url.path.startswith(f"{PATH}/"):
            return None
        if url.path == BOTS:
            return self._list(parse_qs(url.query).get("token", [""])[0])
        return self._files.get(url.path, Page(HTTPStatus.NOT_FOUND, b"no such file\n"))

    def _list(self, token: str) -> Page:
        headers = {"Content-Type": "application/json", **_HEADERS}
        try:
            self._check_token(token)
        except Denied as error:
            body = json.dumps({"reason": error.reason, "message": error.message})
            return Page(HTTPStatus.FORBIDDEN, body.encode(), headers)
        rows = [{"name": bot.name, "language": bot.language} for bot in self._bots()]
        return Page(HTTPStatus.OK, json.dumps({"bots": rows}).encode(), headers)
