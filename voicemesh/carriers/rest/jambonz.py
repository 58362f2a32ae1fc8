"""jambonz' call control; https://docs.jambonz.org/reference/rest-call-control.

It has no keys for repeated requests, and sends one digit at a time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from voicemesh.carriers.answers.jambonz import target
from voicemesh.carriers.rest.control import Ability, Account, NewCall, Transfer, check_digits
from voicemesh.carriers.rest.http import Api, segment, text_in

BASE_URL = "https://api.jambonz.cloud/v1"
DIGIT_MS = 250
GAP_SECONDS = 0.3
"""From one digit to the next."""
PAUSE_SECONDS = 0.5
"""What `w` stands for."""


class Jambonz:
    """jambonz' API; the account's `id` is the account SID, its `key` the API key.

    Its `base_url` is that of the own installation, with `/v1`.
    """

    abilities = frozenset(Ability)

    def __init__(self, account: Account) -> None:
        headers = {"Authorization": f"Bearer {account.key.get_secret_value()}"}
        self._api = Api("jambonz", BASE_URL, account, headers=headers)
        self._calls = f"Accounts/{segment(account.id)}/Calls"

    async def dial(self, call: NewCall, key: str) -> str:
        body: dict[str, object] = {
            "from": call.caller,
            "to": target(call.callee),
            "call_hook": _hook(call.answer_url),
            "timeout": call.ring_seconds,
        }
        if call.status_url:
            body["call_status_hook"] = _hook(call.status_url)
        return text_in(await self._api.send("POST", self._calls, body=body), "sid")

    async def hang_up(self, call_id: str, key: str) -> None:
        await self._change(call_id, {"call_status": "completed"})

    async def transfer(self, call_id: str, to: Transfer, key: str) -> None:
        await self._change(call_id, {"call_hook": _hook(to.document_url)})

    async def press(self, call_id: str, digits: str, key: str) -> None:
        check_digits(digits)
        for place, digit in enumerate(digits):
            if digit == "w":
                await asyncio.sleep(PAUSE_SECONDS)
                continue
            if place:
                await asyncio.sleep(GAP_SECONDS)
            await self._change(call_id, {"dtmf": {"digit": digit, "duration": DIGIT_MS}})

    async def play(self, call_id: str, media_url: str, key: str) -> None:
        await self._change(call_id, {"whisper": {"verb": "play", "url": media_url}})

    async def aclose(self) -> None:
        await self._api.aclose()

    async def _change(self, call_id: str, body: Mapping[str, object]) -> Mapping[str, Any]:
        return await self._api.send("PUT", f"{self._calls}/{segment(call_id)}", body=body)


def _hook(url: str) -> dict[str, str]:
    return {"url": url, "method": "POST"}
