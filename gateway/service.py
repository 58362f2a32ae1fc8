"""A gateway process: its doors, its floor, its way to the orchestrators."""

from __future__ import annotations

import asyncio
import random
import time
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from gateway import metrics
from gateway.answering.desk import Desk
from gateway.answering.door import AnswerDoor
from gateway.call import CallSettings
from gateway.control.dialling import TicketRouting
from gateway.control.room import Room
from gateway.control.servicer import ControlDoor
from gateway.floor import Floor, VoiceActivity
from gateway.hops import Hops
from gateway.legs.tcp import TcpDoor
from gateway.legs.websocket import WebSocketDoor
from gateway.link import Link
from gateway.live import LiveCall
from gateway.pool import ChannelPool
from gateway.records import Records
from gateway.resume import Memories
from gateway.resume_memory import CallMemory, sealed_facts
from gateway.routing import NumberRouting
from gateway.servicer import GrpcDoor
from gateway.spoken import SpokenLines
from gateway.vad import VadBatch
from gateway.webhooks.service import Webhooks
from voicemesh import telemetry
from voicemesh.bots import Bots
from voicemesh.bots.numbers import Numbers
from voicemesh.callids import gateway_tag
from voicemesh.errors import Denied, Superseded
from voicemesh.handover import one_by_one
from voicemesh.sealing import Keyring
from voicemesh.server import LiveStreams
from voicemesh.world import WorldFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import grpc.aio

    from gateway.config import GatewaySettings
    from gateway.convert import CallFacts
    from gateway.legs.leg import Door, Leg
    from gateway.resume import Claim, Past
    from gateway.routing import Routing
    from voicemesh.api.call.v1 import call_pb2
    from voicemesh.bots import Bot

MAX_MESSAGE_BYTES = 256 * 1024

DOORS: Mapping[str, Callable[[Gateway], Door]] = {
    "grpc": GrpcDoor,
    "control": lambda gateway: ControlDoor(gateway.control),
    "websocket": WebSocketDoor,
    "tcp": TcpDoor,
    "answers": AnswerDoor,
}
"""How callers come in: one row for each protocol."""

_log = telemetry.get_logger("gateway")


