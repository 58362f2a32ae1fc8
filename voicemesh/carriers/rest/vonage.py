"""Vonage's Voice API; https://developer.vonage.com/en/api/voice.

Each request carries a token of its own, signed with the application's private key. It has no keys
for repeated requests.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

import jwt

from voicemesh.carriers.answers.document import Onward
from voicemesh.carriers.answers.vonage import ncco
from voicemesh.carriers.rest.control import Ability, Account, NewCall, Transfer, check_digits
from voicemesh.carriers.rest.http import Api, segment, text_in
from voicemesh.errors import InvalidInput, Misconfigured

BASE_URL = "https://api.nexmo.com/v1"
TOKEN_SECONDS = 60


class Vonage:
    """Vonage's API; the account's `application` is the application id, its `secret` the key (PEM).

    Raises Misconfigured if the key is no RSA private key.
    """

    abilities = frozenset(Ability)

    def __init__(self, account: Account) -> None:
        self._application = account.application
        self._private_key = account.secret.get_secret_value()
        self._api = Api("Vonage", BASE_URL, account)
        self._token()

    async def dial(self, call: NewCall, key: str) -> str:
        body: dict[str, object] = {
            "to": [_phone(call.callee)],
            "from": _phone(call.caller),
            "answer_url": [call.answer_url],
            "answer_method": "POST",
            "ringing_timer": call.ring_seconds,
        }
        if call.status_url:
            body |= {"event_url": [call.status_url], "event_method": "POST"}
        return text_in(await self._ask("POST", "calls", body), "uuid")

    async def hang_up(self, call_id: str, key: str) -> None:
        await self._ask("PUT", f"calls/{segment(call_id)}", {"action": "hangup"})

    async def transfer(self, call_id: str, to: Transfer, key: str) -> None:
        actions = ncco(Onward(to.target, to.caller, to.ring_seconds))
        destination = {"type": "ncco", "ncco": actions}
        body = {"action": "transfer", "destination": destination}
        await self._ask("PUT", f"calls/{segment(call_id)}", body)

    async def press(self, call_id: str, digits: str, key: str) -> None:
        check_digits(digits)
        if set(digits) & set("ABCD"):
            raise InvalidInput("digits", "must be 0-9, *, # and w: Vonage sends no A to D")
        body = {"digits": digits.replace("w", "p")}
        await self._ask("PUT", f"calls/{segment(call_id)}/dtmf", body)

    async def play(self, call_id: str, media_url: str, key: str) -> None:
        await self._ask("PUT", f"calls/{segment(call_id)}/stream", {"stream_url": [media_url]})

    async def aclose(self) -> None:
        await self._api.aclose()

    async def _ask(self, method: str, path: str, body: Mapping[str, object]) -> Mapping[str, Any]:
        headers = {"Authorization": f"Bearer {self._token()}"}
        return await self._api.send(method, path, body=body, headers=headers)

    def _token(self) -> str:
        now = int(time.time())
        claims = {
            "application_id": self._application,
            "iat": now,
            "exp": now + TOKEN_SECONDS,
            "jti": str(uuid4()),
        }
        try:
            return jwt.encode(claims, self._private_key, algorithm="RS256")
        except (jwt.PyJWTError, ValueError, TypeError) as error:
            raise Misconfigured("Vonage's private key must be RSA, in PEM") from error


def _phone(number: str) -> dict[str, str]:
    return {"type": "phone", "number": number.removeprefix("+")}
