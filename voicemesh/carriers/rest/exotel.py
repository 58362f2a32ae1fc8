"""Exotel's calls; https://developer.exotel.com/docs/agentstream/developer-guide.

A call is placed with its stream. Nothing can be done to it afterwards: it ends, or goes on in the
flow that was drawn at Exotel, when the socket closes.
"""

from __future__ import annotations

from voicemesh.carriers.answers.document import not_offered, with_query
from voicemesh.carriers.rest.control import Ability, Account, NewCall, Transfer
from voicemesh.carriers.rest.http import Api, required, segment, text_in
from voicemesh.errors import InvalidInput

BASE_URL = "https://api.in.exotel.com/v1"
MAX_STREAM_URL = 600


class Exotel:
    """Exotel's API; the account's `id` is its SID, `key` the API key, `secret` the API token."""

    abilities: frozenset[Ability] = frozenset()

    def __init__(self, account: Account) -> None:
        auth = (
            required(account.key.get_secret_value(), "key"),
            required(account.secret.get_secret_value(), "secret (API token)"),
        )
        self._api = Api("Exotel", BASE_URL, account, auth=auth)
        self._calls = f"accounts/{segment(required(account.id, 'id'))}/calls/connect"

    async def dial(self, call: NewCall, key: str) -> str:
        stream_url = with_query(call.stream_url, call.parameters)
        if len(stream_url) > MAX_STREAM_URL:
            raise InvalidInput("stream_url", f"has more than {MAX_STREAM_URL} characters")
        form: dict[str, str | list[str]] = {
            "from": call.callee,
            "callerid": call.caller,
            "streamurl": stream_url,
            "streamtype": "bidirectional",
        }
        if call.status_url:
            form["statuscallback"] = call.status_url
            form["statuscallbackevents[]"] = ["answered", "terminal"]
        told = await self._api.send("POST", self._calls, form=form)
        # Exotel's older pages show the same answer in capitals.
        return text_in(told, "Call", "Sid") if "Call" in told else text_in(told, "call", "sid")

    async def hang_up(self, call_id: str, key: str) -> None:
        raise not_offered("Exotel", "hang up a call but to close its socket")

    async def transfer(self, call_id: str, to: Transfer, key: str) -> None:
        raise not_offered("Exotel", "transfer a call but by its own flow")

    async def press(self, call_id: str, digits: str, key: str) -> None:
        raise not_offered("Exotel", "send digits")

    async def play(self, call_id: str, media_url: str, key: str) -> None:
        raise not_offered("Exotel", "play a file")

    async def aclose(self) -> None:
        await self._api.aclose()
