"""Twilio's calls; https://www.twilio.com/docs/voice/api/call-resource.

It has no keys for repeated requests. Digits and files would need other TwiML in place of the stream
and so end it: they go through the media socket or not at all.
"""

from __future__ import annotations

from voicemesh.carriers.answers import twilio as twiml
from voicemesh.carriers.answers.document import Onward, not_offered
from voicemesh.carriers.rest.control import Ability, Account, NewCall, Transfer
from voicemesh.carriers.rest.http import Api, required, segment, text_in

BASE_URL = "https://api.twilio.com/2010-04-01"
NOT_IN_PROGRESS = "21220"


class Twilio:
    """Twilio's API; the account's `id` is the AccountSid, its `secret` the auth token."""

    abilities = frozenset({Ability.HANG_UP, Ability.TRANSFER})

    def __init__(self, account: Account) -> None:
        token = required(account.secret.get_secret_value(), "secret (auth token)")
        auth = (required(account.id, "id"), token)
        over = frozenset({NOT_IN_PROGRESS})
        self._api = Api("Twilio", BASE_URL, account, auth=auth, over=over)
        self._calls = f"Accounts/{segment(account.id)}/Calls"

    async def dial(self, call: NewCall, key: str) -> str:
        form: dict[str, str | list[str]] = {
            "To": call.callee,
            "From": call.caller,
            "Url": call.answer_url,
            "Timeout": str(call.ring_seconds),
        }
        if call.status_url:
            form["StatusCallback"] = call.status_url
            form["StatusCallbackEvent"] = ["ringing", "answered", "completed"]
        return text_in(await self._api.send("POST", f"{self._calls}.json", form=form), "sid")

    async def hang_up(self, call_id: str, key: str) -> None:
        await self._change(call_id, {"Status": "completed"})

    async def transfer(self, call_id: str, to: Transfer, key: str) -> None:
        document = twiml.answer(Onward(to.target, to.caller, to.ring_seconds))
        await self._change(call_id, {"Twiml": document.body.decode()})

    async def press(self, call_id: str, digits: str, key: str) -> None:
        raise not_offered("Twilio", "send digits into a streamed call")

    async def play(self, call_id: str, media_url: str, key: str) -> None:
        raise not_offered("Twilio", "play a file into a streamed call")

    async def aclose(self) -> None:
        await self._api.aclose()

    async def _change(self, call_id: str, form: dict[str, str | list[str]]) -> None:
        await self._api.send("POST", f"{self._calls}/{segment(call_id)}.json", form=form)
