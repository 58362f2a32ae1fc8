"""One carrier's API over HTTP: bounded, timed, its complaints as errors of ours."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import httpx

from voicemesh.errors import (
    DeadlineMissed,
    Denied,
    InvalidInput,
    Misconfigured,
    NotFound,
    OutOfOrder,
    Refused,
    Unavailable,
    VoicemeshError,
)

if TYPE_CHECKING:
    from voicemesh.carriers.rest.control import Account

MAX_ANSWER_BYTES = 1 << 20
MAX_COMPLAINT = 200
"""Characters of a carrier's complaint that we repeat."""
_ENDED = {409, 410}


class Api:
    """A carrier's API with one account.

    `over` are the codes in a body by which the carrier says that a call is over, where the status
    does not tell. Only a connection that could not be made is tried once more: by then nothing was
    asked for.
    """

    def __init__(
        self,
        carrier: str,
        base_url: str,
        account: Account,
        *,
        auth: tuple[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        over: frozenset[str] = frozenset(),
    ) -> None:
        self._carrier = carrier
        self._over = over
        self._timeout = account.timeout_seconds
        secrets = (account.key.get_secret_value(), account.secret.get_secret_value())
        self._secrets = [secret for secret in secrets if secret]
        self._client = httpx.AsyncClient(
            base_url=(account.base_url or base_url).rstrip("/") + "/",
            auth=auth,
            headers={"Accept": "application/json", **(headers or {})},
            timeout=account.timeout_seconds,
            transport=httpx.AsyncHTTPTransport(retries=1),
        )

    async def send(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, object] | None = None,
        form: Mapping[str, str | list[str]] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Mapping[str, Any]:
        """Ask for something, with a JSON body or a form; return the object that is answered."""
        request = self._client.build_request(method, path, json=body, data=form, headers=headers)
        try:
            async with asyncio.timeout(self._timeout):
                status, content = await self._exchange(request)
        except (TimeoutError, httpx.TimeoutException) as error:
            raise DeadlineMissed(
                f"{self._carrier} did not answer within {self._timeout:g} s; "
                "whether it did what was asked is not known"
            ) from error
        except httpx.HTTPError as error:
            raise Unavailable(f"{self._carrier} is out of reach: {type(error).__name__}") from error
        told = _object(content)
        if 200 <= status < 300:
            return told
        raise self._error(status, told)

    async def aclose(self) -> None:
        """Let go of connections."""
        await self._client.aclose()

    async def _exchange(self, request: httpx.Request) -> tuple[int, bytes]:
        answer = await self._client.send(request, stream=True)
        try:
            content = bytearray()
            async for part in answer.aiter_bytes():
                content += part
                if len(content) > MAX_ANSWER_BYTES:
                    raise Unavailable(f"{self._carrier} answered more than 1 MiB")
        finally:
            await answer.aclose()
        return answer.status_code, bytes(content)

    def _error(self, status: int, told: Mapping[str, Any]) -> VoicemeshError:
        code, said = _complaint(told)
        for secret in self._secrets:
            said = said.replace(secret, "***")
        text = f"{self._carrier} answers {status} {said[:MAX_COMPLAINT]}".rstrip()
        if status in _ENDED or code in self._over:
            return OutOfOrder("call", f"is over: {text}", reason="CALL_OVER")
        if 400 <= status < 500 or status == 501:
            return _ERRORS.get(status, _refused)(text)
        return Unavailable(text)


def _refused(text: str) -> InvalidInput:
    return InvalidInput("call", text, reason="CARRIER_REFUSED")


def _not_offered(text: str) -> OutOfOrder:
    return OutOfOrder("call", text, reason="NOT_OFFERED")


_ERRORS: Mapping[int, Callable[[str], VoicemeshError]] = {
    401: Misconfigured,
    402: Denied,
    403: Denied,
    404: NotFound,
    429: Refused,
    501: _not_offered,
}


def required(text: str, what: str) -> str:
    """Return part of an account; raise Misconfigured if it is empty."""
    if not text:
        raise Misconfigured(f"the account has no {what}")
    return text


def segment(name: str) -> str:
    """Return a carrier's name of a call as one part of a path; raise NotFound for no such name."""
    if not name or len(name) > 128 or not name.strip("."):
        raise NotFound("a call's name has 1 to 128 characters")
    return quote(name, safe="")


def text_in(told: Mapping[str, Any], *path: str) -> str:
    """Return a text deep in an answer; raise Unavailable if the carrier did not tell."""
    value: Any = told
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    if not isinstance(value, str) or not value:
        raise Unavailable(f"the carrier's answer has no {'.'.join(path)}")
    return value


def _object(content: bytes) -> Mapping[str, Any]:
    try:
        told = json.loads(content) if content else {}
    except (ValueError, RecursionError):
        return {}
    return told if isinstance(told, dict) else {}


def _complaint(told: Mapping[str, Any]) -> tuple[str, str]:
    """Return code and text, wherever a carrier puts them."""
    errors = told.get("errors")
    first = errors[0] if isinstance(errors, list) and errors else told
    first = first.get("RestException", first) if isinstance(first, dict) else {}
    said = [first.get(name) for name in ("title", "message", "Message", "detail", "error")]
    text = " ".join(each for each in said if isinstance(each, str))
    return str(first.get("code", "")), " ".join(text.split())
