"""Plivo's calls; https://www.plivo.com/docs/voice/api/call.

It has no keys for repeated requests, and answers 404 for a call that is over.
"""

from __future__ import annotations

from collections.abc import Mapping

from voicemesh.carriers.rest.control import Ability, Account, NewCall, Transfer, check_digits
from voicemesh.carriers.rest.http import Api, required, segment, text_in

BASE_URL = "https://api.plivo.com/v1"


class Plivo:
    """Plivo's API; the account's `id` is the auth id, its `secret` the auth token."""

    abilities = frozenset(Ability)

    def __init__(self, account: Account) -> None:
        token = required(account.secret.get_secret_value(), "secret (auth token)")
        auth = (required(account.id, "id"), token)
        self._api = Api("Plivo", BASE_URL, account, auth=auth)
        self._calls = f"Account/{segment(account.id)}/Call/"

    async def dial(self, call: NewCall, key: str) -> str:
        body: dict[str, object] = {
            "from": call.caller.removeprefix("+"),
            "to": call.callee.removeprefix("+"),
            "answer_url": call.answer_url,
            "answer_method": "POST",
            "ring_timeout": call.ring_seconds,
        }
        if call.status_url:
            body |= {"hangup_url": call.status_url, "hangup_method": "POST"}
            body |= {"ring_url": call.status_url, "ring_method": "POST"}
        return text_in(await self._api.send("POST", self._calls, body=body), "request_uuid")

    async def hang_up(self, call_id: str, key: str) -> None:
        await self._api.send("DELETE", f"{self._calls}{segment(call_id)}/")

    async def transfer(self, call_id: str, to: Transfer, key: str) -> None:
        body = {"legs": "aleg", "aleg_url": to.document_url, "aleg_method": "POST"}
        await self._ask(call_id, "", body)

    async def press(self, call_id: str, digits: str, key: str) -> None:
        check_digits(digits)
        await self._ask(call_id, "DTMF/", {"digits": digits, "leg": "aleg"})

    async def play(self, call_id: str, media_url: str, key: str) -> None:
        await self._ask(call_id, "Play/", {"urls": media_url, "legs": "aleg"})

    async def aclose(self) -> None:
        await self._api.aclose()

    async def _ask(self, call_id: str, what: str, body: Mapping[str, object]) -> None:
        await self._api.send("POST", f"{self._calls}{segment(call_id)}/{what}", body=body)
