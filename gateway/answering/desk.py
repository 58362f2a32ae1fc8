"""Decides what a carrier is answered: who asks, what for, and which bot takes the call."""

from __future__ import annotations

import base64
import binascii
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.answering import told
from gateway.answering.addresses import Addresses
from gateway.answering.checks import CHECKS
from gateway.control.carriers import CarrierDialler, load
from gateway.control.dialling import TICKET
from gateway.legs.beyond import Beyond
from gateway.legs.reception import check_token
from gateway.routing import Route
from voicemesh import telemetry
from voicemesh.carriers.answers import vonage
from voicemesh.carriers.answers.document import Connect, Onward, Turned
from voicemesh.carriers.answers.table import ANSWERS
from voicemesh.errors import Denied, Misconfigured, NotFound, Refused

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gateway.answering.told import Told
    from gateway.control.trunks import TrunkDialler
    from gateway.service import Gateway
    from voicemesh.carriers.answers.document import Document
    from voicemesh.carriers.auth.request import Request
    from voicemesh.errors import VoicemeshError

ONWARD = "voicemesh_onward"
"""Name of the parameter that holds whom a call is transferred to, sealed."""
ONWARD_SECONDS = 60.0
_TOLD = {"vonage": vonage.told}
"""Carriers whose sockets name neither call nor numbers: what must be passed along."""

_log = telemetry.get_logger("answers")


class Desk:
    """What carriers' webhooks ask of one gateway."""

    def __init__(self, gateway: Gateway) -> None:
        """Raise Misconfigured for a broken carriers file, or without a public address."""
        settings = gateway.settings
        self._gateway = gateway
        self._addresses = Addresses(settings.public_url)
        if settings.answers and not self._addresses:
            raise Misconfigured(
                "VOICEMESH_PUBLIC_URL: must be set, since carriers are told to come back to it",
                field="VOICEMESH_PUBLIC_URL",
            )
        self.diallers: Mapping[str, CarrierDialler | TrunkDialler] = {}
        """Accounts and trunks by which calls are placed, by name."""
        if settings.carriers:
            self.diallers = load(
                Path(settings.carriers),
                addresses=self._addresses,
                mesh=settings.mesh,
                trust=settings.trust,
            )
        # Of several accounts with a carrier the first is asked, and signs.
        accounts = [each for each in self.diallers.values() if isinstance(each, CarrierDialler)]
        self._accounts = {each.carrier: each for each in reversed(accounts)}
        signing = {name: each.signing for name, each in self._accounts.items()}
        if settings.twilio_auth_token.get_secret_value() or "twilio" not in signing:
            signing["twilio"] = settings.twilio_auth_token
        self.twilio_token = signing["twilio"]
        """What Twilio signs by; empty: nothing."""
        self._checks = {
            name: CHECKS[name](secret)
            for name, secret in signing.items()
            if secret.get_secret_value()
        }
        self._sealer = gateway.keys.sealer("onward")

    def beyond(self, carrier: str, call_id: str) -> Beyond | None:
        """Return what a carrier's API can do to a live call; None without an account."""
        account = self._accounts.get(carrier)
        if account is None or not self._addresses:
            return None
        return Beyond(
            carrier, account.control, call_id, lambda target: self._onward_url(carrier, target)
        )

    async def answer(self, carrier: str, request: Request) -> Document:
        """Say what to do with a call; raise Denied for who may not ask, InvalidInput for nonsense.

        A call that nobody takes, or that is one too many, is turned away by the carrier's own
        words.
        """
        now = time.time()
        placed, query = self._admit(carrier, request, now)
        call = told.read(carrier, request)
        try:
            route = placed or await self._route(carrier, call, query)
            self._gateway.bot(route.bot)
        except (NotFound, Refused, Denied) as error:
            return self._turned(carrier, error)
        route = replace(route, caller=call.caller, callee=call.callee)
        ticket = self._gateway.control.tickets.admit(route, now)
        also = _TOLD[carrier](call.fields) if carrier in _TOLD else {}
        stream = self._addresses.stream(carrier)
        _log.info("call answered", carrier=carrier, bot=route.bot, placed=route.placed)
        return ANSWERS[carrier](Connect(stream, {**ticket, **also}))

    def status(self, carrier: str, call_id: str, request: Request) -> None:
        """Take note of what became of a call; raise as `answer`."""
        placed, _ = self._admit(carrier, request, time.time())
        if placed is not None and placed.call_id != call_id:
            raise Denied("this ticket is another call's", reason="BAD_TICKET")
        call = told.read(carrier, request)
        self._gateway.control.placing.told(call_id, call.call_id, call.status)

    def onward(self, carrier: str, request: Request) -> Document:
        """Say whom to connect a call to that is being transferred; raise Denied."""
        now = time.time()
        self._check_signature(carrier, request, now)
        sealed = told.query_of(request.url).get(ONWARD, "")
        try:
            said = self._sealer.open(base64.urlsafe_b64decode(sealed), 0)
        except (binascii.Error, ValueError, Denied):
            raise Denied("this transfer is not ours", reason="BAD_TICKET") from None
        meant, target, last = json.loads(said)
        if meant != carrier or now > last:
            raise Denied("this transfer is too old", reason="OLD_TICKET")
        return ANSWERS[carrier](Onward(target))

    def _admit(
        self, carrier: str, request: Request, now: float
    ) -> tuple[Route | None, Mapping[str, str]]:
        """Return the ticket and the query of who may ask; raise NotFound, Denied."""
        if carrier not in ANSWERS:
            raise NotFound(f"there is only {', '.join(ANSWERS)}", reason="NO_CARRIER")
        signed = self._check_signature(carrier, request, now)
        query = told.query_of(request.url)
        pieces = {name: value for name, value in query.items() if name.startswith(TICKET)}
        placed = self._gateway.control.tickets.read(pieces, now)
        if not signed and placed is None:
            check_token(self._gateway.settings, query.get("token", ""))
        return placed, query

    def _check_signature(self, carrier: str, request: Request, now: float) -> bool:
        """Return whether there is one; raise Denied where it must be and is wrong."""
        check = self._checks.get(carrier)
        if check is not None:
            check(replace(request, url=self._addresses.web + request.url), now)
        return check is not None

    async def _route(self, carrier: str, call: Told, query: Mapping[str, str]) -> Route:
        bot = query.get("bot", "")
        if bot:
            return Route(bot)
        application = f"{carrier}/{call.account or call.call_id}"
        return await self._gateway.routing.route(call.callee, application, {}, call.caller)

    def _turned(self, carrier: str, error: VoicemeshError) -> Document:
        _log.info("call turned away", carrier=carrier, reason=error.reason)
        return ANSWERS[carrier](Turned(busy=isinstance(error, Refused)))

    def _onward_url(self, carrier: str, target: str) -> str:
        said = json.dumps([carrier, target, int(time.time() + ONWARD_SECONDS)])
        sealed = base64.urlsafe_b64encode(self._sealer.seal(said.encode(), 0)).decode()
        return self._addresses.onward(carrier, {ONWARD: sealed})
