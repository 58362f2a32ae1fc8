"""SessionService: admits calls, fences epochs, and hands each stream to a session."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from typing import TYPE_CHECKING

from orchestrator import convert
from orchestrator.built_in import bot_in_charge
from orchestrator.conversation import CallFacts, Conversation
from orchestrator.senses import Ear, Mind, SilentVoice, Voice
from orchestrator.session import Senses, Session, now
from orchestrator.standing import Standings
from voicemesh import telemetry
from voicemesh.api.session.v1 import session_pb2, session_pb2_grpc
from voicemesh.errors import DeadlineMissed, InvalidInput, OutOfOrder, VoicemeshError, abort
from voicemesh.handover import one_by_one
from voicemesh.journal import fold

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from orchestrator.brains import Brain
    from orchestrator.config import OrchestratorSettings
    from orchestrator.senses import Way
    from orchestrator.tools import Tools
    from voicemesh.bots import Bot, Bots
    from voicemesh.errors import Context
    from voicemesh.server import LiveStreams

OPEN_SECONDS = 10.0
"""How long a stream may wait with its ``open``."""
REMEMBERED_EPOCHS = 10_000

_log = telemetry.get_logger("orchestrator")


class Epochs:
    """The newest opening seen of each call, and the session that has it.

    Of two openings that one of a higher epoch is newer; within an epoch, of a higher attempt: a
    process that was late may read them in any order. The same one twice was sent again by Envoy.
    """

    def __init__(self) -> None:
        self._epochs: OrderedDict[str, tuple[int, int]] = OrderedDict()
        self._sessions: dict[str, Session] = {}

    def claim(self, call_id: str, epoch: tuple[int, int], session: Session) -> bool:
        """Give the call to a session, by its epoch and attempt; return False if a newer has it."""
        if epoch < self._epochs.get(call_id, (0, 0)):
            return False
        older = self._sessions.get(call_id)
        if older:
            older.supersede()
        self._epochs[call_id] = epoch
        self._epochs.move_to_end(call_id)
        if len(self._epochs) > REMEMBERED_EPOCHS:
            self._epochs.popitem(last=False)
        self._sessions[call_id] = session
        return True

    def release(self, call_id: str, session: Session) -> None:
        """Forget a session that ended."""
        if self._sessions.get(call_id) is session:
            del self._sessions[call_id]

    async def ask_all_to_leave(self, seconds: float) -> None:
        """Have every call opened elsewhere."""
        async for session, left in one_by_one(list(self._sessions.values()), seconds):
            await session.ask_to_leave(left)


class SessionServicer(session_pb2_grpc.SessionServiceServicer):
    """Conducts calls."""

    def __init__(
        self,
        settings: OrchestratorSettings,
        bots: Bots,
        live: LiveStreams,
        way: Way,
        brains: Mapping[str, Brain],
        tools: Tools,
    ) -> None:
        self._settings = settings
        self._bots = bots
        self._live = live
        self._way = way
        self._brains = brains
        self._tools = tools
        self.epochs = Epochs()
        self._standings = Standings()

    async def Run(  # type: ignore[override]
        self, request_iterator: AsyncIterator[session_pb2.RunRequest], context: Context
    ) -> None:
        try:
            with self._live.admit():
                await self._run(request_iterator, context)
        except VoicemeshError as error:
            await abort(context, error)

    async def _run(self, requests: AsyncIterator[session_pb2.RunRequest], context: Context) -> None:
        opening = await _opening(requests)
        if opening.epoch == 1 and not opening.journal:
            self._live.check_new()
        facts = convert.facts(opening, self._settings.replica)
        session = self._session(opening, facts)
        if not self.epochs.claim(facts.call_id, (opening.epoch, opening.attempt), session):
            bye = session_pb2.Bye(reason=session_pb2.BYE_REASON_SUPERSEDED)
            await context.write(session_pb2.RunResponse(bye=bye))
            return
        log = _log.bind(call_id=facts.call_id, epoch=opening.epoch)
        log.info("session opened", bot=facts.bot, entries=len(opening.journal))
        if self._live.draining:
            # Admitted before the drain began, but too late to be asked with the others.
            await session.ask_to_leave(self._settings.drain_seconds)
        try:
            await session.run(requests, context)
        finally:
            self.epochs.release(facts.call_id, session)
            log.info("session closed")

    def _session(self, opening: session_pb2.Open, facts: CallFacts) -> Session:
        memory = fold(opening.journal)
        bot = self._bot(bot_in_charge(memory) or facts.bot)
        if memory.started and memory.started.sample_rate_hertz != facts.rate:
            limit = memory.started.sample_rate_hertz
            raise InvalidInput("open.format", f"the journal counts at {limit} hertz", limit=limit)
        wall_offset = time.time() - now()
        conversation = Conversation(bot, facts, memory, wall_offset, self._standings)
        voice = SilentVoice if facts.text else Voice
        senses = Senses(
            Ear(self._way, facts.call_id, facts.rate, bot.language, facts.residency),
            Mind(self._brains[bot.brain.kind], bot, self._way.pulse),
            voice(self._way, facts.call_id, facts.rate, bot, facts.residency),
            self._tools,
        )
        ready = session_pb2.Ready(
            epoch=opening.epoch,
            wanted_offset=memory.consumed_offset,
            replica=self._settings.replica,
            region=self._settings.region,
            takes_batches=True,
        )
        return Session(conversation, bot, senses, ready, facts)

    def _bot(self, name: str) -> Bot:
        bot = self._bots.get(name)
        return bot.with_engines("scripted") if self._settings.models == "scripted" else bot


async def _opening(requests: AsyncIterator[session_pb2.RunRequest]) -> session_pb2.Open:
    first: asyncio.Future[session_pb2.RunRequest] = asyncio.ensure_future(anext(requests))
    done, _ = await asyncio.wait({first}, timeout=OPEN_SECONDS)
    if not done:
        first.cancel()
        raise DeadlineMissed(f"no open within {OPEN_SECONDS:g} s", limit=OPEN_SECONDS)
    try:
        request = first.result()
    except StopAsyncIteration:
        raise OutOfOrder("open", "must be the first message, but there was none") from None
    if request.WhichOneof("message") != "open":
        raise OutOfOrder("message", "the first must be open")
    return request.open
