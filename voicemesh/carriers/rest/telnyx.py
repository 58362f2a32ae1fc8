"""Telnyx' call control; https://developers.telnyx.com/api/call-control.

A call is placed with its stream, so no document is asked for; `client_state` carries what the
socket's start shall tell. Every command takes a key (`command_id`).
"""

from __future__ import annotations

from collections.abc import Mapping

from voicemesh.carriers.rest.control import Ability, Account, NewCall, Transfer, check_digits
from voicemesh.carriers.rest.http import Api, required, segment, text_in
from voicemesh.carriers.telnyx import write_state

BASE_URL = "https://api.telnyx.com/v2"
CALL_ENDED = "90018"


class Telnyx:
    """Telnyx' API; the account's `key` is the API key, its `application` the connection id."""

    abilities = frozenset(Ability)

    def __init__(self, account: Account) -> None:
        key = required(account.key.get_secret_value(), "key")
        headers = {"Authorization": f"Bearer {key}"}
        over = frozenset({CALL_ENDED})
        self._api = Api("Telnyx", BASE_URL, account, headers=headers, over=over)
        self._connection = required(account.application, "application (connection id)")

    async def dial(self, call: NewCall, key: str) -> str:
        body: dict[str, object] = {
            "connection_id": self._connection,
            "to": call.callee,
            "from": call.caller,
            "timeout_secs": call.ring_seconds,
            "command_id": key,
            "client_state": write_state(dict(call.parameters)),
            "stream_url": call.stream_url,
            "stream_track": "inbound_track",
            "stream_codec": "PCMU",
            "stream_bidirectional_mode": "rtp",
            "stream_bidirectional_codec": "PCMU",
            "stream_bidirectional_sampling_rate": 8000,
        }
        if call.status_url:
            body["webhook_url"] = call.status_url
        return text_in(await self._api.send("POST", "calls", body=body), "data", "call_control_id")

    async def hang_up(self, call_id: str, key: str) -> None:
        await self._ask(call_id, "hangup", {}, key)

    async def transfer(self, call_id: str, to: Transfer, key: str) -> None:
        shown = {"from": to.caller} if to.caller else {}
        body = {"to": to.target, "timeout_secs": to.ring_seconds} | shown
        await self._ask(call_id, "transfer", body, key)

    async def press(self, call_id: str, digits: str, key: str) -> None:
        check_digits(digits)
        await self._ask(call_id, "send_dtmf", {"digits": digits}, key)

    async def play(self, call_id: str, media_url: str, key: str) -> None:
        await self._ask(call_id, "playback_start", {"audio_url": media_url}, key)

    async def aclose(self) -> None:
        await self._api.aclose()

    async def _ask(self, call_id: str, what: str, body: Mapping[str, object], key: str) -> None:
        path = f"calls/{segment(call_id)}/actions/{what}"
        await self._api.send("POST", path, body={**body, "command_id": key})
