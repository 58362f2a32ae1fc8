"""What a WebSocket asks for as it opens at `/carriers/{name}[/{bot}]`, and whether it may."""

from __future__ import annotations

import time
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, unquote, urlsplit

from gateway.legs.reception import OURS, Asked
from voicemesh.carriers.auth.genesys import genesys
from voicemesh.carriers.auth.request import Request, Seen
from voicemesh.carriers.auth.twilio import twilio
from voicemesh.carriers.dialect import Transport
from voicemesh.carriers.relay import RELAYS
from voicemesh.carriers.table import DIALECTS
from voicemesh.errors import (
    Denied,
    InvalidInput,
    Misconfigured,
    NotFound,
    Refused,
    Unavailable,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pydantic import SecretStr

    from gateway.config import GatewaySettings
    from voicemesh.carriers.auth.request import Check
    from voicemesh.carriers.dialect import Dialect
    from voicemesh.errors import VoicemeshError

PREFIX = "/carriers/"
_SOCKETS = {**DIALECTS, **RELAYS}
MAX_FIELDS = 64
"""What a socket's address may tell, at most."""
_STATUS: Mapping[type[VoicemeshError], HTTPStatus] = {
    NotFound: HTTPStatus.NOT_FOUND,
    Denied: HTTPStatus.FORBIDDEN,
    InvalidInput: HTTPStatus.BAD_REQUEST,
    Refused: HTTPStatus.SERVICE_UNAVAILABLE,
    Unavailable: HTTPStatus.SERVICE_UNAVAILABLE,
}


class Upgrades:
    """Reads what sockets ask for."""

    def __init__(
        self,
        settings: GatewaySettings,
        check_token: Callable[[str], None],
        twilio_token: SecretStr,
    ) -> None:
        """Raise Misconfigured where a signature is wanted that cannot be checked."""
        self._public = _as_socket(settings.public_url)
        self._checks = _checks(settings, twilio_token)
        self._check_token = check_token

    def read(self, path: str, headers: Mapping[str, str]) -> tuple[Dialect, Asked]:
        """Return carrier and bot; raise NotFound, or Denied for a wrong or missing proof."""
        url = urlsplit(path)
        name, _, bot = url.path.removeprefix(PREFIX).partition("/")
        dialect = _SOCKETS.get(name) if url.path.startswith(PREFIX) else None
        if dialect is None or dialect.transport is not Transport.WEBSOCKET:
            raise NotFound(f"there is only {PREFIX} with one of {', '.join(_known())} behind it")
        asked = _query(url.query)
        trusted = self._is_trusted(name, path, headers, asked.get("token", [""])[0])
        # Some carriers pass nothing on but the socket's address.
        told = {key: values[0] for key, values in asked.items() if key not in OURS}
        return dialect, Asked(unquote(bot) or asked.get("bot", [""])[0], trusted, told)

    def _is_trusted(self, name: str, path: str, headers: Mapping[str, str], token: str) -> bool:
        """Return whether it has proved itself; without a proof its parameters may still do so."""
        check = self._checks.get(name)
        if check is not None:
            told = {key.lower(): value for key, value in headers.items()}
            check(Request("GET", self._public + path, told), time.time())
        elif token:
            self._check_token(token)
        return check is not None or bool(token)


def carrier_in(path: str) -> str:
    """Return the carrier that a path names, for a metric; `unknown` for any other."""
    name = urlsplit(path).path.removeprefix(PREFIX).partition("/")[0]
    return name if name in _SOCKETS else "unknown"


def http_status(error: VoicemeshError) -> HTTPStatus:
    """Return the status that refuses an upgrade."""
    return _STATUS.get(type(error), HTTPStatus.INTERNAL_SERVER_ERROR)


def agreed_subprotocol(dialect: Dialect, headers: Mapping[str, str]) -> Mapping[str, str]:
    """Return the header that agrees on the dialect's subprotocol, if that was offered."""
    offered = headers.get("Sec-WebSocket-Protocol", "")
    wanted = dialect.subprotocol
    if wanted and wanted in [one.strip() for one in offered.split(",")]:
        return {"Sec-WebSocket-Protocol": wanted}
    return {}


def _query(query: str) -> dict[str, list[str]]:
    try:
        return parse_qs(query, max_num_fields=MAX_FIELDS)
    except ValueError:
        raise InvalidInput("query", f"has more than {MAX_FIELDS} fields") from None


def _checks(settings: GatewaySettings, twilio_token: SecretStr) -> Mapping[str, Check]:
    """Return how carriers' upgrades prove where they come from, where that is set up."""
    checks: dict[str, Check] = {}
    if twilio_token.get_secret_value():
        checks["twilio"] = checks["twilio-relay"] = twilio(twilio_token)
    if settings.genesys_api_key.get_secret_value():
        secret = settings.genesys_client_secret
        checks["audiohook"] = genesys(settings.genesys_api_key, secret, Seen())
    if checks and not settings.public_url:
        raise Misconfigured(
            "VOICEMESH_PUBLIC_URL: must be set, since carriers' signatures cover it",
            field="VOICEMESH_PUBLIC_URL",
        )
    return checks


def _as_socket(url: str) -> str:
    return url.rstrip("/").replace("https://", "wss://", 1).replace("http://", "ws://", 1)


def _known() -> list[str]:
    return [name for name, row in _SOCKETS.items() if row.transport is Transport.WEBSOCKET]
