"""Teler's calls, as the `teler` package asks for them.

All but placing a call takes a key for repeated requests.
"""

from __future__ import annotations

from collections.abc import Mapping

from voicemesh.carriers.answers.document import Onward
from voicemesh.carriers.rest.control import Ability, Account, NewCall, Transfer, check_digits
from voicemesh.carriers.rest.http import Api, required, segment, text_in

BASE_URL = "https://api.frejun.ai/api/v1"


class Teler:
    """Teler's API; the account's `key` is the API key."""

    abilities = frozenset(Ability)

    def __init__(self, account: Account) -> None:
        headers = {"x-api-key": required(account.key.get_secret_value(), "key")}
        self._api = Api("Teler", BASE_URL, account, headers=headers)

    async def dial(self, call: NewCall, key: str) -> str:
        body: dict[str, object] = {
            "from_number": call.caller,
            "to_number": call.callee,
            "flow_url": call.answer_url,
            "record": False,
        }
        if call.status_url:
            body["status_callback_url"] = call.status_url
        told = await self._api.send("POST", "voice/calls/initiate", body=body)
        return text_in(told, "data", "id") if "data" in told else text_in(told, "id")

    async def hang_up(self, call_id: str, key: str) -> None:
        await self._ask(call_id, "hangup", {}, key)

    async def transfer(self, call_id: str, to: Transfer, key: str) -> None:
        is_sip = Onward(to.target).is_sip
        target = (
            {"kind": "sip", "uri": to.target} if is_sip else {"kind": "pstn", "number": to.target}
        )
        body = {"target": target, "mode": "cold", "timeout": to.ring_seconds}
        await self._ask(call_id, "transfer", body, key)

    async def press(self, call_id: str, digits: str, key: str) -> None:
        check_digits(digits)
        await self._ask(call_id, "dtmf", {"digits": digits}, key)

    async def play(self, call_id: str, media_url: str, key: str) -> None:
        await self._ask(call_id, "play", {"media_url": media_url}, key)

    async def aclose(self) -> None:
        await self._api.aclose()

    async def _ask(self, call_id: str, what: str, body: Mapping[str, object], key: str) -> None:
        path = f"voice/calls/{segment(call_id)}/{what}"
        await self._api.send("POST", path, body=body, headers={"Idempotency-Key": key})