class Gateway:
    """Holds calls; what `voicemesh.server` serves."""

    def __init__(self, settings: GatewaySettings, vad: VoiceActivity | None = None) -> None:
        """Without `vad` the model is loaded at start."""
        self.settings = settings
        # The event loop's own clock stands still within a turn of the loop and counts whole
        # milliseconds: too coarse for latencies of a few of them.
        self.clock = time.monotonic
        self.tag = gateway_tag(settings.region, settings.replica)
        """What the names of calls that begin here end with."""
        self.live = LiveStreams(settings.limits)
        self._bound = 0
        keys = _keyring(settings)
        self.keys = keys
        """What is sealed for others to keep."""
        self.control: Room = Room(settings, self.tag, keys, self.bot)
        self.desk = Desk(self)
        self.control.add(self.desk.diallers)
        self._doors = [door(self) for door in DOORS.values()]
        self.names = [name for door in self._doors for name in door.names]
        self._vad = vad
        self._bots = Bots({})
        self._webhooks = Webhooks(settings, self.tag) if settings.webhook_url else None
        self._route_by(Numbers())
        self._spoken = SpokenLines(
            settings.mesh, settings.trust, zone=lambda: next(iter(self._world.now.zones), "")
        )
        self._world = WorldFile(settings.world)
        self._records = Records(Path(settings.records) if settings.records else None)
        self._memories = Memories(keys, settings.resume_seconds)
        self._held: WeakValueDictionary[str, LiveCall] = WeakValueDictionary()
        self._random = random.Random()  # noqa: S311 - for jitter only

    @property
    def resumable(self) -> bool:
        """Whether every caller of the server's port could go on with another gateway."""
        return not self._bound

    @contextmanager
    def bound(self, callers: int) -> Iterator[None]:
        """Know of callers who could not."""
        self._bound += callers
        try:
            yield
        finally:
            self._bound -= callers

    def register(self, server: grpc.aio.Server) -> None:
        for door in self._doors:
            door.register(server)

    async def start(self) -> None:
        self._bots = Bots.load(self.settings.bots)
        if self.settings.numbers:
            self._route_by(Numbers.load(self.settings.numbers, self._bots))
        self.control.start()
        if self._webhooks:
            await self._webhooks.start()
            self.control.sinks.append(self._webhooks.publish)
        self._floor = Floor(self._vad or VadBatch(), self.clock)
        self._pool = ChannelPool(self.settings.mesh, self.settings.trust)
        self._pool.warm_up()
        self._ticking = asyncio.create_task(self._floor.run())
        for door in self._doors:
            await door.start()

    async def drain(self) -> None:
        """Let live calls go on; nobody new is let in."""
        for door in self._doors:
            await door.stop()
        await self.hand_over()

    async def hand_over(self) -> None:
        """Have every caller who can resume do so, each at its next pause; nobody is turned away."""
        held = [each for each in self._held.values() if not each.over]
        async for live, left in one_by_one(held, self.settings.drain_seconds):
            live.ask_to_leave(left)

    async def stop(self) -> None:
        self._ticking.cancel()
        with suppress(asyncio.CancelledError):
            await self._ticking
        self._floor.clear()
        await self.control.stop()
        if self._webhooks:
            await self._webhooks.close()
        await self._spoken.close()
        await self._records.close()
        await self._pool.close()

    def bot(self, name: str) -> Bot:
        """Return a bot; raise NotFound, naming those there are."""
        return self._bots.get(name)

    def bots(self) -> Bots:
        """Return all bots."""
        return self._bots

    def past(self, start: call_pb2.Start, claim: Claim, rate: int) -> Past:
        """Return the call that somebody wants to go on with; raise Denied if it is not theirs."""
        try:
            past = self._memories.past(start, claim, rate, time.time())
        except Denied:
            metrics.RESUMES_REFUSED.inc()
            raise
        older = self._older(past)
        # The same attempt twice was sent again by Envoy: its first stream is gone.
        if older is not None and older.incarnation > past.incarnation:
            raise Superseded("the call was resumed over another stream")
        return past

    def begin(self, facts: CallFacts, leg: Leg, start: call_pb2.Start) -> LiveCall:
        """Begin a call; raise Refused if its number is busy."""
        self.numbers.check_free(facts.number)
        facts = self._fenced(facts)
        live = self._live(facts, leg, start)
        live.attach(self._link(facts, live))
        _log.info("call began", call_id=facts.call_id, bot=facts.bot.name)
        return live

    def resume(self, past: Past, facts: CallFacts, leg: Leg, start: call_pb2.Start) -> LiveCall:
        """Go on with a call; whoever holds it here lets go of it."""
        facts = self._fenced(facts)
        older = self._older(past)
        if older is not None:
            older.supersede()
        live = self._live(facts, leg, start, past)
        live.take_up(past)
        live.attach(self._link(facts, live))
        metrics.CALLS_RESUMED.inc()
        entries, attempt = len(past.entries), past.incarnation
        _log.info("call resumed", call_id=past.call_id, entries=entries, attempt=attempt)
        return live

    def _fenced(self, facts: CallFacts) -> CallFacts:
        """Return the facts with whose call it is and where it may be; raise Denied if not here."""
        world, allowed = self._world.now, facts.bot.residency
        numbers = (facts.callee, facts.caller) if facts.placed else (facts.callee,)
        tenant = world.owner(facts.tenant, *numbers)
        zone = world.residency(tenant, facts.residency)
        if not world.divided:
            zone = next(iter(allowed), zone)
        elif allowed and zone not in allowed:
            raise Denied(
                f"the bot {facts.bot.name} may be used in {', '.join(allowed)} only, and this call "
                f"must stay in {zone}",
                reason="WRONG_RESIDENCY",
            )
        return replace(facts, tenant=tenant, residency=zone)

    def _route_by(self, numbers: Numbers) -> None:
        self.numbers = NumberRouting(numbers, self._calls_to)
        asked = self._webhooks.routing(self.numbers) if self._webhooks else self.numbers
        self.routing: Routing = TicketRouting(self.control.tickets, asked)

    def _calls_to(self, number: str) -> int:
        held = [live for live in self._held.values() if not live.ended]
        return sum(live.facts is not None and live.facts.number == number for live in held)

    def _older(self, past: Past) -> LiveCall | None:
        held = self._held.get(past.call_id)
        return held if held is not None and not held.over else None

    def _live(
        self, facts: CallFacts, leg: Leg, start: call_pb2.Start, past: Past | None = None
    ) -> LiveCall:
        bot = facts.bot
        settings = CallSettings(
            rate=facts.rate,
            ahead=leg.ahead,
            barge_in=bot.barge_in.enabled,
            fallback_target=bot.fallback.transfer,
            lines=self._spoken.lines(self._voiced(bot), facts.rate),
            wall_offset=self._wall_offset,
        )
        live = LiveCall(facts.call_id, settings, leg, self._floor, self._records)
        live.facts = facts
        live.hops = Hops(past.hops if past else ())
        edge_region, _, edge = facts.edge.partition("/")
        live.hops.took("edge", edge_region, edge)
        live.hops.took("gateway", self.settings.region, self.settings.replica)
        self.control.begin(live, facts)
        if start.resumable:
            live.hand_out(self._memory(facts, start, past, live.hops))
        self._held[facts.call_id] = live
        if self.live.draining:
            live.ask_to_leave(self.settings.drain_seconds)
        return live

    def _link(self, facts: CallFacts, live: LiveCall) -> Link:
        return Link(facts, self._pool, live, self._floor.now, self._random.random, live.hops)

    def _memory(
        self, facts: CallFacts, start: call_pb2.Start, past: Past | None, hops: Hops
    ) -> CallMemory:
        told = sealed_facts(facts, start, time.time(), past)
        sealer = self._memories.sealer(facts.call_id, start)
        return CallMemory(told, sealer, facts.rate, self._wall_offset, hops)

    def _voiced(self, bot: Bot) -> Bot:
        """Return a bot with the voice that it has in this mesh."""
        return bot.with_engines("scripted") if self.settings.models == "scripted" else bot

    @property
    def _wall_offset(self) -> float:
        return time.time() - self.clock()


def _keyring(settings: GatewaySettings) -> Keyring:
    keys = settings.resume_keys.get_secret_value()
    if keys:
        return Keyring.parse(keys)
    _log.info("no VOICEMESH_RESUME_KEYS: only this process can resume its calls")
    return Keyring.random()
