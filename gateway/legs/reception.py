"""Receives a carrier's socket: reads its start, finds the bot, begins the call; no transport here.

A socket that does not begin a call in time is closed, and only so many may be about to.
"""

from __future__ import annotations

import asyncio
import hmac
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

from gateway import metrics
from gateway.control.dialling import ticket_in
from gateway.convert import CallFacts
from gateway.legs.carrier import CarrierLeg, Patience, Wire
from gateway.legs.start import check_start
from gateway.routing import Route
from voicemesh import telemetry
from voicemesh.api.call.v1 import call_pb2
from voicemesh.callids import new_call_id
from voicemesh.carriers.dialect import Began, DialectSettings, Respond, Stopped
from voicemesh.errors import DeadlineMissed, Denied, Refused, VoicemeshError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from gateway.config import GatewaySettings
    from gateway.service import Gateway
    from voicemesh.carriers.dialect import Dialect, Event, Frame

OURS = frozenset({"bot", "token"})
"""Parameters that are for us, not for the bot."""

_log = telemetry.get_logger("carriers")


class SocketWire(Wire, Protocol):
    """A wire that tells when it is gone."""

    @property
    def gone(self) -> asyncio.Event:
        """Return what is set once the connection is closed."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What the socket's address asks for."""

    bot: str = ""
    trusted: bool = False
    """Whether it has shown already that it may call."""
    parameters: Mapping[str, str] = field(default_factory=dict)
    """What its query tells besides."""


class Reception:
    """What all sockets of a gateway share."""

    def __init__(self, gateway: Gateway) -> None:
        settings = gateway.settings
        self.gateway = gateway
        self.dialects = DialectSettings(
            teler_audio_shape=settings.teler_audio_shape,
            teler_playback_rate=settings.teler_playback_rate,
        )
        self.patience = Patience(settings.read_seconds, settings.carrier_idle_seconds)
        self.waiting = 0
        """Sockets that have not begun a call yet."""

    def check_room(self) -> None:
        """Raise Refused if too many sockets are about to begin, Unavailable when draining."""
        limit = self.gateway.settings.carriers_waiting
        if self.waiting >= limit:
            raise Refused(f"{limit} sockets have not begun their calls yet", limit=limit)
        with self.gateway.live.admit():
            self.gateway.live.check_new()

    def check_token(self, given: str) -> None:
        """Raise Denied unless this is the token, where one is set."""
        check_token(self.gateway.settings, given)


def check_token(settings: GatewaySettings, given: str) -> None:
    """Raise Denied unless this is the token, where one is set."""
    token = settings.carrier_token.get_secret_value()
    if token and not hmac.compare_digest(token.encode(), given.encode()):
        raise Denied("the token is wrong or missing", reason="WRONG_TOKEN")


class Guest:
    """One carrier's socket, from its opening to its end."""

    def __init__(
        self, reception: Reception, dialect: Dialect, wire: SocketWire, asked: Asked
    ) -> None:
        self._reception = reception
        self._dialect = dialect
        self._wire = wire
        self._asked = asked
        self._application = dialect.application(reception.dialects)
        self._leg: CarrierLeg | None = None
        self._serving: asyncio.Task[None] | None = None
        self._over = False
        seconds = reception.gateway.settings.carrier_start_seconds
        self._late = asyncio.get_running_loop().call_later(seconds, self._too_late, seconds)
        self._waits = True
        reception.waiting += 1

    def receive(self, frame: Frame) -> None:
        """Take a frame."""
        if self._over:
            return
        try:
            if self._leg is not None:
                self._leg.put(frame)
            else:
                self._read(iter(self._application.receive(frame)))
        except VoicemeshError as error:
            self.fail(error)
        except Exception as error:
            self._crash(error)

    def fail(self, error: VoicemeshError) -> None:
        """Close the socket over an error, and end its call if it has one."""
        if self._over:
            return
        self._end()
        metrics.CARRIER_SOCKETS_REFUSED.labels(self._dialect.name, error.reason).inc()
        _log.info("socket refused", carrier=self._dialect.name, reason=error.reason)
        self._wire.close(error)
        if self._leg is not None:
            self._leg.leave(vanished=True)

    def lost(self, *, clean: bool) -> None:
        """Take note that the connection is gone; `clean` if the carrier said goodbye."""
        self._end()
        if self._leg is not None:
            self._leg.leave(vanished=not clean)

    def _end(self) -> None:
        self._over = True
        self._begun()

    def _begun(self) -> None:
        self._late.cancel()
        if self._waits:
            self._waits = False
            self._reception.waiting -= 1

    def _too_late(self, seconds: float) -> None:
        self.fail(DeadlineMissed(f"no call began within {seconds:g} s", reason="NO_START"))

    def _read(self, events: Iterator[Event]) -> None:
        for event in events:
            match event:
                case Respond(frame):
                    self._wire.write((frame,))
                case Began():
                    self._begin(event, events)
                    return
                case Stopped():
                    # Only a question whether we are there.
                    self._end()
                    self._wire.close(None)
                    return

    def _begin(self, began: Began, rest: Iterable[Event]) -> None:
        gateway, reception = self._reception.gateway, self._reception
        began = replace(began, parameters={**self._asked.parameters, **began.parameters})
        leg = CarrierLeg(
            self._dialect,
            self._application,
            began,
            self._wire,
            gateway.clock,
            reception.patience,
        )
        leg.beyond = gateway.desk.beyond(self._dialect.name, began.call_id)
        leg.put_events([*rest])
        self._begun()
        self._leg = leg
        self._serving = asyncio.create_task(self._serve(began, leg))

    async def _serve(self, began: Began, leg: CarrierLeg) -> None:
        """Hold a place for the call until its socket is gone."""
        try:
            live = self._reception.gateway.live
            with live.admit():
                live.check_new()
                await self._converse(began, leg)
                await self._wire.gone.wait()
        except VoicemeshError as error:
            self.fail(error)
        except Exception as error:
            self._crash(error)

    def _crash(self, error: Exception) -> None:
        _log.error("a carrier's socket crashed", carrier=self._dialect.name, exc_info=error)
        self.fail(VoicemeshError(f"internal error: {type(error).__name__}"))

    async def _converse(self, began: Began, leg: CarrierLeg) -> None:
        gateway = self._reception.gateway
        if not (self._asked.trusted or ticket_in(began.parameters)):
            self._reception.check_token(began.parameters.get("token", ""))
        route = await self._route(began)
        caller, callee = route.caller or began.caller, route.callee or began.callee
        start = call_pb2.Start(
            bot=route.bot, caller=caller, callee=callee, variables=route.variables
        )
        check_start(start)
        facts = CallFacts(
            gateway.bot(route.bot),
            leg.rate,
            caller,
            callee,
            route.variables,
            route.call_id or new_call_id(gateway.tag),
            text=self._dialect.capabilities.speaks,
            placed=route.placed,
            number=route.number,
            tenant=route.tenant,
        )
        leg.placed = route.placed
        if not self._over:
            gateway.begin(facts, leg, start)
            _log.info("carrier's call", carrier=self._dialect.name, call_id=facts.call_id)

    async def _route(self, began: Began) -> Route:
        variables = {name: value for name, value in began.parameters.items() if name not in OURS}
        bot = self._asked.bot or began.parameters.get("bot", "")
        if bot and not ticket_in(variables):
            return Route(bot, variables)
        # Asterisk tells only a UUID, so its dialplan names the bot by how that begins.
        application = f"{self._dialect.name}/{began.account_id or began.call_id}"
        routing = self._reception.gateway.routing
        return await routing.route(began.callee, application, variables, began.caller)
